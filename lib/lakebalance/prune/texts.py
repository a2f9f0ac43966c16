"""What tasks make of texts: bands to find candidates by, and shingles to compare them by."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import Column
from pyspark.sql import functions as F

# Missing in PySpark's own list of what the module holds.
from pyspark.sql.functions import arrow_udf  # type: ignore[attr-defined]

from lakebalance.core.shingles import Sets, Tokens, chunks, hash_of_sets, jaccard, shingles
from lakebalance.core.text_form import TextForm
from lakebalance.prune.bands import Bands, band_hashes, signatures

SAID = pa.struct([("hi", pa.int64()), ("lo", pa.int64()), ("bands", pa.list_(pa.int64()))])
DESCRIBED = "hi bigint, lo bigint, bands array<bigint>"


class Shingling(NamedTuple):
    """How texts become sets of shingles."""

    form: TextForm
    tokens: Tokens
    n: int

    def sets(self, texts: pa.Array) -> Iterator[Sets]:
        """The sets of a batch's texts, in chunks."""
        form = self.form
        if self.tokens == "words":
            # Words end at both anyway.
            form = form._replace(whitespace=False, punctuation=False)
        for chunk in chunks(form.apply(texts)):
            yield shingles(chunk, self.tokens, self.n)


def valid(texts: Column) -> Column:
    """Texts that tasks can read: bytes that are no UTF-8, lone surrogates too, become U+FFFD."""
    return F.make_valid_utf8(texts)


def joined(texts: Sequence[Column]) -> Column:
    """Several texts as one, line after line; nulls of several are left out."""
    return texts[0] if len(texts) == 1 else F.concat_ws("\n", *texts)


def normalised(texts: Column, form: TextForm, *, filtered: bool = False) -> Column:
    """Texts in the form in which they are compared; a null stays one.

    Parameters
    ----------
    texts : column of texts.
    form : the form.
    filtered : rows are filtered by it: else Spark would compute it once more below the filter.
    """

    def normalise(batch: pa.Array) -> pa.Array:
        return form.apply(batch).cast(pa.string())

    made = arrow_udf(normalise, "string")
    column: Column = (made.asNondeterministic() if filtered else made)(valid(texts))
    return column


def described(
    texts: Column, shingling: Shingling, bands: Bands, *, with_numbers: bool = False
) -> Column:
    """The hash of each text's set of shingles, and those of its bands; null where it has none.

    Parameters
    ----------
    texts : column of valid texts.
    shingling : how they become sets.
    bands : how many hashes of how many values of the signature.
    with_numbers : whether the shingles are wanted, too, as ``numbers`` has them.

    Returns
    -------
    Column of ``struct<hi: bigint, lo: bigint, bands: array<bigint>>``, and ``numbers: binary``.
    """

    def describe(batch: pa.Array) -> pa.Array:
        return describe_sets(shingling.sets(batch), bands, with_numbers=with_numbers)

    # Else Spark would compute it once more for each filter that it moves below.
    kind = f"{DESCRIBED}, numbers binary" if with_numbers else DESCRIBED
    column: Column = arrow_udf(describe, kind).asNondeterministic()(texts)
    return column


def describe_sets(sets: Iterator[Sets], bands: Bands, *, with_numbers: bool = False) -> pa.Array:
    """What ``described`` says of sets."""
    kind = pa.struct([*SAID, pa.field("numbers", pa.binary())]) if with_numbers else SAID
    said = [_described(chunk, bands, kind) for chunk in sets]
    return pa.concat_arrays(said or [pa.array([], kind)])


def _described(sets: Sets, bands: Bands, kind: pa.StructType) -> pa.Array:
    there = np.flatnonzero(sets.sizes)
    if not len(there):
        return pa.nulls(len(sets.sizes), kind)
    own = Sets(sets.values, np.append(sets.starts[there], sets.starts[-1]))
    high, low = hash_of_sets(own)
    hashes = band_hashes(signatures(own, bands.bands * bands.rows), bands)
    ends = np.arange(0, hashes.size + 1, bands.bands, dtype=np.int32)
    listed = pa.ListArray.from_arrays(ends, pa.array(hashes.ravel().view(np.int64)))
    # The place of each text among those that have shingles, null for one that has none.
    place = np.full(len(sets.sizes), -1)
    place[there] = np.arange(len(there))
    fields = [pa.array(high.view(np.int64)), pa.array(low.view(np.int64)), listed]
    if len(kind) > len(fields):
        fields.append(packed(own))
    whole = pa.StructArray.from_arrays(fields, fields=list(kind))
    return whole.take(pa.array(place, mask=place < 0))


def numbers(texts: Column, shingling: Shingling) -> Column:
    """Each text's set of shingles: sorted numbers of eight bytes, as binary."""

    def shingle(batch: pa.Array) -> pa.Array:
        return pa.concat_arrays([packed(sets) for sets in shingling.sets(batch)])

    column: Column = arrow_udf(shingle, "binary")(texts)
    return column


def similarity(one: Column, other: Column) -> Column:
    """The exact Jaccard similarity of two sets that ``numbers`` made."""

    def compare(a: pa.Array, b: pa.Array) -> pa.Array:
        return pa.array(jaccard(unpacked(a), unpacked(b)))

    column: Column = arrow_udf(compare, "double")(one, other)
    return column


def packed(sets: Sets) -> pa.Array:
    """Sets as an array of binary."""
    ends = pa.py_buffer((sets.starts * 8).astype(np.int32))
    data = pa.py_buffer(np.ascontiguousarray(sets.values))
    return pa.Array.from_buffers(pa.binary(), len(sets.sizes), [None, ends, data])


def unpacked(array: pa.Array) -> Sets:
    """The sets that ``packed`` made an array of.

    Examples
    --------
    >>> sets = Sets(np.array([3, 5, 9], np.uint64), np.array([0, 1, 1, 3]))
    >>> unpacked(packed(sets)[1:]).values.tolist()
    [5, 9]
    """
    starts = np.zeros(len(array) + 1, np.int64)
    array = pc.fill_null(array, b"")
    np.cumsum(pc.binary_length(array).to_numpy(zero_copy_only=False) // 8, out=starts[1:])
    joined = b"".join(array.to_pylist())
    return Sets(np.frombuffer(joined, np.uint64), starts)
