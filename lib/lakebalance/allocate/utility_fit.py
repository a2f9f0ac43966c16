"""Utilities and half-lives of quality buckets, fitted to losses that training runs measured."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from lakebalance.allocate.least_squares import least_squares
from lakebalance.allocate.pools import Bucket, Floats, Law, Pool, logarithms
from lakebalance.core.errors import RecipeError

LONGEST, SHORTEST = 1_000.0, 0.05
FEWEST = 3
# What a loss must fall by, at least, as e times as many samples are seen.
FLATTEST = 1e-9
# Where the search starts: half-lives, parts of the least loss that stay, and logarithms of how many
# times as many samples as the law starts at the least measurement has seen.
HALF_LIVES = np.geomspace(0.25, 256, 11)
STAYING = (0.0, 0.3, 0.6, 0.8, 0.9, 0.97)
AFTER_START = np.linspace(0.05, 12, 16)
TRIED = 4
# Digits that are the same however a machine adds.
DIGITS = 6


class MeasuredLoss(BaseModel):
    """The loss after training on so many samples of one bucket, its rows seen over and over."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    bucket: str = Field(description="The group; of several columns: a/b.")
    samples_seen: int = Field(gt=0, description="Samples seen, over all epochs.")
    loss: float = Field(
        gt=0,
        allow_inf_nan=False,
        description="The loss, such as an error rate, or as a part of an untrained model's.",
    )


@dataclass(frozen=True)
class Parameter:
    """A fitted number; ``error`` is its standard error, None where there is none."""

    name: str
    bucket: str | None
    value: float
    error: float | None


@dataclass(frozen=True)
class Fit:
    """Buckets as measurements have it, the law that they share, and how well both fit."""

    law: Law
    buckets: Sequence[Bucket]
    parameters: Sequence[Parameter]
    residuals: Sequence[tuple[MeasuredLoss, float]]


def fit_utilities(
    measured: Sequence[MeasuredLoss],
    rows_of: Mapping[str, int],
    unit: float,
    a: float | None = None,
    d: float | None = None,
) -> Fit:
    """The buckets whose losses come nearest to those measured, by least squares.

    Parameters
    ----------
    measured : losses of single buckets, in any order: each at three or more numbers of samples, one
        of them after its first epoch, and more of them all than there are numbers to find.
    rows_of : the rows of each bucket when it was measured.
    unit : samples that a counts in.
    a, d : constants of the law; where None, they are fitted too.

    Returns
    -------
    Buckets in order of their names with six digits of each number; ``rows`` are those measured.

    Raises
    ------
    RecipeError : too few measurements, a loss that rises, or one that the constants do not admit.

    Examples
    --------
    >>> law, rows = Law(0.5, 0.05, 1e5), {"top": 10**6}
    >>> pool = Pool.of(law, [Bucket("top", 10**6, -0.2, 2, 10**6)], 10**8)
    >>> measured = [MeasuredLoss(bucket="top", samples_seen=n, loss=pool.loss(n))
    ...             for n in (300_000, 10**6, 3 * 10**6, 10**7, 3 * 10**7)]
    >>> [bucket] = fit_utilities(measured, rows, 1e5, a=0.5).buckets
    >>> bucket.utility, bucket.half_life
    (-0.2, 2.0)
    """
    points = sorted(measured, key=lambda point: (point.bucket, point.samples_seen, point.loss))
    problem = _Problem(points, rows_of, unit, a, d)
    _check(problem)
    found = min(
        (least_squares(problem.residuals, start, problem.bounds) for start in problem.starts()),
        key=lambda solution: solution.squares,
    )
    return problem.fit_of(found.at, found.errors)


