"""Exact sampling without a shuffle of rows: a threshold on the row's hash per group.

In a group of n rows the k of smallest hash are kept. The k-th smallest lies near k/n of the hash
range; one pass counts what lies below a narrow band around it and ranks only what lies inside,
which gives the exact threshold. The keep itself is then a filter with a broadcast table.

Both work on frames below a union where they can, so that rows which are left out are never copied
from their column batches.

After Meng, "Scalable Simple Random Sampling and Stratified Sampling", ICML 2013 (ScaSRS).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from statistics import NormalDist
from typing import Any, TypeVar

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from lakebalance.core.chance import GOLDEN
from lakebalance.core.errors import AuditError, LakebalanceError
from lakebalance.core.hashing import hash128
from lakebalance.core.small_tables import small_table
from lakebalance.core.sources import unite

GROUP = "__lb_group"
HASH = "__lb_hash"
BASE, LIMIT, LAST, AT_LAST = "__lb_base", "__lb_limit", "__lb_last", "__lb_at"
COPIES, COPY = "__lb_copies", "__lb_copy"
OURS = (GROUP, HASH, BASE, LIMIT, LAST, AT_LAST, COPIES, COPY)
LOWEST, HIGHEST = -(2**63), 2**63 - 1
WITHIN_BAND = 0.99
# A value, how many are kept at it, and whether these are all.
Cut = tuple[int, int, bool]
Wanted = TypeVar("Wanted")
Place = TypeVar("Place")


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
class Share:
    """What a sampler knows of a group: rows available, rows planned, and the threshold for them.

    ``values`` are the group's by column, as groups are counted; ``source`` is the name of its own.
    """

    available: int
    target: int
    threshold: Threshold
    values: Mapping[str, Any] = field(default_factory=dict)
    source: str = ""


def find_thresholds(
    frames: Sequence[DataFrame],
    wanted: Mapping[int, tuple[int, int]],
    sigmas: float | None = None,
) -> dict[int, Threshold]:
    """The exact threshold of each group, in one Spark job unless a band missed.

    Parameters
    ----------
    frames : frames with columns ``__lb_group`` and ``__lb_hash``, both bigint; together all rows.
    wanted : per group (rows available, target rows).
    sigmas : half width of the band in standard deviations of the rank; where left out, as wide as
        makes it 99 % likely that no group's threshold lies outside of its band.

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
    first = sigmas or sigmas_for(len(open_))
    hits = in_bands(partial(_locate, frames), open_, (first, 8 * first, math.inf))
    for group, cut in hits.items():
        available, target = wanted[group]
        found[group] = Threshold(target // available, *cut)
    return found


def find_thresholds_together(
    frames: Sequence[DataFrame], wanted: Sequence[Mapping[int, tuple[int, int]]]
) -> list[dict[int, Threshold]]:
    """The thresholds of several outputs, in one Spark job unless a band missed.

    Parameters
    ----------
    frames : each row once per output, with ``__lb_group`` made by ``for_output`` and the hash that
        decides there in ``__lb_hash``.
    wanted : by output, per group (rows available, target rows).

    Raises
    ------
    AuditError : a group does not hold the rows that were counted.
    LakebalanceError : two groups have one id.
    """
    places = {for_output(g, i): (i, g) for i, own in enumerate(wanted) for g in own}
    if len(places) < sum(map(len, wanted)):
        raise LakebalanceError("two groups have the same 64-bit id; rename a source and try again")
    found: list[dict[int, Threshold]] = [{} for _ in wanted]
    united = {place: wanted[i][group] for place, (i, group) in places.items()}
    for place, threshold in find_thresholds(frames, united).items():
        i, group = places[place]
        found[i][group] = threshold
    return found


Id = TypeVar("Id", int, Column)


def for_output(group: Id, number: int) -> Id:
    """A group's id as it is told apart from the same group's in other outputs.

    Examples
    --------
    >>> for_output(-5, 0), for_output(for_output(-5, 1), 1)
    (-5, -5)
    """
    # Bits spread over all 64, so that ids that lie close together stay apart.
    salt = (number * GOLDEN + 2**63) % 2**64 - 2**63
    if isinstance(group, int):
        return group ^ salt
    return group.bitwiseXOR(F.lit(salt).cast("bigint"))


def in_bands(
    locate: Callable[[Mapping[int, Wanted], float], Mapping[int, Place]],
    wanted: Mapping[int, Wanted],
    widths: Sequence[float],
) -> dict[int, Place]:
    """What is looked for of each group in a narrow band, and in ever wider ones where it is not.

    Parameters
    ----------
    locate : finds it for the groups in whose band of a width it lies, see ``located``.
    wanted : what must be known of each group.
    widths : the widths to try.

    Raises
    ------
    AuditError : it is not in a group's widest band.
    """
    found: dict[int, Place] = {}
    for width in widths:
        open_ = {group: numbers for group, numbers in wanted.items() if group not in found}
        if open_:
            found |= locate(open_, width)
    if missing := len(wanted) - len(found):
        raise AuditError(
            f"{missing} groups hold fewer rows than were counted; a source changed or an "
            "expression in the recipe is not a function of the row"
        )
    return found


def sigmas_for(groups: int) -> float:
    """How many standard deviations all groups' thresholds stay within, but for 1 in 100 times."""
    each = (1 - WITHIN_BAND) / max(groups, 1)
    return NormalDist().inv_cdf(1 - each / 2)


def band(available: int, rest: int, sigmas: float) -> tuple[int, int]:
    """The hash range in which the threshold lies, but for the chance that ``sigmas`` leave."""
    if math.isinf(sigmas):
        return LOWEST, HIGHEST
    share = rest / available
    margin = sigmas * math.sqrt(available * share * (1 - share)) + sigmas
    return hashes_around(share, margin / available)


def hashes_around(share: float, margin: float) -> tuple[int, int]:
    """The range of hashes about a share of all, within ``margin`` of it on either side.

    Examples
    --------
    >>> hashes_around(0.5, 0.25) == (-(2**62), 2**62), hashes_around(0.5, 9) == (LOWEST, HIGHEST)
    (True, True)
    """
    low = LOWEST + int((share - margin) * 2**64)
    high = LOWEST + int((share + margin) * 2**64)
    return max(low, LOWEST), min(high, HIGHEST)


def _locate(
    frames: Sequence[DataFrame], open_: Mapping[int, tuple[int, int]], sigmas: float
) -> dict[int, Cut]:
    """For each group whose threshold lies in its band: threshold, rows kept at it, all of them?"""
    bands = [
        (group, *band(available, rest, sigmas), rest) for group, (available, rest) in open_.items()
    ]
    table = small_table(frames[0].sparkSession, [GROUP, "low", "high", "rest"], bands)
    # Other columns of the rows may have the names of the bands'.
    rows = upto_bands([frame.select(GROUP, HASH) for frame in frames], table, "rest")
    return located(rows.groupBy(GROUP, "rest", "bucket").agg(F.count(F.lit(1)).alias("here")))


def upto_bands(frames: Sequence[DataFrame], bands: DataFrame, *more: Column | str) -> DataFrame:
    """The rows of each group up to the end of its band, without those of groups that have none.

    Parameters
    ----------
    frames : frames with ``__lb_group`` and ``__lb_hash``; together all rows. They have no column
        ``low`` or ``high``.
    bands : per ``__lb_group`` the band's ends, ``low`` and ``high``.
    more : further columns to keep, of the frames or of ``bands``.

    Returns
    -------
    Frame ``__lb_group``, ``bucket`` (the hash, or null below the band), and those columns.
    """
    bucket = F.when(F.col(HASH) >= F.col("low"), F.col(HASH)).alias("bucket")
    return unite(
        [
            rows.join(F.broadcast(bands), GROUP)
            .where(F.col(HASH) <= F.col("high"))
            .select(GROUP, bucket, *more)
            for rows in frames
        ]
    )


def upto_bucket(name: str) -> Column:
    """The sum of a column over a group's buckets up to this one, the null bucket before all."""
    return F.sum(name).over(
        Window.partitionBy(GROUP)
        .orderBy(F.col("bucket").asc_nulls_first())
        .rowsBetween(Window.unboundedPreceding, Window.currentRow)
    )


def located(counted: DataFrame) -> dict[int, Cut]:
    """For each group the value at which a wanted number is reached: value, wanted at it, all of it?

    Parameters
    ----------
    counted : per ``__lb_group`` and ``bucket``: ``here``, how many there are of the value, and
        ``rest``, how many of the group are wanted; a bucket of null is less than every value.

    Returns
    -------
    Nothing of groups for which the number is reached in the null bucket, or never.
    """
    hits = (
        counted.withColumn("upto", upto_bucket("here"))
        .where((F.col("upto") >= F.col("rest")) & (F.col("upto") - F.col("here") < F.col("rest")))
        .where(F.col("bucket").isNotNull())
        .select(
            GROUP, "bucket", (F.col("rest") - F.col("upto") + F.col("here")).alias("at"), "here"
        )
        .toArrow()
    )
    return {
        row[GROUP]: (row["bucket"], row["at"], row["at"] == row["here"]) for row in hits.to_pylist()
    }


def keep(frames: Sequence[DataFrame], thresholds: Mapping[int, Threshold]) -> DataFrame:
    """The rows that the thresholds keep, repeated as often as they say.

    Parameters
    ----------
    frames : frames of one schema with ``__lb_group`` and ``__lb_hash``; any other columns.
    thresholds : per group; rows of groups that are not there are dropped.

    Returns
    -------
    One frame without the two columns. No shuffle of rows, but for the few rows that share the
    hash at a threshold where only some of them are kept.
    """
    most = max((t.base + (t.last is not None) for t in thresholds.values()), default=0)
    counted = with_copies(frames, thresholds)
    return unite([repeated(frame) if most > 1 else frame for frame in counted]).drop(*OURS)


def with_copies(
    frames: Sequence[DataFrame], thresholds: Mapping[int, Threshold], *, least: int = 1
) -> list[DataFrame]:
    """The rows, each with how often it is kept, in ``__lb_copies``.

    Parameters
    ----------
    frames : frames of one schema with ``__lb_group`` and ``__lb_hash``; any other columns.
    thresholds : per group; rows of groups that are not there are dropped.
    least : 1 for the rows that are kept; 0 for those of 0 copies too.

    Returns
    -------
    The frames, or one where some rows at a threshold share its hash; with ``__lb_group``,
    ``__lb_hash`` and other columns that begin with ``__lb_``, of no use to others.
    """
    spark = frames[0].sparkSession
    kept = {g: t for g, t in thresholds.items() if not least or t.base or t.last is not None}
    table = small_table(
        spark, [GROUP, BASE, LIMIT], [(g, t.base, _limit(t)) for g, t in kept.items()]
    )
    below = F.col(HASH) < F.col(LIMIT)
    copies = F.col(BASE) + F.when(below, 1).otherwise(0)
    some = (F.col(BASE) > 0) | below if least else F.lit(True)
    torn = {g: t for g, t in kept.items() if not t.whole}
    if not torn:
        joined = [frame.join(F.broadcast(table), GROUP).where(some) for frame in frames]
        return [frame.withColumn(COPIES, copies) for frame in joined]
    rows = unite(frames)
    joined_all = rows.join(F.broadcast(table), GROUP)
    cuts = [(g, t.last or 0, t.at_last) for g, t in torn.items()]
    joined_all = joined_all.join(
        F.broadcast(small_table(spark, [GROUP, LAST, AT_LAST], cuts)), GROUP, "left"
    )
    at_cut = F.coalesce(F.col(HASH) == F.col(LAST), F.lit(False))
    # Rows of one hash within a group are equal in their key; any of them is as good as another,
    # so their order needs only to be the same in content.
    content = hash128(rows, [c for c in rows.columns if c not in (GROUP, HASH)], "tie")
    rank = F.row_number().over(Window.partitionBy(GROUP).orderBy(content))
    one_more = F.when(rank <= F.col(AT_LAST), 1).otherwise(0)
    tied = joined_all.where(at_cut).withColumn(COPIES, F.col(BASE) + one_more)
    clear = joined_all.where(~at_cut).withColumn(COPIES, copies)
    return [clear.unionByName(tied).where(F.col(COPIES) >= least)]


def _limit(threshold: Threshold) -> int:
    """The least hash whose rows get no further copy; rows at a torn threshold stand apart."""
    if threshold.last is None:
        return LOWEST
    return threshold.last + 1 if threshold.whole else threshold.last


def repeated(counted: DataFrame) -> DataFrame:
    """The rows, each as often as ``__lb_copies`` says."""
    copy = F.explode(F.array_repeat(F.lit(True), F.col(COPIES).cast("int"))).alias(COPY)
    return counted.select("*", copy)
