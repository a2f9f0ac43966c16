"""Connected components of a graph whose nodes are 128-bit hashes, with DataFrames alone.

Edges are first contracted where they lie: what is left of a partition's is a forest. A graph of few
edges is then solved in one task. A larger one goes through rounds of large-star and small-star,
each written to a scratch table, until one task can hold it or nothing changes.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakebalance.core import graph
from lakebalance.core.errors import TableError

Scratch = Callable[[DataFrame, str], DataFrame]
Ints = NDArray[np.int64]

NODE, TO = "node", "to"
ENDS = ("hi", "lo", "to_hi", "to_lo")
EDGE = ", ".join(f"{name} bigint" for name in ENDS)
# 32 bytes each, and about ten times that while they are sorted.
AT_ONCE = 5_000_000


def writing(scratch: Scratch | None) -> Scratch:
    """What writes a frame under a name, or leaves it as it is where nothing may be written."""
    return scratch or (lambda frame, _: frame)


def components(
    edges: DataFrame, place: str, scratch: Scratch | None = None, at_once: int = AT_ONCE
) -> DataFrame:
    """The least node of the component of each node that has an edge.

    Parameters
    ----------
    edges : frame ``node`` and ``to``, structs of ``hi`` and ``lo`` bigint; in any direction, any
        number of times.
    place : path in the recipe, for messages.
    scratch : writes a frame under a name and returns it as written; None where nothing may be
        written, so that one task must do.
    at_once : most edges that one task works on, some 300 bytes each.

    Returns
    -------
    Frame ``node`` and ``to``, the least node of its component; a row for each node.

    Raises
    ------
    TableError : from the task, where there are too many edges for it and nothing may be written.

    References
    ----------
    Kiveris, Lattanzi, Mirrokni, Rastogi, Vassilvitskii, "Connected Components in MapReduce and
    Beyond", 2014: large-star and small-star in turn, O(log² n) rounds.
    """
    left = flat_ends(edges).mapInArrow(_contracting(at_once), EDGE)
    if scratch is not None:
        left = scratch(left, "edges")
        if left.count() > at_once:
            left, done = _rounds(left, scratch, at_once)
            if done:
                return _ends(left).union(_ends(left).select(F.col(TO).alias(NODE), TO).distinct())
    return _ends(left.repartition(1).mapInArrow(_solving(at_once, place), EDGE))


def flat_ends(edges: DataFrame) -> DataFrame:
    """Edges as Arrow compares them: their ends in halves."""
    return edges.select(
        "node.hi", "node.lo", F.col("to.hi").alias("to_hi"), F.col("to.lo").alias("to_lo")
    )


def _ends(flat: DataFrame) -> DataFrame:
    to = F.struct(F.col("to_hi").alias("hi"), F.col("to_lo").alias("lo"))
    return flat.select(F.struct("hi", "lo").alias(NODE), to.alias(TO))


def _rounds(left: DataFrame, scratch: Scratch, at_once: int) -> tuple[DataFrame, bool]:
    """The edges when one task can hold them, or when each leads to its component's least node."""
    before = None
    for turn in itertools.count(1):
        starred = flat_ends(_small_star(_large_star(_ends(left))))
        left = scratch(starred.mapInArrow(_contracting(at_once), EDGE), f"edges-{turn}")
        count, marks = left.agg(F.count(F.lit(1)), F.bit_xor(F.xxhash64(*ENDS))).collect()[0]
        if count <= at_once:
            return left, False
        if (count, marks) == before:
            return left, True
        before = (count, marks)
    raise AssertionError("rounds end when nothing changes")


def _large_star(edges: DataFrame) -> DataFrame:
    """Each node's greater neighbours, linked to the least of it and its neighbours."""
    both = edges.union(edges.select(F.col(TO).alias(NODE), F.col(NODE).alias(TO)))
    least = both.groupBy(NODE).agg(F.least(F.min(TO), F.col(NODE)).alias("least"))
    greater = both.where(F.col(TO) > F.col(NODE)).join(least, NODE)
    return greater.select(F.col(TO).alias(NODE), F.col("least").alias(TO)).distinct()


def _small_star(edges: DataFrame) -> DataFrame:
    """Each node and its lesser neighbours, linked to the least of these."""
    down = edges.select(F.greatest(NODE, TO).alias(NODE), F.least(NODE, TO).alias(TO))
    least = down.groupBy(NODE).agg(F.min(TO).alias("least"))
    lesser = down.join(least, NODE).where(F.col(TO) != F.col("least"))
    moved = lesser.select(F.col(TO).alias(NODE), F.col("least").alias(TO))
    return moved.union(least.select(NODE, F.col("least").alias(TO))).distinct()


class _Forest(NamedTuple):
    """Nodes in order of their hashes, and of each the least one of its component."""

    hi: Ints
    lo: Ints
    root: Ints

    def batch(self, which: Ints) -> pa.RecordBatch:
        to = self.root[which]
        columns = [self.hi[which], self.lo[which], self.hi[to], self.lo[to]]
        return pa.RecordBatch.from_arrays([pa.array(column) for column in columns], ENDS)


def numbered(edges: pa.Table) -> tuple[Ints, Ints, Ints, Ints]:
    """The nodes of some edges in order of their hashes, in halves, and each edge's ends as numbers.

    Parameters
    ----------
    edges : columns ``hi``, ``lo``, ``to_hi`` and ``to_lo``.
    """
    hi, lo, to_hi, to_lo = (edges[name].to_numpy() for name in ENDS)
    hi, lo = np.concatenate([hi, to_hi]), np.concatenate([lo, to_lo])
    order = np.lexsort((lo, hi))
    hi, lo = hi[order], lo[order]
    new = np.ones(len(hi), bool)
    new[1:] = (hi[1:] != hi[:-1]) | (lo[1:] != lo[:-1])
    number = np.empty(len(hi), np.int64)
    number[order] = np.cumsum(new) - 1
    a, b = np.split(number, 2)
    return hi[new], lo[new], a, b


def _forest(edges: pa.Table) -> _Forest:
    hi, lo, a, b = numbered(edges)
    return _Forest(hi, lo, graph.components(a, b, len(hi)))


Task = Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]


def _contracting(at_once: int) -> Task:
    """The task that leaves of a partition's edges one for each node, to the least it leads to."""

    def contract(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for forest in _forests(batches, at_once):
            yield forest.batch(np.flatnonzero(forest.root != np.arange(len(forest.root))))

    return contract


def _solving(at_once: int, place: str) -> Task:
    """The task that says of each node the least of its component."""

    def solve(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for i, forest in enumerate(_forests(batches, at_once)):
            if i or len(np.unique(forest.root)) + at_once < len(forest.root):
                raise TableError(
                    f"{place}: more than {at_once:,} rows have near-duplicates; too many to find "
                    "clusters in one task, and a plan may not write: run the recipe instead"
                )
            yield forest.batch(np.arange(len(forest.root)))

    return solve


def _forests(batches: Iterator[pa.RecordBatch], at_once: int) -> Iterator[_Forest]:
    """The edges as forests of at most about ``at_once`` edges: one, where that holds them all."""
    held: list[pa.RecordBatch] = []
    for batch in batches:
        held.append(batch)
        if sum(map(len, held)) <= 2 * at_once:
            continue
        forest = _forest(pa.Table.from_batches(held))
        edges = forest.batch(np.flatnonzero(forest.root != np.arange(len(forest.root))))
        held = [edges]
        if len(edges) > at_once:
            yield forest
            held = []
    if any(map(len, held)):
        yield _forest(pa.Table.from_batches(held))