def _check(problem: _Problem) -> None:
    """Raise where measurements cannot tell what is asked of them."""
    for bucket, own in problem.by_bucket.items():
        rows = problem.rows_of[bucket]
        seen = [point.samples_seen for point in own]
        if len(set(seen)) < FEWEST:
            raise RecipeError(
                f'fit: bucket "{bucket}" was measured at {len(set(seen))} numbers of samples; a '
                f"utility and a half-life need {FEWEST}"
            )
        if max(seen) <= rows:
            raise RecipeError(
                f'fit: bucket "{bucket}" was measured up to {max(seen):,} samples, within its '
                f"first epoch of {rows:,} rows, which tells nothing of its half-life; measure it "
                "beyond, or write bucket_rows if it had fewer rows then"
            )
        slope = np.polyfit(np.log(seen), [point.loss for point in own], 1)[0]
        if slope > -FLATTEST:
            raise _rising(bucket)
    least = float(problem.losses.min())
    for point in problem.points:
        at = f'fit: bucket "{point.bucket}" after {point.samples_seen:,} samples'
        if point.loss >= 1 + (least if problem.d is None else problem.d):
            raise RecipeError(
                f"{at} has the loss {point.loss:g}, but the law knows losses of at most 1 + d; "
                "take error rates, or divide losses by that of an untrained model"
            )
        if problem.d is not None and point.loss <= problem.d:
            raise RecipeError(
                f"{at} has the loss {point.loss:g}, which must be above d = {problem.d:g}"
            )
        if problem.a is not None and point.samples_seen * problem.a <= problem.unit:
            raise RecipeError(
                f"{at} is before the law starts, at unit / a = {problem.unit / problem.a:,.0f} "
                "samples; write a smaller unit, or leave out a to have it fitted"
            )
    if len(problem.points) <= problem.numbers:
        raise RecipeError(
            f"fit: {len(problem.points):,} losses for {problem.numbers:,} numbers to find; measure "
            f"{problem.numbers + 1 - len(problem.points):,} more, or write a and d"
        )


def _rising(bucket: str) -> RecipeError:
    return RecipeError(
        f'fit: the loss of bucket "{bucket}" does not fall as more of its samples are seen; give '
        "it a utility by hand, or leave out what was measured wrongly"
    )


