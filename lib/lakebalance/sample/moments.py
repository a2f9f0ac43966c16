"""Weighted means of the two arms, and how their weights are spread, in one pass over the rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import DataFrame

from lakebalance.sample.arm_weights import ArmWeights, score
from lakebalance.sample.comparison import ARM, CONTROL, TREATED
from lakebalance.sample.covariates import ARMS, Design, Survey
from lakebalance.sample.exact_sums import SUM_BITS, Floats, Sums, Tally, exponents, summed
from lakebalance.sample.fourier import Fourier

# Numbers are told apart by bins of 1/256 of a power of two: to 0.4 %.
BINS_IN_A_POWER = 256


@dataclass(frozen=True)
class Basis:
    """What is balanced: the columns of a design, and Fourier features of them."""

    design: Design
    fourier: Fourier | None = None

    def matrix(self, batch: pa.RecordBatch) -> Floats:
        """A row of numbers for each row."""
        columns = self.design.matrix(batch)
        if self.fourier is None:
            return columns
        return np.hstack([columns, self.fourier.of(columns)])

    def bounds(self, survey: Survey) -> Floats:
        """The greatest distance of each column from 0."""
        if self.fourier is None:
            return survey.bounds
        return np.append(survey.bounds, np.ones(len(self.fourier.phases)))


def standardised(
    rows: DataFrame, survey: Survey
) -> tuple[Survey, dict[int, Floats], dict[int, int]]:
    """The survey with columns in pooled standard deviations from their mean; one pass.

    Parameters
    ----------
    rows : rows as tasks see them.
    survey : what was found in them.

    Returns
    -------
    The survey; the columns' means in each arm, so standardised; and how many rows of each arm have
    a covariate out of the other arm's range.
    """
    design, bounds = survey.design, survey.bounds
    spans = {arm: survey.spans[CONTROL if arm == TREATED else TREATED] for arm in ARMS}

    def work(tally: Tally, batch: pa.RecordBatch) -> None:
        arms, values = batch.column(ARM).to_numpy(), design.values(batch)
        for arm in ARMS:
            here = values[arms == arm]
            scaled = design.scaled(here)
            tally.add("sum", arm, scaled, bounds)
            tally.add("square", arm, scaled**2, bounds**2)
            out = ((here < spans[arm][0]) | (here > spans[arm][1])).any(axis=1)
            tally.count("count outside", arm, 0, {None: int(out.sum())})

    found = summed(rows, work)
    outside = {arm: found.counted("count outside", arm).get(None, 0) for arm in ARMS}
    columns, means = [], []
    for j, column in enumerate(design.columns):
        center, spread, by_arm = _standard(found, survey, j)
        scale = spread or 1.0
        columns.append(replace(column, center=center, scale=column.scale * scale))
        means.append({arm: by_arm[arm] / scale for arm in ARMS})
    standard = replace(survey, design=replace(design, columns=tuple(columns)))
    return standard, {arm: np.array([m[arm] for m in means]) for arm in ARMS}, outside


def _standard(found: Sums, survey: Survey, j: int) -> tuple[float, float, dict[int, float]]:
    """A column's mean, and in its scale the pooled deviation and each arm's distance from the mean.

    In fractions, as the difference of two large numbers may be all that a column has to say. A null
    is at the mean of the values that are there.
    """
    bound, column = survey.bounds[j], survey.design.columns[j]
    first, second = (
        {
            arm: found.whole.get((what, arm), {}).get(j, 0)
            * Fraction(2) ** int(exponents(b) - SUM_BITS)
            for arm in ARMS
        }
        for what, b in (("sum", bound), ("square", bound**2))
    )
    present = {arm: survey.present[arm][j] for arm in ARMS}
    mean = float(sum(first.values()) / max(sum(present.values()), 1))
    rounded = column.center + mean * column.scale
    center = (Fraction(rounded) - Fraction(column.center)) / Fraction(column.scale)
    means: dict[int, float] = {}
    variance = Fraction(0)
    for arm in ARMS:
        rows = survey.rows[arm]
        total = first[arm] - present[arm] * center
        squares = second[arm] - 2 * center * first[arm] + present[arm] * center**2
        means[arm] = float(total / rows)
        variance += max(squares - total**2 / rows, Fraction(0)) / (rows - 1) / 2
    # What is constant has no deviation but that of the grid.
    spread = float(variance) ** 0.5
    constant = all((survey.spans[a][:, j] == survey.spans[TREATED][0, j]).all() for a in ARMS)
    return rounded, 0.0 if constant else spread, means


def bins(values: Floats) -> NDArray[np.int64]:
    """The bin of each number of 0 or more; a larger number never has a lesser bin."""
    mantissa, exponent = np.frexp(values)
    steps = np.floor((mantissa - 0.5) * 2 * BINS_IN_A_POWER).astype(np.int64)
    lowest = np.int64(-(2**40))
    return np.where(values > 0, exponent.astype(np.int64) * BINS_IN_A_POWER + steps, lowest)


def bin_middle(number: int) -> float:
    """A number in the middle of a bin, 0 for that of 0."""
    exponent, step = divmod(number, BINS_IN_A_POWER)
    return float(np.ldexp(0.5 + (step + 0.5) / (2 * BINS_IN_A_POWER), max(exponent, -1080)))


def _histogram(values: Floats) -> dict[str | None, int]:
    numbers, counts = np.unique(bins(values), return_counts=True)
    return {str(n): c for n, c in zip(numbers.tolist(), counts.tolist(), strict=True)}


@dataclass(frozen=True)
class ArmMoments:
    """Weights of an arm: how many are not 0, sums, the largest, histograms by bin; weighted means.

    ``scores`` are the least and greatest score, ``odds`` the histogram of exp(score).
    """

    rows: int
    total: float
    squares: float
    largest: float
    means: Floats
    scores: tuple[float, float]
    weights: Mapping[int, int]
    odds: Mapping[int, int]

    @property
    def effective(self) -> float:
        """Effective sample size, the square of the weights' sum over the sum of their squares."""
        return self.total**2 / self.squares if self.squares else 0.0


