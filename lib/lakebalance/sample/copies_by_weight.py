"""Weights realised as rows: of each group exactly so many, each row nearly its weight's share.

A row whose weight asks for 2.3 copies gets two, and a third with a chance of .3. Who gets one more
is decided by u / .3, u the row's own hash from 0 to 1: the rows of smallest ratio get it, as many
of them as are missing from the total.

After Ohlsson, "Sequential Poisson Sampling", Journal of Official Statistics 1998.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakebalance.sample.thresholds import (
    COPIES,
    GROUP,
    HASH,
    HIGHEST,
    OURS,
    Threshold,
    find_thresholds,
    repeated,
    with_copies,
)

ARM_OF_ROW, WEIGHT, TIMES, OF = "__lb_arm", "__lb_weight", "__lb_times", "__lb_of"


@dataclass(frozen=True)
class Copies:
    """How an arm's weights become copies.

    A row of weight w is there floor(w · scale) times; ``share`` of the arm's rows, those that
    ``one_more`` picks, once more.
    """

    scale: float
    share: float
    one_more: Threshold

    def to_state(self) -> dict[str, Any]:
        """The numbers as JSON holds them."""
        return asdict(self)

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Copies:
        """The copies that ``to_state`` wrote."""
        return cls(state["scale"], state["share"], Threshold(**state["one_more"]))


def find_copies(
    weighed: DataFrame, rows: Mapping[int, int], sums: Mapping[int, float]
) -> dict[int, Copies]:
    """Settle who gets one copy more, in two passes.

    Parameters
    ----------
    weighed : all rows, with ``__lb_arm``, ``__lb_weight`` and ``__lb_hash``.
    rows : how many are wanted of each arm.
    sums : the sum of each arm's weights.
    """
    scales = {arm: rows[arm] / sums[arm] for arm in rows}
    times = F.col(WEIGHT) * _of_arm(scales)
    counted = weighed.groupBy(ARM_OF_ROW).agg(
        F.count(F.lit(1)).alias("rows"), F.sum(F.floor(times)).alias("whole")
    )
    found = {
        row[ARM_OF_ROW]: (row["rows"], rows[row[ARM_OF_ROW]] - row["whole"])
        for row in counted.collect()
    }
    shares = {arm: missing / available for arm, (available, missing) in found.items()}
    thresholds = find_thresholds([_ranked(weighed, scales, shares)], found)
    return {arm: Copies(scales[arm], shares[arm], thresholds[arm]) for arm in rows}


def with_copies_by_weight(weighed: DataFrame, copies: Mapping[int, Copies]) -> DataFrame:
    """All rows, each with how often it is put out, in ``__lb_copies``.

    Parameters
    ----------
    weighed : rows with ``__lb_arm``, ``__lb_weight``, ``__lb_group`` and ``__lb_hash``.
    copies : what was settled of each arm.
    """
    ranked = _ranked(
        weighed,
        {arm: c.scale for arm, c in copies.items()},
        {arm: c.share for arm, c in copies.items()},
    )
    (more,) = with_copies([ranked], {arm: c.one_more for arm, c in copies.items()}, least=0)
    whole = F.floor(F.col(TIMES)) + F.col(COPIES)
    return more.withColumn(COPIES, whole).withColumn(GROUP, F.col(OF))


def put_out(weighed: DataFrame, copies: Mapping[int, Copies]) -> DataFrame:
    """The rows as often as their weights ask, without a column of ours but for keys."""
    counted = with_copies_by_weight(weighed, copies).where(F.col(COPIES) > 0)
    return repeated(counted).drop(*OURS, ARM_OF_ROW, WEIGHT, TIMES, OF)


def _of_arm(numbers: Mapping[int, float]) -> Column:
    (first, one), (_, other) = numbers.items()
    return F.when(F.col(ARM_OF_ROW) == first, F.lit(one)).otherwise(F.lit(other))


def _ranked(
    weighed: DataFrame, scales: Mapping[int, float], shares: Mapping[int, float]
) -> DataFrame:
    """The rows with their arm as group, and as hash the ratio that decides about one copy more.

    The ratio is scaled such that the threshold lies where it would for a hash: at the share of rows
    that are below it.
    """
    times = F.col(WEIGHT) * _of_arm(scales)
    chance = F.col(TIMES) - F.floor(F.col(TIMES))
    unit = F.col(HASH) / F.lit(2.0**64) + F.lit(0.5)
    ratio = F.least(unit / chance * _of_arm(shares), F.lit(1 - 2.0**-52))
    place = ((ratio - F.lit(0.5)) * F.lit(2.0**64)).cast("bigint")
    return (
        weighed.withColumns({TIMES: times, OF: F.col(GROUP)})
        .withColumn(HASH, F.when(chance > 0, place).otherwise(F.lit(HIGHEST)))
        .withColumn(GROUP, F.col(ARM_OF_ROW).cast("bigint"))
    )
