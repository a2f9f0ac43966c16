"""Which nodes of a graph stay if they are taken in order and none stays beside one that does.

An edge leads from the node that is taken first to the other one; nodes are 128-bit hashes. A node
goes where one that stays leads to it: the greedy independent set of that order, which is maximal.
Few edges are solved in one task. More go through rounds, each written to a scratch table, in which
nodes to which nothing leads stay and take their neighbours out, until one task can hold the rest.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakebalance.core.components import AT_ONCE, NODE, TO, Scratch, Task, flat_ends, numbered
from lakebalance.core.errors import TableError

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

# In an order by chance, rounds grow with the square of the logarithm of the nodes.
MOST_ROUNDS = 200


def independent(a: Ints, b: Ints, nodes: int) -> Flags:
    """Whether each node stays.

    Parameters
    ----------
    a, b : the ends of each edge, from 0 to below ``nodes``; ``a`` is taken before ``b``, so that no
        way leads back.
    nodes : how many nodes there are.

    Returns
    -------
    True for nodes that stay. Each edge is looked at twice, whatever their order.

    Examples
    --------
    >>> independent(np.array([0, 1, 2, 0]), np.array([1, 2, 3, 4]), 5).tolist()
    [True, False, True, False, False]
    """
    order = np.argsort(a, kind="stable")
    ends = b[order]
    starts = np.searchsorted(a[order], np.arange(nodes + 1))
    # How many nodes before each are not decided yet.
    left = np.bincount(b, minlength=nodes)
    stays = np.zeros(nodes, bool)
    decided = np.zeros(nodes, bool)
    free = np.flatnonzero(left == 0)
    while len(free):
        stays[free] = decided[free] = True
        gone = np.unique(_after(free, starts, ends))
        gone = gone[~decided[gone]]
        decided[gone] = True
        after, lost = np.unique(_after(gone, starts, ends), return_counts=True)
        left[after] -= lost
        free = after[(left[after] == 0) & ~decided[after]]
    return stays


def _after(nodes: Ints, starts: Ints, ends: Ints) -> Ints:
    """Where the edges of some nodes lead to."""
    count = starts[nodes + 1] - starts[nodes]
    first = np.repeat(starts[nodes] - np.cumsum(count) + count, count)
    found: Ints = ends[first + np.arange(int(count.sum()))]
    return found


def dependent(
    edges: DataFrame,
    place: str,
    scratch: Scratch | None = None,
    at_once: int = AT_ONCE,
    most_rounds: int = MOST_ROUNDS,
) -> DataFrame:
    """The nodes that go, as one that stays leads to them.

    Parameters
    ----------
    edges : frame ``node`` and ``to``, structs of ``hi`` and ``lo`` bigint: ``node`` is taken before
        ``to``. Each any number of times; no way may lead back.
    place : path in the recipe, for messages.
    scratch : writes a frame under a name and returns it as written; None where nothing may be
        written, so that one task must do.
    at_once : most edges that one task works on, some 300 bytes each.
    most_rounds : so often at most are edges written before one task can hold them.

    Returns
    -------
    Frame ``node``, each once.

    Raises
    ------
    TableError : there are too many edges for a task and nothing may be written, or too many are
        left after the rounds, as in long chains.

    References
    ----------
    Blelloch, Fineman, Shun, "Greedy Sequential Maximal Independent Set and Matching are Parallel on
    Average", 2012.
    """
    left = edges.select(NODE, TO)
    gone: list[DataFrame] = []
    if scratch is not None:
        left = scratch(left.distinct(), "ordered-0")
        for turn in range(1, most_rounds + 2):
            if left.count() <= at_once:
                break
            if turn > most_rounds:
                raise TableError(
                    f"{place}: more than {at_once:,} near-duplicates are left after {most_rounds} "
                    "rounds; write link: connected, a higher threshold, or another keep"
                )
            round_ = scratch(_round(left), f"ordered-{turn}")
            gone.append(round_.where(F.col(TO).isNull()).select(NODE))
            left = round_.where(F.col(TO).isNotNull())
    solved = (
        flat_ends(left).repartition(1).mapInArrow(_solving(at_once, place), "hi bigint, lo bigint")
    )
    found = solved.select(F.struct("hi", "lo").alias(NODE))
    for nodes in gone:
        found = found.union(nodes)
    return found


def _round(edges: DataFrame) -> DataFrame:
    """The edges between nodes that are not decided yet, and the nodes that go, with a null end."""
    free = (
        edges.select(NODE).distinct().join(edges.select(F.col(TO).alias(NODE)), NODE, "left_anti")
    )
    gone = edges.join(free, NODE, "left_semi").select(F.col(TO).alias(NODE)).distinct()
    left = edges.join(free, NODE, "left_anti").join(gone, NODE, "left_anti")
    left = left.join(gone.withColumnRenamed(NODE, TO), TO, "left_anti")
    nobody = F.lit(None).cast("struct<hi: bigint, lo: bigint>")
    return left.select(NODE, TO).union(gone.select(NODE, nobody.alias(TO)))


def _solving(at_once: int, place: str) -> Task:
    """The task that says which nodes go."""

    def solve(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        held: list[pa.RecordBatch] = []
        for batch in batches:
            held.append(batch)
            if sum(map(len, held)) > at_once:
                raise TableError(
                    f"{place}: more than {at_once:,} near-duplicates; too many for one task, and a "
                    "plan may not write: run the recipe instead"
                )
        if any(map(len, held)):
            yield _gone(pa.Table.from_batches(held))

    return solve


def _gone(edges: pa.Table) -> pa.RecordBatch:
    hi, lo, a, b = numbered(edges)
    gone = ~independent(a, b, len(hi))
    return pa.RecordBatch.from_arrays([pa.array(hi[gone]), pa.array(lo[gone])], ["hi", "lo"])