class _Problem:
    """Numbers to find, in one array: by bucket b and log c, then log a and d where not given."""

    def __init__(
        self,
        points: Sequence[MeasuredLoss],
        rows_of: Mapping[str, int],
        unit: float,
        a: float | None,
        d: float | None,
    ) -> None:
        self.points, self.rows_of, self.unit, self.a, self.d = points, rows_of, unit, a, d
        grouped = itertools.groupby(points, key=lambda point: point.bucket)
        self.by_bucket = {bucket: list(own) for bucket, own in grouped}
        self.losses = np.array([point.loss for point in points])
        self.numbers = 2 * len(self.by_bucket) + (a is None) + (d is None)
        # Where the law starts, at the latest: at the first measurement.
        firsts = [min(p.samples_seen, rows_of[p.bucket]) / unit for p in points]
        self.least_log_a = -float(np.log(min(firsts)))

    @property
    def bounds(self) -> tuple[Floats, Floats]:
        """The least and the most that each number may be."""
        k = len(self.by_bucket)
        low, high = [-10.0, np.log(SHORTEST)] * k, [0.0, np.log(LONGEST)] * k
        if self.a is None:
            low, high = [*low, self.least_log_a + 1e-6], [*high, self.least_log_a + 50]
        if self.d is None:
            low, high = [*low, 0.0], [*high, float(self.losses.min()) * (1 - 1e-9)]
        return np.array(low), np.array(high)

    def constants(self, at: Floats) -> tuple[float, float]:
        """The logarithm of a, and d."""
        shared = list(at[2 * len(self.by_bucket) :])
        log_a = float(np.log(self.a)) if self.a is not None else float(shared.pop(0))
        return log_a, self.d if self.d is not None else float(shared.pop(0))

    def seen(self, bucket: str, half_life: float) -> Floats:
        """Logarithms of the samples seen of a bucket, as far as they still counted, in units."""
        budgets = np.array([point.samples_seen for point in self.by_bucket[bucket]])
        rows, most = self.rows_of[bucket], int(budgets.max())
        plain = Bucket(bucket, rows, -1.0, half_life, rows)
        pool = Pool.of(Law(1.0, 0.0, self.unit), [plain], most)
        return -pool.log_losses(budgets, logarithms(budgets))

    def residuals(self, at: Floats) -> tuple[Floats, Floats]:
        """What the law says less what was measured, and how that changes with each number."""
        log_a, d = self.constants(at)
        slopes = np.zeros((len(self.points), self.numbers))
        said, row = np.zeros(len(self.points)), 0
        for i, (bucket, own) in enumerate(self.by_bucket.items()):
            b, log_c = at[2 * i : 2 * i + 2]
            x = log_a + self.seen(bucket, float(np.exp(log_c)))
            step = 1e-5
            longer, shorter = (self.seen(bucket, float(np.exp(log_c + s))) for s in (step, -step))
            rows = slice(row, row + len(own))
            said[rows] = falling = np.exp(b * x)
            slopes[rows, 2 * i] = x * falling
            slopes[rows, 2 * i + 1] = b * falling * (longer - shorter) / (2 * step)
            if self.a is None:
                slopes[rows, 2 * len(self.by_bucket)] = b * falling
            row += len(own)
        if self.d is None:
            slopes[:, -1] = 1.0
        return said + d - self.losses, slopes

    def starts(self) -> list[Floats]:
        """The best of a grid of numbers, where b is what fits logarithms best."""
        logs = [float(np.log(self.a))] if self.a is not None else self.least_log_a + AFTER_START
        parts = [self.d] if self.d is not None else [s * self.losses.min() for s in STAYING]
        seen = {
            bucket: np.array([self.seen(bucket, float(c)) for c in HALF_LIVES])
            for bucket in self.by_bucket
        }
        tried: list[tuple[float, list[float]]] = []
        for log_a, d in itertools.product(logs, parts):
            squares, at = 0.0, []
            for bucket, own in self.by_bucket.items():
                losses = np.array([point.loss for point in own]) - d
                x, weight = log_a + seen[bucket], losses**2
                b = (weight * x * np.log(losses)).sum(axis=1) / (weight * x * x).sum(axis=1)
                off = ((np.exp(b[:, None] * x) - losses) ** 2).sum(axis=1)
                best = int(np.argmin(off))
                squares += float(off[best])
                at += [float(b[best]), float(np.log(HALF_LIVES[best]))]
            at += [float(log_a)] if self.a is None else []
            at += [float(d)] if self.d is None else []
            tried.append((squares, at))
        return [np.array(at) for _, at in sorted(tried)[:TRIED]]

    def fit_of(self, at: Floats, errors: Sequence[float | None]) -> Fit:
        """Numbers as buckets and a law, with as many digits as count."""
        log_a, d = self.constants(at)
        law = Law(self.a or _rounded(math.exp(log_a)), _rounded(d), self.unit)
        buckets, parameters = [], []
        for i, bucket in enumerate(self.by_bucket):
            b, c = _rounded(at[2 * i]), _rounded(math.exp(at[2 * i + 1]))
            if b >= 0:
                raise _rising(bucket)
            rows = self.rows_of[bucket]
            buckets.append(Bucket(bucket, rows, b, c, rows))
            parameters.append(Parameter("utility", bucket, b, errors[2 * i]))
            parameters.append(Parameter("half_life", bucket, c, _times(c, errors[2 * i + 1])))
        shared = list(errors[2 * len(buckets) :])
        if self.a is None:
            parameters.append(Parameter("a", None, law.a, _times(law.a, shared.pop(0))))
        if self.d is None:
            parameters.append(Parameter("d", None, law.d, shared.pop(0)))
        off, _ = self.residuals(at)
        residuals = [(point, float(-r)) for point, r in zip(self.points, off, strict=True)]
        return Fit(law, buckets, parameters, residuals)


def _rounded(number: float) -> float:
    return float(f"{number:.{DIGITS}g}")


def _times(value: float, error: float | None) -> float | None:
    """The standard error of a number from that of its logarithm."""
    return None if error is None else value * error
