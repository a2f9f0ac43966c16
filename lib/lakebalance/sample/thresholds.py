"""Exact sampling without a shuffle of rows: a threshold on the row's hash per group.

In a group of n rows the k of smallest hash are kept. The k-th smallest lies near k/n of the hash
range; one pass counts what lies below a narrow band around it and ranks only what lies inside,
which gives the exact threshold. The keep itself is then a filter with a broadcast table.

After Meng, "Scalable Simple Random Sampling and Stratified Sampling", ICML 2013 (ScaSRS).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from lakebalance.core.columns import column
from lakebalance.core.errors import AuditError
from lakebalance.core.hashing import hash128

GROUP = "__lb_group"
HASH = "__lb_hash"
LOWEST, HIGHEST = -(2**63), 2**63 - 1
BAND_SIGMAS = 7.5


@dataclass(frozen=True)
class Threshold:
    """What becomes of a group's rows.

    Every row is kept ``base`` times, and once more where its hash is below ``last``. Of the rows
    whose hash is ``last``, ``at_last`` are kept once more; ``whole`` says that these are all.
    """

    base: int
    last: int | None = None
    at_last: int = 0
    whole: bool = True

    def copies(self, value: int) -> tuple[int, int]:
        """Fewest and most copies of a row whose hash is ``value``.

        They differ only for rows that are equal in their key where the threshold falls among them.

        Examples
        --------
        >>> Threshold(1, last=7).copies(7), Threshold(0, 7, 2, whole=False).copies(7)
        ((2, 2), (0, 1))
        """
        if self.last is None or value > self.last:
            return self.base, self.base
        if value == self.last and not self.whole:
            return self.base, self.base + 1
        return self.base + 1, self.base + 1


@dataclass(frozen=True)
class Share:
    """What a sampler knows of a group: rows available, rows planned, and the threshold for them."""

    available: int
    target: int
    threshold: Threshold


def find_thresholds(
    rows: DataFrame, wanted: Mapping[int, tuple[int, int]], sigmas: float = BAND_SIGMAS
) -> dict[int, Threshold]:
    """The exact threshold of each group, in one Spark job unless a band missed.

    Parameters
    ----------
    rows : frame with columns ``__lb_group`` and ``__lb_hash``, both bigint.
    wanted : per group (rows available, target rows).
    sigmas : half width of the band in standard deviations of the rank.

    Raises
    ------
    AuditError : a group does not hold the rows that were counted.
    """
    found: dict[int, Threshold] = {}
    open_: dict[int, tuple[int, int]] = {}
    for group, (available, target) in wanted.items():
        base, rest = divmod(target, available) if available else (0, 0)
        if rest:
            open_[group] = (available, rest)
        else:
            found[group] = Threshold(base)
    width = sigmas
    while open_:
        located = _locate(rows, open_, width)
        for group, (last, at_last, whole) in located.items():
            available, target = wanted[group]
            found[group] = Threshold(target // available, last, at_last, whole)
            del open_[group]
        if open_ and math.isinf(width):
            raise AuditError(
                f"{len(open_)} groups hold fewer rows than were counted; a source changed or an "
                "expression in the recipe is not a function of the row"
            )
        width = math.inf if width > sigmas else width * 8
    return found


def small_table(
    spark: SparkSession, names: Sequence[str], rows: Sequence[tuple[int | bool | float, ...]]
) -> DataFrame:
    """Numbers per group as a frame to broadcast; integers and flags become bigint.

    By Arrow, as 100,000 rows sent one by one would take longer than the job that reads them.
    """
    columns = list(zip(*rows, strict=True)) or [()] * len(names)
    arrays = [
        pa.array(values, pa.float64())
        if values and isinstance(values[0], float)
        else pa.array([int(value) for value in values], pa.int64())
        for values in columns
    ]
    return spark.createDataFrame(pa.table(dict(zip(names, arrays, strict=True))))


def _band(available: int, rest: int, sigmas: float) -> tuple[int, int]:
    """The hash range in which the threshold lies but for a chance of about 1e-12."""
    if math.isinf(sigmas):
        return LOWEST, HIGHEST
    share = rest / available
    margin = (sigmas * math.sqrt(available * share * (1 - share)) + sigmas) / available
    low = LOWEST + int((share - margin) * 2**64)
    high = LOWEST + int((share + margin) * 2**64)
    return max(low, LOWEST), min(high, HIGHEST)


def _locate(
    rows: DataFrame, open_: Mapping[int, tuple[int, int]], sigmas: float
) -> dict[int, tuple[int, int, bool]]:
    """For each group whose threshold lies in its band: threshold, rows kept at it, all of them?"""
    bands = [
        (group, *_band(available, rest, sigmas), rest) for group, (available, rest) in open_.items()
    ]
    table = small_table(rows.sparkSession, [GROUP, "low", "high", "rest"], bands)
    bucket = F.when(F.col(HASH) >= F.col("low"), F.col(HASH))
    counted = (
        rows.join(F.broadcast(table), GROUP)
        .where(F.col(HASH) <= F.col("high"))
        .groupBy(GROUP, "rest", bucket.alias("bucket"))
        .agg(F.count(F.lit(1)).alias("here"))
    )
    upto = F.sum("here").over(
        Window.partitionBy(GROUP)
        .orderBy(F.col("bucket").asc_nulls_first())
        .rowsBetween(Window.unboundedPreceding, Window.currentRow)
    )
    hits = (
        counted.withColumn("upto", upto)
        .where((F.col("upto") >= F.col("rest")) & (F.col("upto") - F.col("here") < F.col("rest")))
        .where(F.col("bucket").isNotNull())
        .select(GROUP, "bucket", (F.col("rest") - F.col("upto") + F.col("here")), "here")
        .collect()
    )
    return {group: (last, at, at == here) for group, last, at, here in hits}


def keep(df: DataFrame, thresholds: Mapping[int, Threshold]) -> DataFrame:
    """The rows that the thresholds keep, repeated as often as they say.

    Parameters
    ----------
    df : frame with ``__lb_group`` and ``__lb_hash``; any other columns.
    thresholds : per group; rows of groups that are not there are dropped.

    Returns
    -------
    The frame without the two columns. No shuffle of rows, but for the few rows that share the
    hash at a threshold where only some of them are kept.
    """
    kept = [(g, t) for g, t in thresholds.items() if t.base or t.last is not None]
    table = small_table(
        df.sparkSession,
        [GROUP, "__lb_base", "__lb_last", "__lb_cut", "__lb_whole", "__lb_at"],
        [(g, t.base, t.last or 0, t.last is not None, t.whole, t.at_last) for g, t in kept],
    )
    joined = df.join(F.broadcast(table), GROUP)
    cut, whole = F.col("__lb_cut") == 1, F.col("__lb_whole") == 1
    below = cut & (
        (F.col(HASH) < F.col("__lb_last")) | ((F.col(HASH) == F.col("__lb_last")) & whole)
    )
    torn = cut & ~whole & (F.col(HASH) == F.col("__lb_last"))
    copies = F.col("__lb_base") + F.when(below, 1).otherwise(0)
    most = max((t.base + (t.last is not None) for _, t in kept), default=0)
    if all(t.whole for _, t in kept):
        return _repeat(joined.withColumn("__lb_copies", copies), most, df.columns)
    # Rows of one hash within a group are equal in their key; any of them is as good as another,
    # so their order needs only to be the same in content.
    content = hash128(df, [c for c in df.columns if c not in (GROUP, HASH)], "tie")
    rank = F.row_number().over(Window.partitionBy(GROUP).orderBy(content))
    tied = joined.where(torn).withColumn(
        "__lb_copies", F.col("__lb_base") + F.when(rank <= F.col("__lb_at"), 1).otherwise(0)
    )
    clear = joined.where(~torn).withColumn("__lb_copies", copies)
    return _repeat(clear.unionByName(tied), most, df.columns)


def _repeat(df: DataFrame, most: int, columns: list[str]) -> DataFrame:
    names = [column(c) for c in columns if c not in (GROUP, HASH)]
    kept = df.where(F.col("__lb_copies") > 0)
    if most <= 1:
        return kept.select(*names)
    copy = F.explode(F.sequence(F.lit(1).cast("bigint"), F.col("__lb_copies"))).alias("__lb_copy")
    return kept.select(*names, copy).drop("__lb_copy")
