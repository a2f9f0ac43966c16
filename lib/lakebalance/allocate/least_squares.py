"""Least squares of a curve within bounds, by Levenberg's and Marquardt's steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Residuals = Callable[[Floats], tuple[Floats, Floats]]
STEPS = 300
SMALLEST = 1e-13


@dataclass(frozen=True)
class Solution:
    """Numbers, the sum of squares there, and each number's standard error.

    A number has none at a bound, where the data do not tell it, or with as many numbers as data.
    """

    at: Floats
    squares: float
    errors: Sequence[float | None]


def least_squares(residuals: Residuals, start: Floats, bounds: tuple[Floats, Floats]) -> Solution:
    """The numbers of least squares near to a start, within bounds.

    Parameters
    ----------
    residuals : says for some numbers the residuals and their slopes, one column a number.
    start : where to begin; brought within the bounds.
    bounds : the least and the most of each number.

    Examples
    --------
    >>> x = np.array([1.0, 2.0, 3.0])
    >>> line = lambda at: (at[0] + at[1] * x - [3.0, 5.1, 6.9], np.stack([x * 0 + 1, x], 1))
    >>> found = least_squares(line, np.zeros(2), (np.full(2, -9.0), np.full(2, 9.0)))
    >>> found.at.round(6).tolist(), [round(e, 4) for e in found.errors]
    ([1.1, 1.95], [0.1871, 0.0866])
    """
    low, high = bounds
    at = np.clip(start, low, high)
    off, slopes = residuals(at)
    damping = 1e-3
    for _ in range(STEPS):
        free = _free(at, slopes.T @ off, bounds)
        step = _step(off, slopes, free, damping)
        there = np.clip(at + step, low, high)
        moved = float(np.max(np.abs(there - at) / (np.abs(at) + 1e-6), initial=0.0))
        off_there, slopes_there = residuals(there)
        if float(off_there @ off_there) <= float(off @ off):
            at, off, slopes, damping = there, off_there, slopes_there, max(damping / 5, 1e-12)
        else:
            damping *= 4
        if moved < SMALLEST or damping > 1e12:
            break
    free = (at > low) & (at < high)
    return Solution(at, float(off @ off), _errors(off, slopes, free))


def _free(at: Floats, uphill: Floats, bounds: tuple[Floats, Floats]) -> NDArray[np.bool_]:
    """The numbers that are not at a bound over which less squares would lie."""
    low, high = bounds
    return np.asarray(~(((at <= low) & (uphill > 0)) | ((at >= high) & (uphill < 0))))


def _step(off: Floats, slopes: Floats, free: NDArray[np.bool_], damping: float) -> Floats:
    step = np.zeros(slopes.shape[1])
    if free.any():
        own = slopes[:, free]
        scale = np.sqrt((own**2).sum(axis=0)) + 1e-300
        ridge = np.sqrt(damping) * np.eye(own.shape[1])
        stacked = np.vstack([own / scale, ridge])
        wanted = np.concatenate([-off, np.zeros(own.shape[1])])
        step[free] = np.linalg.lstsq(stacked, wanted, rcond=None)[0] / scale
    return step


def _errors(off: Floats, slopes: Floats, free: NDArray[np.bool_]) -> list[float | None]:
    errors: list[float | None] = [None] * len(free)
    own = slopes[:, free]
    left = len(off) - own.shape[1]
    scale = np.sqrt((own**2).sum(axis=0))
    if left < 1 or not own.size or not scale.all():
        return errors
    normal = (own / scale).T @ (own / scale)
    if np.linalg.cond(normal) > 1e14:
        return errors
    variances = np.diag(np.linalg.inv(normal)) * float(off @ off) / left
    for i, variance, unit in zip(np.flatnonzero(free), variances, scale, strict=True):
        errors[i] = float(np.sqrt(max(variance, 0.0)) / unit)
    return errors
