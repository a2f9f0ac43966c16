"""What tasks make of texts that are looked for, and of those that they are looked for in."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import Column

# Missing in PySpark's own list of what the module holds.
from pyspark.sql.functions import arrow_udf  # type: ignore[attr-defined]

from lakebalance.core.ngrams import Cut, Filter, NGrams, of_rows, of_tests, once
from lakebalance.core.shingles import chunks

GRAM = [("hi", pa.int64()), ("lo", pa.int64())]
NUMBERED = "number int, grams array<struct<hi: bigint, lo: bigint>>"
SAID_GRAM = [*GRAM, ("said", pa.string())]
AS_TEXT = "number int, grams array<struct<hi: bigint, lo: bigint, said: string>>"


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
        return pa.concat_arrays(parts or [pa.array([], said_of(GRAM))])

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
    once, in order, with what they say.
    """

    def describe(batch: pa.Array) -> pa.Array:
        parts = []
        for chunk in chunks(cut.form.apply(batch)):
            sizes = np.zeros(len(chunk), np.int32)
            grams, found = of_rows(chunk, cut, salt, lengths, None if counted else among.holds)
            grams = once(grams)
            if counted:
                sizes += np.bincount(grams.owner, minlength=len(chunk)).astype(np.int32)
                grams = grams.where(among.holds(grams.hi) & among.holds(grams.lo))
            said = [
                cut.joint.join(found.texts(at, length))
                for at, length in zip(grams.at.tolist(), grams.length.tolist(), strict=True)
            ]
            parts.append(_said(grams, sizes, said))
        return pa.concat_arrays(parts or [pa.array([], said_of(SAID_GRAM))])

    column: Column = arrow_udf(describe, AS_TEXT).asNondeterministic()(texts)
    return column


def said_of(gram: list[tuple[str, pa.DataType]]) -> pa.DataType:
    """The type of what is said of texts."""
    return pa.struct([("number", pa.int32()), ("grams", pa.list_(pa.struct(gram)))])


def _said(
    grams: NGrams, numbers: NDArray[np.int32], said: list[str] | None = None
) -> pa.StructArray:
    ends = np.zeros(len(numbers) + 1, np.int32)
    np.cumsum(np.bincount(grams.owner, minlength=len(numbers)), out=ends[1:])
    fields = [pa.array(half.view(np.int64)) for half in (grams.hi, grams.lo)]
    kind = GRAM if said is None else SAID_GRAM
    if said is not None:
        fields.append(pa.array(said, pa.string()))
    each = pa.StructArray.from_arrays(fields, fields=list(pa.struct(kind)))
    listed = pa.ListArray.from_arrays(ends, each)
    return pa.StructArray.from_arrays([pa.array(numbers), listed], fields=list(said_of(kind)))
