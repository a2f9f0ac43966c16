"""Means and deviations of columns, the same however the rows lie.

A sum of doubles depends on the order in which they come. Here each number is put on a grid of 2^30
steps between a column's least and greatest value, and what lies on the grid is added exactly.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakebalance.core.coordinates import coordinate
from lakebalance.core.neighbours import Floats

STEPS = 2**30


@dataclass(frozen=True)
class Units:
    """Where distances are measured from, and in which units, by column."""

    middle: Floats
    unit: Floats

    def place(self, at: Floats) -> Floats:
        """Coordinates in these units; a gap is in the middle."""
        placed: Floats = np.where(np.isnan(at), 0.0, (at - self.middle) / self.unit)
        return placed


def units_of(df: DataFrame, features: Sequence[str], scale: str) -> tuple[Units, bool]:
    """The mean of each column, its standard deviation, and whether any column differs in rows.

    Parameters
    ----------
    df : rows, each column with a value in at least one of them.
    features : columns of numbers, dates or timestamps.
    scale : ``standard`` for units of standard deviations; ``none`` for those of the columns.

    Returns
    -------
    The units, exact but for a step of 2^-30 of a column's range; and False where all columns are
    constant. Two jobs.
    """
    at = [coordinate(df, name) for name in features]
    spans = df.agg(
        *[F.min(x).alias(f"least{i}") for i, x in enumerate(at)],
        *[F.max(x).alias(f"most{i}") for i, x in enumerate(at)],
    ).collect()[0]
    least = [spans[f"least{i}"] for i in range(len(at))]
    # Halved, as the range of very large numbers may be larger than any.
    half = [spans[f"most{i}"] / 2 - low / 2 for i, low in enumerate(least)]
    sums = []
    for i, x in enumerate(at):
        share = (x / 2 - F.lit(least[i] / 2)) / F.lit(half[i] or 1.0)
        step = F.round(share * STEPS).cast("bigint")
        sums += [
            F.count(step).alias(f"n{i}"),
            F.sum(step.cast("decimal(20,0)")).alias(f"sum{i}"),
            F.sum((step * step).cast("decimal(20,0)")).alias(f"square{i}"),
        ]
    found = df.agg(*sums).collect()[0]
    middle, unit = np.array(least), np.ones(len(at))
    for i, low in enumerate(least):
        n, total, squares = (int(found[f"{name}{i}"]) for name in ("n", "sum", "square"))
        middle[i] = low + 2 * half[i] * (total / n / STEPS)
        if scale == "standard" and half[i]:
            # In whole numbers up to the root, so that nothing is lost where the mean is large.
            deviation = math.sqrt(n * squares - total * total) / n / STEPS
            unit[i] = 2 * half[i] * deviation or 1.0
    return Units(middle, unit), any(half)