def moments(
    rows: DataFrame,
    basis: Basis,
    bounds: Floats,
    arms: Mapping[int, ArmWeights],
    largest: float,
) -> dict[int, ArmMoments]:
    """Weighted means of what is balanced in each arm, and how its weights are spread; one pass.

    Parameters
    ----------
    rows : rows as tasks see them.
    basis : what is balanced.
    bounds : the greatest distance of each of its columns from 0.
    arms : the weights of each arm.
    largest : no weight is larger.
    """
    weight_bounds = np.array([1.0, largest, largest**2])

    def work(tally: Tally, batch: pa.RecordBatch) -> None:
        arm_of_row, matrix = batch.column(ARM).to_numpy(), basis.matrix(batch)
        for arm, weigh in arms.items():
            here = matrix[arm_of_row == arm]
            scores = score(here, weigh.coefficients)
            weights = weigh.of(scores)
            parts = np.stack([(weights > 0).astype(np.float64), weights, weights**2], axis=1)
            tally.add("weight", arm, parts, weight_bounds)
            tally.add("mean", arm, weights[:, None] * here, largest * bounds)
            tally.span("score", arm, scores[:, None])
            tally.span("largest", arm, weights[:, None])
            tally.count("count weight", arm, 0, _histogram(weights))
            tally.count("count odds", arm, 0, _histogram(np.exp(np.clip(scores, -700, 700))))

    found = summed(rows, work)
    made: dict[int, ArmMoments] = {}
    for arm in arms:
        count, total, squares = found.numbers("weight", arm, weight_bounds)
        means = found.numbers("mean", arm, largest * bounds) / (total or 1.0)
        histograms = [
            {int(text or 0): n for text, n in found.counted(what, arm).items()}
            for what in ("count weight", "count odds")
        ]
        made[arm] = ArmMoments(
            int(count),
            float(total),
            float(squares),
            (found.span("largest", arm) or (0.0, 0.0))[1],
            means,
            found.span("score", arm) or (0.0, 0.0),
            *histograms,
        )
    return made
