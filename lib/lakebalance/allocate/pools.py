"""Pools of the best quality buckets, and the loss after training on one, by a scaling law.

A pool is seen evenly, epoch after epoch; each epoch is worth less than the one before. Losses are
computed by plain arithmetic, so that the same pool is best on every machine.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lakebalance.core.plain import minus_log, power_of_half

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# After so many half-lives, further epochs change no loss by what a double can hold.
SPENT = 64
# Numbers that are worked on at a time.
CHUNK = 2**20
# Log losses that differ by less are the same, and the pool of fewer buckets is taken.
SAME = 1e-12


@dataclass(frozen=True)
class Bucket:
    """A quality bucket: its utility, below 0, and the epochs in which that is halved.

    ``measured_rows`` are the rows that it had when its half-life was measured.
    """

    name: str
    rows: int
    utility: float
    half_life: float
    measured_rows: int

    @property
    def rank(self) -> tuple[float, float, str]:
        """What buckets are taken by: the most useful first, then the longest useful."""
        return self.utility, -self.half_life / self.measured_rows, self.name


@dataclass(frozen=True)
class Law:
    """loss = d + (a · samples / unit)^utility, while samples are new."""

    a: float
    d: float
    unit: float

    @property
    def start(self) -> int:
        """The samples from which on the law holds: there, every pool has the loss 1 + d."""
        return math.ceil(self.unit / self.a)


@dataclass(frozen=True)
class Pool:
    """Some buckets that are seen together.

    While the samples seen are those of epoch e, from 0, the logarithm of loss - d is
    ``intercepts[e] + utilities[e] · log(samples)``: ``utilities`` are means over the rows.
    """

    law: Law
    buckets: Sequence[Bucket]
    rows: int
    utilities: Floats
    intercepts: Floats

    @classmethod
    def of(cls, law: Law, buckets: Sequence[Bucket], most: int) -> Pool:
        """The pool of some buckets, for budgets up to ``most`` samples seen.

        A bucket of P rows with half-life c has in a pool of N rows the half-life c · N / P: with
        buckets all of a size, c times their number.
        """
        rows = sum(bucket.rows for bucket in buckets)
        speeds = [bucket.measured_rows / (bucket.half_life * rows) for bucket in buckets]
        epochs = min(most // rows, math.ceil(SPENT / min(speeds)))
        weights = [bucket.rows / rows * bucket.utility for bucket in buckets]
        utilities = _utilities(np.array(weights), np.array(speeds), epochs)
        # The lines of two epochs meet where the one ends and the other begins.
        ends = logarithms(np.arange(1, epochs + 1, dtype=float) * rows)
        first = utilities[:1] * logarithms(np.array([law.a / law.unit]))
        turns = (utilities[:-1] - utilities[1:]) * ends
        intercepts = np.add.accumulate(np.concatenate([first, turns]))
        return cls(law, buckets, rows, utilities, intercepts)

    def log_losses(self, budgets: Ints, logs: Floats) -> Floats:
        """The logarithms of loss - d after some samples seen, whose logarithms are given too."""
        epochs = np.minimum(budgets // self.rows, len(self.utilities) - 1)
        return np.asarray(self.intercepts[epochs] + self.utilities[epochs] * logs)

    def loss(self, budget: int) -> float:
        """The loss after a budget of samples seen.

        Examples
        --------
        >>> law = Law(a=0.5, d=0.05, unit=1e5)
        >>> bucket = Bucket("top", 10**6, -0.2, 2, 10**6)
        >>> round(Pool.of(law, [bucket], 10**7).loss(10**7), 5)
        0.65229
        """
        seen = np.array([budget])
        return self.law.d + math.exp(float(self.log_losses(seen, logarithms(seen))[0]))


def _utilities(weights: Floats, speeds: Floats, epochs: int) -> Floats:
    """Sums of weights, each halved by its speed, in the epochs from 0 on; always in one order."""
    parts = []
    size = max(CHUNK // len(weights), 1)
    for start in range(0, epochs + 1, size):
        epoch = np.arange(start, min(start + size, epochs + 1), dtype=float)
        worth = weights[:, None] * power_of_half(speeds[:, None] * epoch)
        parts.append(np.add.accumulate(worth, axis=0)[-1])
    return np.concatenate(parts)


def logarithms(numbers: Floats | Ints) -> Floats:
    """The natural logarithms of numbers above 0, the same on every machine."""
    least, most = np.minimum(numbers, 1), np.maximum(numbers, 1)
    return np.asarray(minus_log(1 / most) - minus_log(least))


def pools_of(law: Law, buckets: Sequence[Bucket], most: int) -> list[Pool]:
    """The pools of the best bucket, the best two and so on, for budgets up to ``most`` samples.

    Buckets without rows are in none.
    """
    order = sorted((b for b in buckets if b.rows), key=lambda bucket: bucket.rank)
    return [Pool.of(law, order[: k + 1], most) for k in range(len(order))]


def best(pools: Sequence[Pool], budgets: Ints) -> Ints:
    """For each budget the place of the pool of least loss; of equal ones, that of fewest buckets.

    Parameters
    ----------
    pools : at least one pool.
    budgets : samples seen, each at least 1 and at most those that the pools were made for.
    """
    logs = logarithms(budgets)
    losses = np.array([pool.log_losses(budgets, logs) for pool in pools])
    return np.asarray(np.argmax(losses <= losses.min(axis=0) + SAME, axis=0), dtype=np.int64)
