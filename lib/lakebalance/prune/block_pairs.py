"""The near-duplicates among the records of each block: all of its pairs are compared.

A large block is cut into tiles, and each two tiles are a piece of work of their own, so that a task
holds few records, and a block is shared among tasks. What all pairs of a block would cost has a
limit: larger ones are refused before anything is compared.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakebalance.core.columns import kinds
from lakebalance.core.components import EDGE, ENDS
from lakebalance.core.record_pairs import Rule, pairs
from lakebalance.core.record_similarity import Likeness
from lakebalance.core.record_values import Flags, Ints, Values
from lakebalance.prune.block_keys import BLOCK, RULE, STEPPED
from lakebalance.prune.candidates import SET

SIZE, ONE, OTHER, TILE = "n", "one", "other", "tile"
PIECE = (RULE, BLOCK, ONE, OTHER)
# Records of a tile, and tiles of the largest block that is allowed: a record is in as many pieces
# of work as its block has tiles.
TILE_ROWS, MOST_TILES = 512, 64
# Pairs that are compared at once, some 200 bytes each.
AT_ONCE = 2**16
# Pairs of a task, and records: a second's work or a few.
PAIRS_A_TASK, RECORDS_A_TASK, MOST_TASKS = 1_000_000, 100_000, 10_000


class Work(NamedTuple):
    """How many pairs there are to compare, of how many records, and the largest block."""

    pairs: int
    records: int
    largest: int
    rule: int | None
    block: int | None

    @property
    def tasks(self) -> int:
        """How many tasks share it."""
        wanted = self.pairs // PAIRS_A_TASK + self.records // RECORDS_A_TASK + 1
        return min(wanted, MOST_TASKS)


def sizes(blocked: DataFrame) -> DataFrame:
    """The blocks of more than one record, and how many each has: ``rule``, ``block``, ``n``."""
    counted = blocked.groupBy(RULE, BLOCK).agg(F.count(F.lit(1)).alias(SIZE))
    return counted.where(F.col(SIZE) > 1)


def measure(size: DataFrame) -> Work:
    """What there is to do, in one action that returns a line."""
    n = F.col(SIZE).cast("decimal(38, 0)")
    line = size.agg(
        F.sum(n * (n - 1)).alias("pairs"),
        F.sum(n).alias("records"),
        F.max(F.struct(SIZE, RULE, BLOCK)).alias("largest"),
    ).collect()[0]
    if line["largest"] is None:
        return Work(0, 0, 0, None, None)
    return Work(int(line["pairs"]) // 2, int(line["records"]), *line["largest"])


def tile_rows(max_block: int) -> int:
    """Records of a tile, so that the largest block has 64 of them at most.

    Examples
    --------
    >>> tile_rows(10_000), tile_rows(1_000_000)
    (512, 15625)
    """
    return max(TILE_ROWS, math.ceil(max_block / MOST_TILES))


def near_pairs(
    blocked: DataFrame,
    size: DataFrame,
    tasks: int,
    max_block: int,
    rules: Sequence[Rule],
    likeness: Likeness,
) -> DataFrame:
    """The pairs of records that share a block, agree by its rule, and are near-duplicates.

    Parameters
    ----------
    blocked : frame ``set``, ``rule``, ``block``, ``stepped``, and the columns that are compared.
    size : how many records are in which block.
    tasks : among how many the pairs are shared.
    max_block : most records of a block.
    rules, likeness : which pairs are wanted.

    Returns
    -------
    Frame ``a`` and ``b`` (structs of ``hi`` and ``lo``), any of them several times. A task holds
    two tiles of records and ``AT_ONCE`` pairs.
    """
    rows = tile_rows(max_block)
    tiles = F.ceil(F.col(SIZE) / F.lit(rows)).cast("int")
    tiled = blocked.join(size, [RULE, BLOCK]).withColumns(
        {"tiles": tiles, TILE: F.pmod("set.lo", tiles).cast("int")}
    )
    with_each = F.explode(F.sequence(F.lit(0), F.col("tiles") - 1)).alias("with")
    tiled = tiled.select("*", with_each)
    mine, its = F.col(TILE), F.col("with")
    flat = tiled.select(
        RULE,
        BLOCK,
        F.least(mine, its).alias(ONE),
        F.greatest(mine, its).alias(OTHER),
        TILE,
        STEPPED,
        "set.hi",
        "set.lo",
        *[name for name in kinds(blocked) if name not in (RULE, BLOCK, STEPPED, SET)],
    )
    order = [*PIECE, TILE, "hi", "lo"]
    placed = flat.repartition(tasks, *PIECE).sortWithinPartitions(*order)
    found = placed.mapInArrow(comparing(rules, likeness), EDGE)
    return found.select(_end("hi", "lo").alias("a"), _end("to_hi", "to_lo").alias("b"))


def _end(hi: str, lo: str) -> Column:
    return F.struct(F.col(hi).alias("hi"), F.col(lo).alias("lo"))


Task = Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]


def comparing(rules: Sequence[Rule], likeness: Likeness) -> Task:
    """The task that compares the records of each piece, which come in order."""

    def compare(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for table in whole_pieces(batches):
            values = Values(table)
            ends = [table[name].to_numpy() for name in ("hi", "lo")]
            for a, b in _pairs_of(table):
                near = _near(values, a, b, rules, likeness)
                columns = [end[side[near]] for side in (a, b) for end in ends]
                yield pa.RecordBatch.from_arrays([pa.array(c) for c in columns], ENDS)

    return compare


def whole_pieces(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.Table]:
    """The rows in tables that cut no piece in two."""
    held: list[pa.Table] = []
    for batch in batches:
        table = pa.Table.from_batches([batch])
        if not len(table):
            continue
        first = _starts(table)[-1]
        if held and (first or _key(held[-1], -1) != _key(table, 0)):
            yield pa.concat_tables([*held, table[:first]])
            held = []
        elif first:
            yield table[:first]
        held.append(table[first:])
    if held:
        yield pa.concat_tables(held)


def _key(table: pa.Table, row: int) -> tuple[Any, ...]:
    return tuple(table[name][row].as_py() for name in PIECE)


def _starts(table: pa.Table) -> Ints:
    """Where each piece begins."""
    new = np.zeros(len(table), bool)
    new[0] = True
    for name in PIECE:
        column = table[name].to_numpy()
        new[1:] |= column[1:] != column[:-1]
    return np.flatnonzero(new)


def _pairs_of(table: pa.Table) -> Iterator[tuple[Ints, Ints]]:
    """All pairs of each piece: of one tile, or of one record from each of two."""
    starts = _starts(table)
    lengths = np.diff(np.append(starts, len(table)))
    piece = np.repeat(np.arange(len(starts)), lengths)
    start = starts[piece]
    one, other, tile = (table[name].to_numpy() for name in (ONE, OTHER, TILE))
    # Those of the first tile come first.
    first = np.bincount(piece[tile == one], minlength=len(starts))[piece]
    across = np.where(tile == other, first, 0)
    count = np.where(one == other, np.arange(len(table)) - start, across)
    yield from pairs(start, count, AT_ONCE)


def _near(values: Values, a: Ints, b: Ints, rules: Sequence[Rule], likeness: Likeness) -> Flags:
    """Which pairs agree by the rule that brought them together, and are near-duplicates."""
    found = np.zeros(len(a), bool)
    rule = values.table[RULE].to_numpy()[a]
    stepped = values.table[STEPPED].to_numpy()
    # Both in the block of the next band: they share that of their own.
    once = (stepped[a] & stepped[b]) == 0
    for i in np.unique(rule).tolist():
        left = np.flatnonzero((rule == i) & once)
        left = left[rules[i].agrees(values, a[left], b[left])]
        for before in rules[:i]:
            # Compared there, too; to see it by sets would take longer than to compare twice.
            if before.overlap is None:
                left = left[~before.agrees(values, a[left], b[left])]
        found[left] = likeness.near(values, a[left], b[left])
    return found
