"""Compares rows: whether a table holds those of another, for a sample of them or for all.

Rows are compared by 128-bit hashes of the columns that both have. The sample is of hashes: all rows
whose hash lies below a limit, on both sides. So a row's copies are in the sample with it, and they
are counted on both sides; nothing but the sample is moved. Pairs share jobs.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial, reduce

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakebalance.core.beside import each
from lakebalance.core.errors import TableError
from lakebalance.core.small_tables import small_table
from lakebalance.lake.facts import TableFacts
from lakebalance.lake.hashes import NOBODY, Hashes, Side
from lakebalance.lake.log_reading import each_or_said, reason
from lakebalance.lake.pinned import Pinned
from lakebalance.lake.ranges import has_more_rows
from lakebalance.lake.schema_graph import Edge

# Scans in one job; more make plans that take long to analyse.
MOST_SCANS = 40
# Rows that a job moves, about.
MOST_ROWS = 20_000_000
# So many rows of a child are sent to where its parents are read.
FEW = 100_000


@dataclass(frozen=True)
class Pair:
    """A child and a possible parent at their versions, and the share of rows to compare."""

    edge: Edge
    child: TableFacts
    parent: TableFacts
    share: float

    @classmethod
    def sampled(cls, edge: Edge, child: TableFacts, parent: TableFacts, size: int) -> Pair:
        """A pair of which about so many different rows of the child are compared."""
        return cls(edge, child, parent, share_for(size, child.rows))

    @property
    def tables(self) -> tuple[TableFacts, TableFacts]:
        """Child and parent."""
        return self.child, self.parent

    def may_hold(self, share: float) -> bool:
        """Whether the parent has rows enough for so large a share of the child's."""
        return not has_more_rows(self.child, self.parent, share)

    @property
    def is_lopsided(self) -> bool:
        """Whether few rows are all looked up among many, of which the others need not be moved."""
        own, others = self.child.rows, self.parent.rows
        if self.share < 1 or self.parent.plain or own is None or own > FEW:
            return False
        return others is None or others > 4 * own


@dataclass(frozen=True)
class Compared:
    """What a comparison found: different rows and rows of the child, and how many have no match.

    ``share`` of 1 means that all were compared.
    """

    distinct: int
    rows: int
    missing: int
    share: float

    def risk(self, fraction: float) -> float:
        """How likely a sample misses that this fraction of the child's distinct rows is missing.

        Examples
        --------
        >>> round(Compared(688, 700, 0, 0.01).risk(0.01), 6), Compared(5, 5, 0, 1.0).risk(0.01)
        (0.000993, 0.0)
        """
        return 0.0 if self.share >= 1 else math.pow(1 - fraction, self.distinct)


def sample_size(fraction: float, risk: float) -> int:
    """How many rows to look at, so that a missing fraction is overlooked with at most this risk.

    s = ln risk / ln(1 − fraction), rounded up: each of s rows is among those that are there.

    Parameters
    ----------
    fraction : of the child's distinct rows, from above 0 to below 1.
    risk : from above 0 to below 1.

    Examples
    --------
    >>> sample_size(0.01, 0.001)
    688
    """
    return math.ceil(math.log(risk) / math.log1p(-fraction))


def share_for(size: int, rows: int | None) -> float:
    """The share of hashes with which at least ``size`` distinct rows are sampled, if none repeat.

    Five standard deviations over the mean, and up to a power of two, so that children of about one
    size share their parents' hashes; all rows where their number is not known.

    Examples
    --------
    >>> share_for(688, 10**6) * 1024, share_for(688, 500), share_for(688, None)
    (1.0, 1.0, 1.0)
    """
    if not rows:
        return 1.0
    share = (size + 5 * math.sqrt(size) + 5) / rows
    return math.ldexp(1.0, min(0, math.ceil(math.log2(share))))


def compare(
    spark: SparkSession, pairs: Sequence[Pair], seed: int = 0
) -> tuple[list[tuple[Edge, Compared]], list[tuple[Edge, str]]]:
    """Compare the rows of pairs of tables, a few pairs a job.

    Parameters
    ----------
    spark : a session, classic or Connect.
    pairs : what to compare.
    seed : of the sample: which hashes are in it.

    Returns
    -------
    What was found, and why other pairs could not be compared.
    """
    # Nothing is missing of a table that is empty, as its log says.
    found = [(pair.edge, Compared(0, 0, 0, 1.0)) for pair in pairs if pair.child.rows == 0]
    wanted = [pair for pair in pairs if pair.child.rows != 0]
    failed: list[tuple[Edge, str]] = []
    frames, unread = _opened(spark, [t for p in wanted for t in p.tables if not t.plain])
    for pair in wanted:
        ends = [why for t in pair.tables if (why := unread.get(t.table))]
        failed += [(pair.edge, why) for why in ends[:1]]
    readable = [p for p in wanted if not any(t.table in unread for t in p.tables)]
    some = partial(_compare_or_open, spark, frames=frames, seed=seed)
    compared = each(spark, batches(readable), lambda batch: each_or_said(batch, some, "its rows"))
    for results, problems in compared:
        found += results
        failed += [(pair.edge, why) for pair, why in problems]
    return found, failed


