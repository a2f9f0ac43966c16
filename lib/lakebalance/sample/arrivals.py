"""Drawing with replacement, exactly so many: the first arrivals of a Poisson process a row.

Each row has arrivals at random moments, at a rate of 1, which its hash alone decides. Whose
arrivals are the first, the second and so on of a group is then one draw with replacement after
another: those of its rows until the wanted number has come are the copies. All that has to be found
is the moment of the last, a threshold for the group.

A moment is held as the bits of its double, which are in the same order as positive doubles are.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakebalance.core.chance import exponential, salt_of, words
from lakebalance.core.small_tables import small_table
from lakebalance.core.sources import unite
from lakebalance.sample.amounts import STEPS, PartOf, cuts_in
from lakebalance.sample.amounts import Cut as UnitCut
from lakebalance.sample.thresholds import (
    COPIES,
    GROUP,
    HASH,
    HIGHEST,
    LOWEST,
    OURS,
    Cut,
    Threshold,
    in_bands,
    located,
    repeated,
    sigmas_for,
    with_copies,
)

MOMENT, BEFORE, AT, FOUND = "__lb_moment", "__lb_before", "__lb_at_last", "__lb_found"
SALT = salt_of("arrivals")
# Arrivals that are made at once, so that neither many rows nor many copies take a step each.
BLOCK = 2**16
HALF = 2**31
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


def arrivals(hashes: Ints, until: Floats) -> Iterator[tuple[Ints, Floats]]:
    """All arrivals of rows by their hashes, up to a moment of each: places of rows, and moments.

    Examples
    --------
    >>> found = arrivals(np.arange(10_000), np.full(10_000, 3.0))
    >>> 2.9 < sum(len(rows) for rows, _ in found) / 10_000 < 3.1
    True
    """
    rows, reached, made = np.arange(len(hashes)), np.zeros(len(hashes)), 0
    while len(rows):
        ahead = min(max(BLOCK // len(rows), 1), 4096)
        count = np.arange(made, made + ahead, dtype=np.int64)
        steps = exponential(words(hashes[rows, None], count[None, :], SALT))
        # Added one after another from the last moment, so that the blocks leave no trace.
        moments = np.cumsum(np.hstack([reached[rows, None], steps]), axis=1)[:, 1:]
        here = moments <= until[rows, None]
        yield np.broadcast_to(rows[:, None], here.shape)[here], moments[here]
        reached[rows], made = moments[:, -1], made + ahead
        rows = rows[here[:, -1]]


def split_at(hashes: Ints, moment: Floats, until: Floats) -> tuple[Ints, Ints, Floats]:
    """How many arrivals each row has before a moment; and those from then on, up to another.

    Returns
    -------
    Counts, a row each; places of rows and moments, an arrival each.
    """
    before = np.zeros(len(hashes), dtype=np.int64)
    places, moments = [np.empty(0, dtype=np.int64)], [np.empty(0)]
    for rows, at in arrivals(hashes, until):
        early = at < moment[rows]
        np.add.at(before, rows[early], 1)
        places.append(rows[~early])
        moments.append(at[~early])
    return before, np.concatenate(places), np.concatenate(moments)


def bits_of(moments: Floats) -> Ints:
    """Positive moments as whole numbers in the same order."""
    return moments.view(np.int64)


def moment_of(bits: int) -> float:
    """The moment that ``bits_of`` made a whole number of."""
    return float(np.array(bits, dtype=np.int64).view(np.float64))


def decided(threshold: Threshold, value: int) -> tuple[int, int, dict[str, Any]]:
    """Fewest and most copies of a row by its hash, and the moments that decide about it.

    They differ as in ``Threshold.copies``.
    """
    if threshold.last is None:
        return 0, 0, {}
    last = moment_of(threshold.last)
    found = [m for _, few in arrivals(np.array([value]), np.array([last])) for m in few.tolist()]
    fewest = len(found) - (0 if threshold.whole else found.count(last))
    return fewest, len(found), {"arrivals": found, "last_arrival": last}


def find_last_arrivals(
    frames: Sequence[DataFrame], wanted: Mapping[int, tuple[int, int]]
) -> dict[int, Threshold]:
    """The moment of the last arrival that each group needs, in one Spark job unless a band missed.

    Parameters
    ----------
    frames : frames with columns ``__lb_group`` and ``__lb_hash``, both bigint; together all rows.
    wanted : per group (rows available, target rows).

    Raises
    ------
    AuditError : a group does not hold the rows that were counted.
    """
    found = {group: Threshold(0) for group, (rows, target) in wanted.items() if not rows * target}
    open_ = {group: numbers for group, numbers in wanted.items() if group not in found}
    sigmas = sigmas_for(len(open_))
    hits = in_bands(partial(_locate, frames), open_, (sigmas, 8 * sigmas, 64 * sigmas))
    return found | {group: Threshold(0, *cut) for group, cut in hits.items()}


def _band(available: int, target: int, sigmas: float) -> tuple[float, float]:
    """The moments between which the last arrival is, but for the chance that ``sigmas`` leave."""
    margin = sigmas * math.sqrt(target) + sigmas**2
    return max(target - margin, 0.0) / available, (target + margin) / available


def _locate(
    frames: Sequence[DataFrame], open_: Mapping[int, tuple[int, int]], sigmas: float
) -> dict[int, Cut]:
    bands = [(g, *_band(n, target, sigmas), target) for g, (n, target) in open_.items()]
    table = small_table(frames[0].sparkSession, [GROUP, "low", "high", "rest"], bands)
    rows = unite([frame.select(GROUP, HASH) for frame in frames]).join(F.broadcast(table), GROUP)
    lines = rows.mapInArrow(_counted, f"{GROUP} bigint, rest bigint, bucket bigint, n bigint")
    return located(lines.groupBy(GROUP, "rest", "bucket").agg(F.sum("n").alias("here")))


def _counted(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Per group the arrivals before its band, counted in a bucket of null, and each one in it."""
    for batch in batches:
        group, low, high, rest = (
            batch.column(name).to_numpy() for name in (GROUP, "low", "high", "rest")
        )
        before, rows, moments = split_at(batch.column(HASH).to_numpy(), low, high)
        groups, first, of = np.unique(group, return_index=True, return_inverse=True)
        counts = np.bincount(of, weights=before, minlength=len(groups)).astype(np.int64)
        some = counts > 0
        yield _lines(groups[some], rest[first][some], None, counts[some])
        yield _lines(group[rows], rest[rows], bits_of(moments), np.ones_like(rows))


