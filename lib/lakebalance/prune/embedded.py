"""Rows by the directions of their embeddings: checked, and divided into parts that lie together."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pydantic import Field
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

# Missing in PySpark's own list of what the module holds.
from pyspark.sql.functions import arrow_udf  # type: ignore[attr-defined]

from lakebalance.core.columns import column, kinds, require
from lakebalance.core.components import Scratch
from lakebalance.core.coordinates import NUMBERS
from lakebalance.core.directions import MOST_NUMBERS, on_grid
from lakebalance.core.errors import RecipeError
from lakebalance.core.hashing import salted
from lakebalance.core.kmeans import assign, kmeans
from lakebalance.core.registry import MethodOptions
from lakebalance.core.sources import KEY
from lakebalance.prune.rank import RANK

PART, PRODUCT, AT = "part", "product", "at"
FINE, NULL, ZERO, BAD = range(4)
# Rows that make up a part on average, and up to which all are one part.
USUAL, WHOLE = 1_000, 10_000
MOST_PARTS = 1_000
# Rows that a centroid is found by, and numbers that a task holds for it, of four bytes each.
SEEN = 64
HELD = 50_000_000
# A part that holds more than this of the one it came from would not become much smaller again.
DIVIDED = 0.9
Kind = type[np.float32] | type[np.float64]
Matrix = NDArray[np.floating]


class EmbeddedOptions(MethodOptions):
    """Which embeddings there are, and into how many clusters they are divided."""

    column: str = Field(min_length=1, description="Column of embeddings: arrays of numbers.")
    clusters: int | None = Field(
        None,
        ge=1,
        le=10_000,
        description="Clusters that k-means makes; where left out, one for every thousand rows, at "
        "most 1,000, and one in all up to 10,000 rows.",
    )
    max_iter: int = Field(10, ge=0, le=300, description="Most rounds of k-means.")


@dataclass(frozen=True)
class Embedded:
    """Rows that have an embedding: how many, and of how many numbers each."""

    rows: int
    size: int


def check_embedding(df: DataFrame, name: str, place: str) -> None:
    """Raise where a column is not there or holds no arrays of numbers.

    Parameters
    ----------
    df : the rows.
    name : the column.
    place : path in the recipe, for messages.

    Raises
    ------
    RecipeError : with the column's type and what to write instead.
    """
    require(df, [name], place)
    kind = kinds(df)[name]
    if not isinstance(kind, T.ArrayType) or not isinstance(kind.elementType, NUMBERS):
        raise RecipeError(
            f'{place}: column "{name}" is of type {kind.simpleString()}; name a column of arrays '
            "of numbers (a vector of Spark ML becomes one by vector_to_array)"
        )


def counted(df: DataFrame, name: str, place: str) -> Embedded:
    """How many rows have an embedding, and of which size; one job over the column.

    Raises
    ------
    RecipeError : embeddings are of several sizes, too long, or not finite.
    """
    said = arrow_udf(_look, "struct<flaw: tinyint, size: int>")
    looked = said.asNondeterministic()(_doubles(df, name)).alias("said")
    found = df.select(looked).groupBy("said.flaw", "said.size").count().toArrow().to_pylist()
    bad = sum(line["count"] for line in found if line["flaw"] == BAD)
    if bad:
        raise RecipeError(
            f'{place}: column "{name}" has a null, NaN or infinite number, or one too large to be '
            f"squared, in {bad:,} rows; filter them out"
        )
    sizes = {line["size"]: line["count"] for line in found if line["flaw"] == FINE}
    if len(sizes) > 1:
        (few, rows), *_, (many, others) = sorted(sizes.items())
        raise RecipeError(
            f'{place}: column "{name}" has arrays of {few:,} numbers ({rows:,} rows) to {many:,} '
            f"({others:,} rows); embeddings must all be of one size: filter the others out"
        )
    ((size, rows),) = sizes.items() or [(0, 0)]
    if size > MOST_NUMBERS:
        raise RecipeError(
            f'{place}: column "{name}" has arrays of {size:,} numbers; at most {MOST_NUMBERS:,} '
            "can be compared"
        )
    return Embedded(rows, size)


def in_parts(
    df: DataFrame,
    options: EmbeddedOptions,
    rank: Column,
    known: Embedded,
    max_rows: int,
    keep: Scratch,
) -> DataFrame:
    """The rows that have an embedding, each in a part with those that lie in its direction.

    Parts are those of spherical k-means on a sample of rows by key hash; one of more than
    ``max_rows`` is divided again in the same way, until none is or none can be.

    Parameters
    ----------
    df : rows with ``__lb_key``.
    options : the column of embeddings, and how k-means divides them at first.
    rank : a struct that is carried along.
    known : how many rows have an embedding, and of which size.
    max_rows : rows of a part that is not divided again.
    keep : writes a frame under a name and returns it as written.

    Returns
    -------
    Frame ``__lb_key``, ``__lb_rank``, ``at`` (binary, the numbers of the embedding), ``part`` int
    and ``product`` float, which is greater the nearer a row is to its part's centroid.
    """
    kind = kind_of(df, options.column)
    packed = arrow_udf(packing(kind), "binary").asNondeterministic()
    rows = df.select(
        KEY,
        rank.alias(RANK),
        packed(_doubles(df, options.column)).alias(AT),
        F.lit(0).alias(PART),
        F.lit(0).cast("float").alias(PRODUCT),
    )
    rows = rows.where(F.col(AT).isNotNull())
    sizes, wanted = {0: known.rows}, {0: options.clusters or usual(known.rows)}
    for level in itertools.count():
        centroids = _trained(rows, sizes, wanted, known.size, options.max_iter, kind)
        starts = _starts(centroids, max(sizes) + 1)
        rows = keep(_placed(rows, centroids, starts, kind), f"parts-{level}")
        whole, counts = sizes, rows.groupBy(PART).count().toArrow().to_pylist()
        sizes = {line[PART]: line["count"] for line in counts}
        wanted = {
            start + i: divisions(sizes[start + i])
            for part, start in starts.items()
            for i in range(len(centroids[part]))
            if max_rows < sizes.get(start + i, 0) <= DIVIDED * whole[part]
        }
        if not wanted:
            break
    return rows


def usual(rows: int) -> int:
    """Into how many parts so many rows are divided.

    Examples
    --------
    >>> usual(10_000), usual(10_001), usual(200_000), usual(10**9)
    (1, 11, 200, 1000)
    """
    return 1 if rows <= WHOLE else divisions(rows)


def divisions(rows: int) -> int:
    """Into how many parts rows are divided that are too many for one."""
    return min(math.ceil(rows / USUAL), MOST_PARTS)


def _starts(centroids: Mapping[int, NDArray[np.int16]], first: int) -> dict[int, int]:
    """The number of the first part that each divided part becomes."""
    ends = itertools.accumulate((len(centroids[part]) for part in centroids), initial=first)
    return dict(zip(centroids, ends, strict=False))


def kind_of(df: DataFrame, name: str) -> Kind:
    """The numbers that tasks get: single ones stay so, as they take half the room."""
    kind = kinds(df)[name]
    single = isinstance(kind, T.ArrayType) and isinstance(kind.elementType, T.FloatType)
    return np.float32 if single else np.float64


def _doubles(df: DataFrame, name: str) -> Column:
    value = column(name)
    return value if kind_of(df, name) is np.float32 else value.cast("array<double>")


def _flaws(batch: pa.Array) -> tuple[NDArray[np.int8], NDArray[np.int32]]:
    """What is wrong with each embedding, and its size."""
    sizes = pc.fill_null(pc.list_value_length(batch), 0).to_numpy(zero_copy_only=False)
    values = batch.flatten()
    numbers = pc.fill_null(values, math.nan).to_numpy(zero_copy_only=False).astype(np.float64)
    flaw = np.full(len(batch), FINE, np.int8)
    filled = np.flatnonzero(sizes)
    if len(filled):
        starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])[filled]
        with np.errstate(over="ignore", invalid="ignore"):
            lengths = np.add.reduceat(numbers * numbers, starts)
        flaw[filled] = np.where(np.isfinite(lengths), np.where(lengths == 0, ZERO, FINE), BAD)
    flaw[sizes == 0] = ZERO
    flaw[batch.is_null().to_numpy(zero_copy_only=False)] = NULL
    return flaw, sizes.astype(np.int32)


def _look(batch: pa.Array) -> pa.Array:
    """What is wrong with each embedding, and its size, for Spark."""
    flaw, sizes = _flaws(batch)
    return pa.StructArray.from_arrays([pa.array(flaw), pa.array(sizes)], ["flaw", "size"])


def packing(kind: Kind) -> Callable[[pa.Array], pa.Array]:
    """The task that makes embeddings binary, and null where they have no direction."""

    def pack(batch: pa.Array) -> pa.Array:
        flaw, sizes = _flaws(batch)
        width = np.dtype(kind).itemsize
        ends = np.concatenate([[0], np.cumsum(sizes)]) * width
        numbers = np.ascontiguousarray(batch.flatten().to_numpy(zero_copy_only=False), kind)
        # A batch is far below 2^31 bytes: Spark gives some ten thousand rows at a time.
        offsets = pa.py_buffer(ends.astype(np.int32))
        valid = pa.array(flaw == FINE)
        whole = pa.Array.from_buffers(
            pa.binary(), len(batch), [None, offsets, pa.py_buffer(numbers)]
        )
        return pc.if_else(valid, whole, pa.scalar(None, pa.binary()))

    return pack


def matrix(packed: pa.Array, kind: Kind) -> Matrix:
    """Embeddings that ``packing`` made binary, one a row; all there and of one size."""
    if not len(packed):
        return np.empty((0, 0), kind)
    numbers: Matrix = np.frombuffer(b"".join(packed.to_pylist()), kind)
    return numbers.reshape(len(packed), -1)


def _trained(
    rows: DataFrame,
    sizes: Mapping[int, int],
    wanted: Mapping[int, int],
    size: int,
    max_iter: int,
    kind: Kind,
) -> dict[int, NDArray[np.int16]]:
    """Centroids of each part that is to be divided, from some of its rows; one job."""
    seen = {
        part: min(max(SEEN * count, WHOLE), max(HELD // size, count))
        for part, count in wanted.items()
    }
    limits = {
        part: 2**63 - 1
        if seen[part] >= sizes[part]
        else math.floor((seen[part] / sizes[part] - 0.5) * 2**64)
        for part in wanted
    }
    pairs = [F.lit(number) for pair in limits.items() for number in pair]
    chance = salted("k-means", [F.col(f"{KEY}.hi"), F.col(f"{KEY}.lo")])
    limit = F.lit(limits[0]) if list(limits) == [0] else F.create_map(*pairs)[F.col(PART)]
    sample = rows.where(chance <= limit).select(PART, f"{KEY}.hi", f"{KEY}.lo", AT)

    def train(table: pa.Table) -> pa.Table:
        part = table[PART][0].as_py()
        order = np.lexsort((table["lo"].to_numpy(), table["hi"].to_numpy()))
        directions = on_grid(matrix(table[AT].combine_chunks(), kind))[order]
        found = kmeans(directions, min(wanted[part], len(directions)), max_iter)
        centroids = [line.tobytes() for line in found.astype(np.int16)]
        own = pa.array([part] * len(centroids), pa.int32())
        return pa.table([own, pa.array(centroids, pa.binary())], [PART, AT])

    found = sample.groupBy(PART).applyInArrow(train, f"{PART} int, {AT} binary").toArrow()
    made: dict[int, list[bytes]] = {}
    for part, centroid in zip(found[PART].to_pylist(), found[AT].to_pylist(), strict=True):
        made.setdefault(part, []).append(centroid)
    return {
        part: np.frombuffer(b"".join(made[part]), np.int16).reshape(len(made[part]), -1)
        for part in sorted(made)
    }


def _placed(
    rows: DataFrame,
    centroids: Mapping[int, NDArray[np.int16]],
    starts: Mapping[int, int],
    kind: Kind,
) -> DataFrame:
    """The rows, each of a divided part in the part of its nearest centroid."""

    def place(packed: pa.Array, part: pa.Array, product: pa.Array) -> pa.Array:
        own, near = part.to_numpy().copy(), product.to_numpy().copy()
        for old in np.unique(own).tolist():
            if old not in starts:
                continue
            which = np.flatnonzero(own == old)
            directions = on_grid(matrix(packed.take(pa.array(which)), kind))
            found = assign(directions, centroids[old].astype(np.float32))
            own[which], near[which] = found.cluster + starts[old], found.product
        return pa.StructArray.from_arrays([pa.array(own), pa.array(near)], [PART, PRODUCT])

    placing = arrow_udf(place, f"struct<{PART}: int, {PRODUCT}: float>").asNondeterministic()
    said = placing(F.col(AT), F.col(PART), F.col(PRODUCT)).alias("said")
    placed = rows.select(KEY, RANK, AT, said)
    return placed.select(KEY, RANK, AT, f"said.{PART}", f"said.{PRODUCT}")


def batches_of(
    batches: Iterator[pa.RecordBatch], kind: Kind
) -> Iterator[tuple[pa.RecordBatch, Matrix]]:
    """Sorted rows part by part, at most a block at a time: a part's blocks follow each other."""
    for batch in batches:
        part = batch[PART].to_numpy()
        edges = np.concatenate([[0], np.flatnonzero(np.diff(part)) + 1, [len(part)]])
        for start, end in itertools.pairwise(edges):
            own = batch.slice(start, end - start)
            yield own, matrix(own[AT], kind)
