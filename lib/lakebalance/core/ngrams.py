"""The n-grams of texts as 128-bit hashes, in numpy: to be looked for among those of other texts.

Half of a hash is a polynomial of its tokens' hashes, the other half one of another base, which is
computed only where it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lakebalance.core.chance import GOLDEN, Words, mix, salt_of
from lakebalance.core.shingles import STEP, Tokenised, Tokens, tokenised
from lakebalance.core.text_form import TextForm

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Asked = Callable[[Words], Bools]

# At 32 bits and four marks for each n-gram that is looked for, two in 10,000 others pass. 16 MiB
# are the most: with over four million n-grams, more pass, which costs time and changes nothing.
BITS_EACH = 8
MOST_BITS = 2**27
FEWEST_BITS = 2**12


class Cut(NamedTuple):
    """How texts become n-grams.

    ``shortest`` is the fewest tokens of a text under ``n`` that is looked for inside of others; one
    of fewer is compared with whole texts alone.
    """

    form: TextForm
    tokens: Tokens
    n: int
    shortest: int

    @property
    def joint(self) -> str:
        """What stands between the tokens of an n-gram that is shown."""
        return " " if self.tokens == "words" else ""


class NGrams(NamedTuple):
    """The n-grams of a chunk's texts: whose it is, at which token, of how many, and its hash."""

    owner: Ints
    at: Ints
    length: Ints
    hi: Words
    lo: Words

    def where(self, which: Ints | Bools) -> NGrams:
        """Some of them."""
        return NGrams._make(part[which] for part in self)


class Filter(NamedTuple):
    """Marks of hashes: what has not all of its four is none of them, and few others have them."""

    bits: Words

    @classmethod
    def of(cls, words: Ints, bits: Words) -> Filter:
        """A filter that is as large as the marks ask for.

        Parameters
        ----------
        words : numbers below ``MOST_BITS`` / 64, each once.
        bits : the 64 marks of each.
        """
        marks = np.zeros(MOST_BITS // 64, np.uint64)
        marks[words] = bits
        # Each mark has as many bits.
        wanted = int(np.unpackbits(bits.view(np.uint8)).sum()) * BITS_EACH
        while len(marks) * 64 > FEWEST_BITS and len(marks) * 32 >= wanted:
            half = len(marks) // 2
            marks = marks[:half] | marks[half:]
        return cls(marks)

    def holds(self, half: Words) -> Bools:
        """Which hashes have the marks of one half of theirs."""
        return self._has(half) & self._has(half >> np.uint64(32))

    def _has(self, mark: Words) -> Bools:
        place = mark & np.uint64(len(self.bits) * 64 - 1)
        word = self.bits[place >> np.uint64(6)]
        marked: Bools = (word >> (place & np.uint64(63))) & np.uint64(1) == 1
        return marked


def of_tests(texts: pa.Array, cut: Cut, salt: int) -> NGrams:
    """The n-grams that texts are looked for by: all of each, or the text itself if it is shorter.

    Parameters
    ----------
    texts : large_string in the form in which they are compared.
    cut : how texts become n-grams.
    salt : n-grams under different ones are different.

    Examples
    --------
    >>> cut = Cut(TextForm(), "words", 3, 2)
    >>> texts = pa.array(["a b c d", "a b", "a", None], pa.large_string())
    >>> of_tests(texts, cut, 0).length.tolist()
    [3, 3, 2, 1]
    """
    found = tokenised(texts, cut.tokens)
    return once(_grams(found, cut, salt, {cut.n}, range(1, cut.n)))


def of_rows(
    texts: pa.Array, cut: Cut, salt: int, lengths: Collection[int], asked: Asked | None = None
) -> tuple[NGrams, Tokenised]:
    """The n-grams of texts that may be looked for, and the texts' tokens.

    Parameters
    ----------
    texts : large_string in the form in which they are compared.
    cut : how texts become n-grams.
    salt : as of the texts that are looked for.
    lengths : how many tokens those have that have fewer than ``cut.n``.
    asked : which n-grams to keep, by each half of their hash; all where left out.
    """
    found = tokenised(texts, cut.tokens)
    inside = {cut.n} | {length for length in lengths if length >= cut.shortest}
    return _grams(found, cut, salt, inside, range(1, cut.shortest), asked), found


def _grams(
    found: Tokenised,
    cut: Cut,
    salt: int,
    inside: Collection[int],
    whole: Collection[int],
    asked: Asked | None = None,
) -> NGrams:
    """Runs of tokens inside of texts, and texts that are whole as long."""
    owner = np.repeat(np.arange(len(found.counts)), found.counts)
    starts = np.cumsum(found.counts) - found.counts
    parts: list[NGrams] = []
    with np.errstate(over="ignore"):
        rolled = found.hashes
        for length in range(1, min(cut.n, len(found.hashes)) + 1):
            if length > 1:
                rolled = rolled[:-1] * np.uint64(STEP) + found.hashes[length - 1 :]
            if length in inside:
                at = np.flatnonzero(owner[: len(rolled)] == owner[length - 1 :])
            elif length in whole:
                at = starts[found.counts == length]
            else:
                continue
            hi = mix(rolled[at] ^ np.uint64(salt_of("n-gram", salt, length)))
            if asked is not None:
                kept = asked(hi)
                at, hi = at[kept], hi[kept]
            lo = _other(found.hashes, at, length, salt)
            grams = NGrams(owner[at], at, np.full(len(at), length), hi, lo)
            parts.append(grams if asked is None else grams.where(asked(lo)))
    if not parts:
        none = np.empty(0, np.int64)
        return NGrams(none, none, none, none.astype(np.uint64), none.astype(np.uint64))
    return NGrams._make(map(np.concatenate, zip(*parts, strict=True)))


def _other(hashes: Words, at: Ints, length: int, salt: int) -> Words:
    """The other half of the hash of the runs that begin at some places."""
    rolled = hashes[at]
    for i in range(1, length):
        rolled = rolled * np.uint64(GOLDEN) + hashes[at + i]
    return mix(rolled ^ np.uint64(salt_of("other half", salt, length)))


def once(grams: NGrams) -> NGrams:
    """Each n-gram of a text once, where it stands first, in order of owners and hashes."""
    order = np.lexsort((grams.at, grams.lo, grams.hi, grams.owner))
    grams = grams.where(order)
    new = np.ones(len(order), bool)
    same = [part[1:] == part[:-1] for part in (grams.owner, grams.hi, grams.lo)]
    new[1:] = ~(same[0] & same[1] & same[2])
    return grams.where(new)
