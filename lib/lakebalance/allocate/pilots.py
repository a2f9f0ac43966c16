"""Performance of mixtures by their distance to a target, fitted to pilot runs of two sizes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from lakebalance.core.errors import RecipeError

PARAMETERS = 2


@dataclass(frozen=True)
class Line:
    """Performance = at_mean + slope · (distance - mean), fitted to runs of one size."""

    rows: int
    runs: int
    mean: float
    at_mean: float
    slope: float
    spread: float
    residual: float

    def at(self, distance: float) -> float:
        """The performance at a distance."""
        return self.at_mean + self.slope * (distance - self.mean)

    def variance(self, distance: float) -> float:
        """The variance of what a run of this size would measure at a distance."""
        return self.residual**2 * (1 + 1 / self.runs + (distance - self.mean) ** 2 / self.spread)


def fit_line(rows: int, distances: Sequence[float], performances: Sequence[float]) -> Line:
    """The line of least squares, with its residual standard error.

    Parameters
    ----------
    rows : the size of the runs, for messages.
    distances, performances : those of each run.

    Raises
    ------
    RecipeError : there are fewer runs than parameters + 2, or all are at one distance.

    Examples
    --------
    >>> line = fit_line(100, [0.0, 1.0, 2.0, 3.0], [0.9, 0.7, 0.5, 0.3])
    >>> round(line.slope, 9), round(line.at(0.5), 9)
    (-0.2, 0.8)
    """
    n = len(distances)
    if n < PARAMETERS + 2:
        raise RecipeError(
            f"there are {n} pilots of {rows:,} rows, too few to fit {PARAMETERS} numbers and to "
            f"know how well they fit; run at least {PARAMETERS + 2} of this size"
        )
    mean, at_mean = math.fsum(distances) / n, math.fsum(performances) / n
    spread = math.fsum((x - mean) ** 2 for x in distances)
    if spread <= 1e-18 * max(abs(x) for x in distances) ** 2:
        raise RecipeError(
            f"all pilots of {rows:,} rows are equally far from the target, so that they do not "
            "tell what distance does; add other mixtures"
        )
    both = zip(distances, performances, strict=True)
    slope = math.fsum((x - mean) * (y - at_mean) for x, y in both) / spread
    line = Line(rows, n, mean, at_mean, slope, spread, 0.0)
    squares = [(y - line.at(x)) ** 2 for x, y in zip(distances, performances, strict=True)]
    residual = math.sqrt(math.fsum(squares) / (n - PARAMETERS))
    return Line(rows, n, mean, at_mean, slope, spread, residual)


@dataclass(frozen=True)
class Forecast:
    """Lines at two sizes, and what they say of others: performance is linear in ln N."""

    small: Line
    large: Line

    def weight(self, rows: int) -> float:
        """How much of the large size's performance counts at a size; over 1 beyond it."""
        return math.log(rows / self.small.rows) / math.log(self.large.rows / self.small.rows)

    def at(self, rows: int, distance: float) -> float:
        """The performance at a size and distance."""
        return extrapolated(
            rows,
            (self.small.rows, self.small.at(distance)),
            (self.large.rows, self.large.at(distance)),
        )

    def slope(self, rows: int) -> float:
        """What a unit of distance does to the performance at a size."""
        w = self.weight(rows)
        return (1 - w) * self.small.slope + w * self.large.slope

    def error(self, rows: int, distance: float) -> float:
        """The standard error of the prediction, the two sizes' runs being independent."""
        w = self.weight(rows)
        return math.sqrt(
            (1 - w) ** 2 * self.small.variance(distance) + w**2 * self.large.variance(distance)
        )


def extrapolated(rows: int, small: tuple[int, float], large: tuple[int, float]) -> float:
    """Performance at a size from that at two: linear in the logarithm of the size.

    Examples
    --------
    >>> round(extrapolated(10_000, (100, 0.5), (1_000, 0.6)), 9)
    0.7
    """
    (n0, at0), (n1, at1) = small, large
    return at0 + math.log(rows / n0) / math.log(n1 / n0) * (at1 - at0)
