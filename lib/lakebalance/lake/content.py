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

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from lakebalance.core.beside import each
from lakebalance.core.columns import column, kinds
from lakebalance.core.hashing import INTEGRALS, hash128
from lakebalance.core.small_tables import small_table
from lakebalance.core.tables import Table, read_delta
from lakebalance.lake.facts import TableFacts
from lakebalance.lake.log_reading import each_or_said, reason
from lakebalance.lake.schema_graph import Edge, type_of

# Tables whose hashes are computed in one job; more make plans that take long to analyse.
MOST_SIDES = 40
# So many rows of a child are sent to where its parents are read.
FEW = 100_000
Form = tuple[tuple[str, ...], tuple[str, ...]]


@dataclass(frozen=True)
class Pair:
    """A child and a possible parent at their versions, and the share of rows to compare."""

    edge: Edge
    child: TableFacts
    parent: TableFacts
    share: float

    @property
    def is_lopsided(self) -> bool:
        """Whether few rows are all looked up among many, of which the others need not be moved."""
        own, others = self.child.rows, self.parent.rows
        if self.share < 1 or own is None or own > FEW:
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


@dataclass(frozen=True)
class _Side:
    """Columns of one table, in one order, as types that both tables of a pair share.

    Of one that is ``probed``, only rows are counted that a child of the same job may have.
    """

    table: str
    columns: tuple[str, ...]
    kinds: tuple[str, ...]
    share: float
    probed: bool = False


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
    pairs = [pair for pair in pairs if pair.child.rows != 0]
    failed: list[tuple[Edge, str]] = []
    frames, unread = _opened(spark, pairs)
    for pair in pairs:
        ends = [why for t in (pair.child, pair.parent) if (why := unread.get(t.table))]
        failed += [(pair.edge, why) for why in ends[:1]]
    readable = [p for p in pairs if not {p.child.table, p.parent.table} & unread.keys()]
    some = partial(_compare, spark, frames=frames, seed=seed)
    compared = each(spark, batches(readable), lambda batch: each_or_said(batch, some, "its rows"))
    for results, problems in compared:
        found += results
        failed += [(pair.edge, why) for pair, why in problems]
    return found, failed


def _opened(
    spark: SparkSession, pairs: Sequence[Pair]
) -> tuple[dict[str, DataFrame], dict[str, str]]:
    """Each table at its version, once for all comparisons, and why others cannot be read."""

    def opened(table: TableFacts) -> DataFrame | str:
        try:
            return read_delta(spark, Table(table.table), table.version)
        except Exception as error:
            return reason(error, table.table)

    tables = {t.table: t for pair in pairs for t in (pair.child, pair.parent)}
    found = dict(zip(tables, each(spark, tables.values(), opened), strict=True))
    frames = {name: df for name, df in found.items() if not isinstance(df, str)}
    return frames, {name: why for name, why in found.items() if isinstance(why, str)}


def batches(pairs: Sequence[Pair]) -> Iterator[list[Pair]]:
    """Pairs that are compared in one job; those of the same columns stand together."""
    batch: list[Pair] = []
    sides: set[_Side] = set()
    for pair in sorted(pairs, key=lambda p: (p.edge.columns, p.edge.parent, p.edge.child)):
        more = set(_sides(pair))
        if batch and len(sides | more) > MOST_SIDES:
            yield batch
            batch, sides = [], set()
        batch.append(pair)
        sides |= more
    if batch:
        yield batch


def _sides(pair: Pair) -> tuple[_Side, _Side]:
    own = tuple(name for name, _ in pair.edge.columns)
    others = tuple(name for _, name in pair.edge.columns)
    kinds = tuple(json.dumps(pair.parent.by_name[name].kind, sort_keys=True) for name in others)
    child = _Side(pair.child.table, own, kinds, pair.share)
    parent = pair.parent.table, others, kinds, pair.share
    return child, _Side(*parent, probed=pair.is_lopsided)


def _compare(
    spark: SparkSession, pairs: Sequence[Pair], *, frames: Mapping[str, DataFrame], seed: int
) -> list[tuple[Edge, Compared]]:
    of_pairs = [_sides(pair) for pair in pairs]
    sides = list(dict.fromkeys(side for both in of_pairs for side in both))
    keys: dict[Form, Column] = {}
    hashes = [_hashes(frames[side.table], side, i, seed, keys) for i, side in enumerate(sides)]
    rows_of = [rows for rows, side in zip(hashes, sides, strict=True) if not side.probed]
    if probed := [rows for rows, side in zip(hashes, sides, strict=True) if side.probed]:
        children = {both[0] for both in of_pairs if both[1].probed}
        few = [rows.select("hi") for rows, s in zip(hashes, sides, strict=True) if s in children]
        wanted = F.broadcast(reduce(DataFrame.union, few).distinct())
        rows_of.append(reduce(DataFrame.union, probed).join(wanted, "hi", "left_semi"))
    counted = reduce(DataFrame.unionByName, rows_of).groupBy("side", "hi", "lo").count()
    counted = counted.withColumn("side", F.col("side").cast("bigint"))
    roles = [
        (sides.index(side), i, role)
        for i, both in enumerate(of_pairs)
        for role, side in enumerate(both)
    ]
    of_side = small_table(spark, ["side", "pair", "role"], roles)
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
    results = []
    for i, pair in enumerate(pairs):
        row = by_pair.get(i)
        distinct, copies, missing = row or (0, 0, 0)
        results.append((pair.edge, Compared(distinct, copies, missing, pair.share)))
    return results


def _hashes(
    df: DataFrame, side: _Side, number: int, seed: int, keys: dict[Form, Column]
) -> DataFrame:
    """One row for each row of a table in the sample: the side's number and the row's hash.

    ``keys`` has the hashes of columns of some types, which take long to put together.
    """
    own, wanted = kinds(df), dict(zip(side.columns, map(type_of, side.kinds), strict=True))
    # Columns keep their names: of a filter on many that are renamed, Spark derives all 2^n others.
    if cast := {name for name in side.columns if not _hash_alike(own[name], wanted[name])}:
        values = [
            column(name).cast(wanted[name]).alias(name) if name in cast else column(name)
            for name in side.columns
        ]
        df = df.select(*values)
    form = side.columns, side.kinds
    if form not in keys:
        keys[form] = hash128(df, side.columns, "lake", seed).alias("key")
    # A number would stand in the code that Spark generates, which it then compiled for each side.
    hashed = df.select(keys[form]).select(F.lit(str(number)).alias("side"), "key.hi", "key.lo")
    if side.share >= 1:
        return hashed
    return hashed.where(F.col("hi") < F.lit(int(side.share * 2**64) - 2**63))


def _hash_alike(a: T.DataType, b: T.DataType) -> bool:
    """Whether equal values of two types have the same hash as they are."""
    families: tuple[tuple[type[T.DataType], ...], ...] = (
        INTEGRALS,
        (T.FloatType, T.DoubleType),
        (T.DecimalType,),
    )
    alike = any(isinstance(a, family) and isinstance(b, family) for family in families)
    return alike or a.simpleString() == b.simpleString()
