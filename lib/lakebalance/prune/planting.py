"""Near-duplicates that are planted, to see how many of them are found."""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import Column
from pyspark.sql.functions import arrow_udf  # type: ignore[attr-defined]

from lakebalance.core.chance import below, salt_of, unit, words
from lakebalance.core.shingles import Tokens

# What a text must have for an edit to leave it this similar: a changed token at its end costs one
# shingle of each text.
LEAST, MOST = 0.7, 0.95
LETTERS = "abcdefghijklmnopqrstuvwxyz"
WORD = re.compile(r"[^\W_]+")
CHARACTER = re.compile(r"\S")
IDEOGRAPHS = 0x4E00


def edited(texts: Column, hi: Column, tokens: Tokens, ngram: int, seed: int) -> Column:
    """Copies of texts in which some tokens are others, of about Jaccard 0.7 to 0.95 to the text.

    Parameters
    ----------
    texts : column of valid texts.
    hi : bigint that tells rows apart: all chance follows from it.
    tokens, ngram : what shingles are runs of, and of how many.
    seed : another one edits otherwise.

    Returns
    -------
    Column of text; null where a text is null or of too few tokens to be edited so little.
    """

    def edit(batch: pa.Array, keys: pa.Array) -> pa.Array:
        pairs = zip(batch.to_pylist(), keys.to_pylist(), strict=True)
        return pa.array([edit_one(text, key, tokens, ngram, seed) for text, key in pairs], "string")

    column: Column = arrow_udf(edit, "string")(texts, hi)
    return column


def edit_one(text: str | None, key: int, tokens: Tokens, ngram: int, seed: int) -> str | None:
    """A copy of a text as of ``edited``.

    Examples
    --------
    >>> edit_one("one two three four five six seven eight nine ten", 7, "words", 1, 0)
    'one two three four five ihbdhwrv seven eight nine ten'
    >>> edit_one("too short", 7, "words", 5, 0) is None
    True
    """
    pattern = WORD if tokens == "words" else CHARACTER
    spans = [found.span() for found in pattern.finditer(text or "")]
    shingles = len(spans) - ngram + 1
    if text is None or (shingles - 1) < LEAST * (shingles + 1):
        return None
    chance = _Chance(key, seed)
    similar = LEAST + (MOST - LEAST) * chance.unit()
    lost = max(1, round(shingles * (1 - similar) / (1 + similar)))
    if lost < ngram:
        # Each of the last tokens is in a shingle more than the one after it.
        at = list(range(len(spans) - lost, len(spans)))
    else:
        at = chance.some(len(spans), round(lost / ngram))
    return _replaced(text, [spans[i] for i in at], tokens, chance)


def _replaced(text: str, spans: list[tuple[int, int]], tokens: Tokens, chance: _Chance) -> str:
    parts, end = [], 0
    for start, stop in spans:
        if tokens == "words":
            token = "".join(LETTERS[chance.below(26)] for _ in range(8))
        else:
            token = chr(IDEOGRAPHS + chance.below(20_000))
        parts += [text[end:start], token]
        end = stop
    return "".join([*parts, text[end:]])


class _Chance:
    """Numbers by chance that follow from a key."""

    def __init__(self, key: int, seed: int) -> None:
        self.key, self.salt, self.uses = np.array([key]), salt_of(seed, "plant"), 0

    def _bits(self, count: int = 1) -> NDArray[np.uint64]:
        first, self.uses = self.uses, self.uses + count
        uses = np.arange(first, self.uses)
        return words(np.repeat(self.key, count), uses, self.salt)

    def unit(self) -> float:
        return float(unit(self._bits())[0])

    def below(self, n: int) -> int:
        return int(below(self._bits(), n)[0])

    def some(self, n: int, count: int) -> list[int]:
        """So many of the numbers from 0 to below n, rising."""
        return sorted(np.argsort(self._bits(n), kind="stable")[:count].tolist())
