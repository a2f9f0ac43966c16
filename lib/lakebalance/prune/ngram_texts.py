"""What tasks make of texts that are looked for in others: n-grams as hashes, and as text."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import pyarrow as pa
from pyspark.sql import Column

# Missing in PySpark's own list of what the module holds.
from pyspark.sql.functions import arrow_udf  # type: ignore[attr-defined]

from lakebalance.core.ngrams import Cut, Filter, NGrams, of_rows, of_tests, once
from lakebalance.core.shingles import chunks

GRAM = pa.struct([("hi", pa.int64()), ("lo", pa.int64())])
SAID = pa.struct([("number", pa.int32()), ("grams", pa.list_(GRAM))])
NUMBERED = "number int, grams array<struct<hi: bigint, lo: bigint>>"


def tests_grams(texts: Column, cut: Cut, salt: int) -> Column:
    """The n-grams that each text is looked for by.

    Parameters
    ----------
    texts : column of valid texts.
    cut : how texts become n-grams.
    salt : n-grams under different ones are different.

    Returns
    -------
    Column of a struct: ``number`` of tokens in each n-gram, 0 for a text without, and ``grams``,
    each once, in order.
    """

    def describe(batch: pa.Array) -> pa.Array:
        parts = []
        for chunk in chunks(cut.form.apply(batch)):
            grams = of_tests(chunk, cut, salt)
            length = np.zeros(len(chunk), np.int32)
            length[grams.owner] = grams.length
            parts.append(_said(grams, length))
        return pa.concat_arrays(parts or [pa.array([], SAID)])

    # Else Spark would compute it once more for each filter that it moves below.
    column: Column = arrow_udf(describe, NUMBERED).asNondeterministic()(texts)
    return column


def rows_grams(
    texts: Column, cut: Cut, salt: int, lengths: Collection[int], among: Filter, counted: bool
) -> Column:
    """The n-grams of each text that may be among those looked for; others are left out.

    Parameters
    ----------
    texts : column of valid texts.
    cut, salt : as for the texts that are looked for.
    lengths : how many tokens their n-grams have.
    among : holds the n-grams that are looked for, and a few others.
    counted : whether to count all n-grams of each text.

    Returns
    -------
    Column of a struct: ``number`` of different n-grams, 0 where not counted, and ``grams``, each
    once, in order.
    """

    def describe(batch: pa.Array) -> pa.Array:
        parts = []
        for chunk in chunks(cut.form.apply(batch)):
            sizes = np.zeros(len(chunk), np.int32)
            if counted:
                grams = once(of_rows(chunk, cut, salt, lengths)[0])
                sizes += np.bincount(grams.owner, minlength=len(chunk)).astype(np.int32)
                grams = grams.where(among.holds(grams.hi))
            else:
                grams = once(of_rows(chunk, cut, salt, lengths, lambda _, hi: among.holds(hi))[0])
            parts.append(_said(grams, sizes))
        return pa.concat_arrays(parts or [pa.array([], SAID)])

    column: Column = arrow_udf(describe, NUMBERED).asNondeterministic()(texts)
    return column


def _said(grams: NGrams, numbers: np.ndarray[tuple[int], np.dtype[np.int32]]) -> pa.Array:
    ends = np.zeros(len(numbers) + 1, np.int32)
    np.cumsum(np.bincount(grams.owner, minlength=len(numbers)), out=ends[1:])
    halves = [pa.array(half.view(np.int64)) for half in (grams.hi, grams.lo)]
    listed = pa.ListArray.from_arrays(ends, pa.StructArray.from_arrays(halves, fields=list(GRAM)))
    return pa.StructArray.from_arrays([pa.array(numbers), listed], fields=list(SAID))


def shown(texts: Column, gram: Column, salt: Column, cut: Cut, lengths: Collection[int]) -> Column:
    """The tokens of an n-gram as text, from where it first stands in each text; null if it doesn't.

    Parameters
    ----------
    texts : column of valid texts.
    gram : the n-gram's hash in each.
    salt : that of its hash.
    cut, lengths : as for the rows.
    """

    def show(batch: pa.Array, his: pa.Array, los: pa.Array, salts: pa.Array) -> pa.Array:
        which = salts.to_numpy(zero_copy_only=False)
        hi, lo = (half.to_numpy(zero_copy_only=False).view(np.uint64) for half in (his, los))
        said: list[str | None] = [None] * len(batch)
        for own in np.unique(which):
            places = np.flatnonzero(which == own)
            start = 0
            for chunk in chunks(cut.form.apply(batch.take(pa.array(places)))):
                here = places[start : start + len(chunk)]
                for at, text in _found(chunk, cut, int(own), lengths, hi[here], lo[here]).items():
                    said[here[at]] = text
                start += len(chunk)
        return pa.array(said, pa.string())

    column: Column = arrow_udf(show, "string")(
        texts, gram.getField("hi"), gram.getField("lo"), salt
    )
    return column


def _found(
    texts: pa.Array, cut: Cut, salt: int, lengths: Collection[int], *halves: np.ndarray
) -> dict[int, str]:
    """By the number of a text the n-gram in it that has a hash."""
    hi, lo = halves
    grams, found = of_rows(texts, cut, salt, lengths, lambda owner, own: own == hi[owner])
    grams = once(grams.where(grams.lo == lo[grams.owner]))
    return {
        int(owner): cut.joint.join(found.texts(int(at), int(length)))
        for owner, at, length in zip(grams.owner, grams.at, grams.length, strict=True)
    }