def _lines(group: Ints, rest: Ints, bucket: Ints | None, n: Ints) -> pa.RecordBatch:
    buckets = pa.nulls(len(group), pa.int64()) if bucket is None else pa.array(bucket)
    columns = [pa.array(group), pa.array(rest), buckets, pa.array(n, pa.int64())]
    return pa.RecordBatch.from_arrays(columns, names=[GROUP, "rest", "bucket", "n"])


def find_cuts(frames: Sequence[DataFrame], wanted: Mapping[int, PartOf]) -> dict[int, UnitCut]:
    """The arrival in which each group's part of a budget in units ends.

    In one Spark job unless a band missed.

    Parameters
    ----------
    frames : frames with ``__lb_group``, ``__lb_hash`` and ``__lb_steps``, all bigint.
    wanted : per group; each part is over 0.

    Raises
    ------
    AuditError : a group does not hold the rows that were counted.
    """
    sigmas = sigmas_for(len(wanted))
    return in_bands(partial(_locate_steps, frames), wanted, (sigmas, 8 * sigmas, 64 * sigmas))


def _locate_steps(
    frames: Sequence[DataFrame], open_: Mapping[int, PartOf], sigmas: float
) -> dict[int, UnitCut]:
    bands = []
    for group, of in open_.items():
        # What has arrived has a variance of at most the part times the largest row.
        margin = sigmas * math.sqrt(of.part * of.largest) + sigmas**2 * of.largest
        moments = [max(of.part - margin, 0.0) / of.available, (of.part + margin) / of.available]
        bands.append((group, *moments, of.part))
    table = small_table(frames[0].sparkSession, [GROUP, "low", "high", "part"], bands)
    rows = unite([frame.select(GROUP, HASH, STEPS) for frame in frames])
    lines = rows.join(F.broadcast(table), GROUP).mapInArrow(
        _added, f"{GROUP} bigint, part bigint, bucket bigint, n bigint, hi bigint, lo bigint"
    )
    hi, lo = (F.sum(half).cast("decimal(38,0)") for half in ("hi", "lo"))
    steps = F.struct("hi", "lo")
    return cuts_in(
        lines.groupBy(GROUP, "part", "bucket").agg(
            F.sum("n").alias("rows_at"),
            (hi * F.lit(HALF).cast("decimal(10,0)") + lo).cast("decimal(38,0)").alias("here"),
            (F.min(steps) < F.max(steps)).alias("differ"),
        )
    )