def _opened(
    spark: SparkSession, tables: Sequence[TableFacts]
) -> tuple[dict[str, DataFrame], dict[str, str]]:
    """Each table at its version, once for all comparisons, and why others cannot be read."""

    def opened(table: TableFacts) -> DataFrame | str:
        try:
            return Pinned.of(table).read(spark)
        except Exception as error:
            return reason(error, table.table)

    by_name = {table.table: table for table in tables}
    found = dict(zip(by_name, each(spark, by_name.values(), opened), strict=True))
    frames = {name: df for name, df in found.items() if not isinstance(df, str)}
    return frames, {name: why for name, why in found.items() if isinstance(why, str)}


def batches(pairs: Sequence[Pair]) -> Iterator[list[Pair]]:
    """Pairs that are compared in one job; those of the same columns stand together."""
    batch: list[Pair] = []
    scans: set[object] = set()
    rows = 0.0
    for pair in sorted(pairs, key=lambda p: (p.edge.columns, p.edge.parent, p.edge.child)):
        more = {side.scan for side in _sides(pair)}
        if batch and (len(scans | more) > MOST_SCANS or rows > MOST_ROWS):
            yield batch
            batch, scans, rows = [], set(), 0.0
        batch.append(pair)
        scans |= more
        rows += pair.share * sum(t.rows or 0 for t in pair.tables)
    if batch:
        yield batch


def _sides(pair: Pair) -> tuple[Side, Side]:
    own = tuple(name for name, _ in pair.edge.columns)
    others = tuple(name for _, name in pair.edge.columns)
    kinds = _kinds(pair.parent, others)
    child, parent = pair.tables
    return (
        Side(child.table, own, _kinds(child, own), kinds, pair.share, child.plain),
        Side(parent.table, others, kinds, kinds, pair.share, parent.plain, pair.is_lopsided),
    )


def _kinds(table: TableFacts, names: Sequence[str]) -> tuple[str, ...]:
    return tuple(json.dumps(table.by_name[name].kind, sort_keys=True) for name in names)


def _compare_or_open(
    spark: SparkSession, pairs: Sequence[Pair], *, frames: Mapping[str, DataFrame], seed: int
) -> list[tuple[Edge, Compared]]:
    """Compare; a pair that alone cannot be compared by its files, by Delta."""
    try:
        return _compare(spark, pairs, frames, seed)
    except Exception:
        plain = [t for pair in pairs for t in pair.tables if t.table not in frames]
        if len(pairs) > 1 or not plain:
            raise
    opened, unread = _opened(spark, plain)
    if unread:
        raise TableError(next(iter(unread.values())))
    return _compare(spark, pairs, {**frames, **opened}, seed)


def _compare(
    spark: SparkSession, pairs: Sequence[Pair], frames: Mapping[str, DataFrame], seed: int
) -> list[tuple[Edge, Compared]]:
    of_pairs = [_sides(pair) for pair in pairs]
    sides = {s: i for i, s in enumerate(dict.fromkeys(s for both in of_pairs for s in both))}
    hashes = Hashes(spark, frames, seed)
    rows_of = [hashes.of({s: i for s, i in sides.items() if not s.probed})]
    if probed := {s: i for s, i in sides.items() if s.probed}:
        few = hashes.of({both[0]: sides[both[0]] for both in of_pairs if both[1].probed})
        wanted = F.broadcast(few.select("hi").distinct())
        rows_of.append(hashes.of(probed).join(wanted, "hi", "left_semi"))
    counted = reduce(DataFrame.unionByName, rows_of).groupBy("side", "hi", "lo").count()
    roles = [
        (sides[side], i, role) for i, both in enumerate(of_pairs) for role, side in enumerate(both)
    ]
    of_side = small_table(spark, ["side", "pair", "role"], [*roles, (NOBODY, NOBODY, 0)])
    own = F.sum(F.when(F.col("role") == 0, F.col("count")).otherwise(0))
    others = F.sum(F.when(F.col("role") == 1, F.col("count")).otherwise(0))
    found = (
        counted.join(F.broadcast(of_side), "side")
        .groupBy("pair", "hi", "lo")
        .agg(own.alias("own"), others.alias("others"))
        .where("own > 0")
        .groupBy("pair")
        .agg(
            F.count("own").alias("distinct"),
            F.sum("own").alias("rows"),
            F.sum(F.greatest(F.col("own") - F.col("others"), F.lit(0))).alias("missing"),
        )
        .collect()
    )
    by_pair = {pair: numbers for pair, *numbers in found}
    if NOBODY in by_pair:
        raise TableError(f"{by_pair[NOBODY][1]:,} rows are of files that no table has")
    results = []
    for i, pair in enumerate(pairs):
        distinct, copies, missing = by_pair.get(i) or (0, 0, 0)
        results.append((pair.edge, Compared(distinct, copies, missing, pair.share)))
    return results
