"""Finds the row in which a part of a group's amount ends, as thresholds do for numbers of rows.

Rows are taken in order of their hash as long as the sum of their amounts is within the part. As the
rows of small hash are a random sample, the sum reaches the part near its share of the hash range:
one pass sums what lies below a band around it, and only what lies inside is put in order.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakebalance.core.small_tables import small_table
from lakebalance.sample.thresholds import (
    GROUP,
    HIGHEST,
    LOWEST,
    Threshold,
    hashes_around,
    in_bands,
    sigmas_for,
    upto_bands,
    upto_bucket,
)

STEPS = "__lb_steps"


@dataclass(frozen=True)
class PartOf:
    """What is wanted of a group: ``part`` of ``available`` steps, ``largest`` the most of a row."""

    available: int
    largest: int
    part: int


@dataclass(frozen=True)
class Cut:
    """The hash at which a part ends, what lies below it, and what is there.

    More than one row is there only where keys are equal, or their 64-bit hashes are. ``row`` is
    what each of them has; all together where they differ, as these are not taken apart.
    """

    at: int
    rows_below: int
    below: int
    rows_at: int
    row: int
    together: bool = False

    def taken(self, part: int) -> int:
        """How many rows at the hash are within the part."""
        return (part - self.below) // self.row

    def threshold(self, base: int, taken: int) -> Threshold:
        """The threshold that keeps all below the hash once more, and some at it."""
        if not taken:
            return Threshold(base) if self.at == LOWEST else Threshold(base, self.at - 1)
        taken = min(taken * self._rows_together, self.rows_at)
        return Threshold(base, self.at, taken, whole=taken == self.rows_at)

    def rows(self, taken: int) -> int:
        """Rows below the hash, and those taken at it."""
        return self.rows_below + min(taken * self._rows_together, self.rows_at)

    @property
    def _rows_together(self) -> int:
        return self.rows_at if self.together else 1


def find_cuts(frames: Sequence[DataFrame], wanted: Mapping[int, PartOf]) -> dict[int, Cut]:
    """Where each group's part ends, in one Spark job unless a band missed.

    Parameters
    ----------
    frames : frames with ``__lb_group``, ``__lb_hash`` and ``__lb_steps``, all bigint.
    wanted : per group; each part is over 0 and less than what the group has.

    Raises
    ------
    AuditError : a group does not hold the rows that were counted.
    """
    first = sigmas_for(len(wanted))
    return in_bands(partial(_locate, frames), wanted, (first, 8 * first, math.inf))


def _band(wanted: PartOf, sigmas: float) -> tuple[int, int]:
    """The hash range in which the part ends, but for the chance that ``sigmas`` leave.

    The variance of the sum is at most share · (1 - share) · largest · available.
    """
    if math.isinf(sigmas):
        return LOWEST, HIGHEST
    share, row = wanted.part / wanted.available, wanted.largest / wanted.available
    return hashes_around(share, sigmas * math.sqrt(share * (1 - share) * row) + sigmas * row)


def _locate(
    frames: Sequence[DataFrame], wanted: Mapping[int, PartOf], sigmas: float
) -> dict[int, Cut]:
    bands = [(group, *_band(part, sigmas), part.part) for group, part in wanted.items()]
    table = small_table(frames[0].sparkSession, [GROUP, "low", "high", "part"], bands)
    steps = F.col(STEPS).cast("decimal(20,0)").alias(STEPS)
    counted = (
        upto_bands(frames, table, "part", steps)
        .groupBy(GROUP, "part", "bucket")
        .agg(
            F.count(F.lit(1)).alias("rows_at"),
            F.sum(STEPS).cast("decimal(38,0)").alias("here"),
            (F.min(STEPS) < F.max(STEPS)).alias("differ"),
        )
    )
    return cuts_in(counted)


def cuts_in(counted: DataFrame) -> dict[int, Cut]:
    """For each group the first bucket at which its part is exceeded.

    Parameters
    ----------
    counted : per ``__lb_group`` and ``bucket``: ``part``, ``rows_at``, their steps ``here``, and
        whether these ``differ``; a bucket of null is less than every value.
    """
    hits = (
        counted.withColumns({"rows": upto_bucket("rows_at"), "upto": upto_bucket("here")})
        .where((F.col("upto") > F.col("part")) & (F.col("upto") - F.col("here") <= F.col("part")))
        .where(F.col("bucket").isNotNull())
        .drop("part")
        .toArrow()
    )
    return {
        row[GROUP]: Cut(
            row["bucket"],
            row["rows"] - row["rows_at"],
            int(row["upto"] - row["here"]),
            row["rows_at"],
            int(row["here"]) if row["differ"] else int(row["here"]) // row["rows_at"],
            row["differ"],
        )
        for row in hits.to_pylist()
    }