def _added(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Per group the steps that arrive before its band, in a bucket of null; and each arrival in it.

    In two halves, so that no number of arrivals in a batch makes them overflow.
    """
    for batch in batches:
        group, low, high, part, steps = (
            batch.column(name).to_numpy() for name in (GROUP, "low", "high", "part", STEPS)
        )
        before, rows, moments = split_at(batch.column(HASH).to_numpy(), low, high)
        groups, first, of = np.unique(group, return_index=True, return_inverse=True)
        sums = [np.zeros(len(groups), dtype=np.int64) for _ in range(3)]
        halves = (np.ones_like(steps), steps // HALF, steps % HALF)
        for total, each in zip(sums, halves, strict=True):
            np.add.at(total, of, before * each)
        some = sums[0] > 0
        early = [total[some] for total in sums]
        none = pa.nulls(int(some.sum()), pa.int64())
        yield _in_halves(groups[some], part[first][some], none, early)
        inside = [each[rows] for each in halves]
        yield _in_halves(group[rows], part[rows], pa.array(bits_of(moments)), inside)


def _in_halves(group: Ints, part: Ints, bucket: pa.Array, sums: Sequence[Ints]) -> pa.RecordBatch:
    columns = [pa.array(group), pa.array(part), bucket, *[pa.array(each) for each in sums]]
    names = [GROUP, "part", "bucket", "n", "hi", "lo"]
    return pa.RecordBatch.from_arrays(columns, names=names)


def drawn(frames: Sequence[DataFrame], thresholds: Mapping[int, Threshold]) -> DataFrame:
    """Each row as often as it has arrivals up to its group's last, without a column of ours.

    Parameters
    ----------
    frames : frames of one schema with ``__lb_group`` and ``__lb_hash``; any other columns.
    thresholds : per group, of ``find_last_arrivals``; rows of groups that are not there are
        dropped.
    """
    some = {group: t for group, t in thresholds.items() if t.last is not None}
    moments = [(group, moment_of(t.last or 0)) for group, t in some.items()]
    table = small_table(frames[0].sparkSession, [GROUP, MOMENT], moments)
    found = F.arrow_udf(_before_and_at, f"{BEFORE} bigint, {AT} boolean")  # type: ignore[attr-defined]
    rows = unite(frames).join(F.broadcast(table), GROUP)
    walked = rows.withColumn(FOUND, found(HASH, MOMENT))
    # What arrives at the last moment of all stands for a row of smallest hash.
    at_last = F.when(F.col(FOUND)[AT], F.lit(LOWEST)).otherwise(F.lit(HIGHEST))
    ranked = walked.withColumns({BEFORE: F.col(FOUND)[BEFORE], HASH: at_last})
    ends = {g: Threshold(0, LOWEST, t.at_last, t.whole) for g, t in some.items()}
    (counted,) = with_copies([ranked], ends, least=0)
    counted = counted.withColumn(COPIES, F.col(BEFORE) + F.col(COPIES)).where(F.col(COPIES) > 0)
    return repeated(counted).drop(*OURS, MOMENT, BEFORE, FOUND)


def _before_and_at(hashes: pa.Array, until: pa.Array) -> pa.Array:
    """Each row's arrivals before a moment, and whether it has one at it."""
    last = until.to_numpy()
    before, rows, _ = split_at(hashes.to_numpy(), last, last)
    at_last = np.zeros(len(last), dtype=bool)
    at_last[rows] = True
    return pa.StructArray.from_arrays([pa.array(before), pa.array(at_last)], [BEFORE, AT])
