"""Newton's method with halved steps, for convex functions that cost a pass over the rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lakebalance.sample.arm_weights import on_grid
from lakebalance.sample.exact_sums import Floats

GRADIENT, STEP = 1e-8, 1e-2
# Sums are rounded, so that equal values may differ by as much.
NOISE = 1e-9
# Where the curvature at the start is less than this part of the largest, there is none: columns
# follow from others, and only what rounding left of the gradient would move along them.
NONE = 1e-12
# Where it gets lost on the way, there is no minimum, and steps grow.
DAMPING = 1e-10
MOST_EVALUATIONS = 30


@dataclass(frozen=True)
class Bowl:
    """A function at a point: its value, gradient and matrix of second derivatives."""

    value: float
    gradient: Floats
    curvature: Floats


@dataclass(frozen=True)
class Minimum:
    """Where the search ended, after how many evaluations, and whether it had arrived."""

    point: Floats
    gradient: Floats
    evaluations: int
    converged: bool


def minimise(evaluate: Callable[[Floats], Bowl], start: Floats, ridge: Floats) -> Minimum:
    """Find the least value of a convex function plus ridge · point² / 2.

    It has arrived where no part of the gradient is over 1e-8 and no part of the next step over
    0.01. Points are rounded to 1e-10, so that the last bits of the linear algebra, which differ
    between machines, do not get into what is found.

    Parameters
    ----------
    evaluate : the function; it may raise where it sees that there is no minimum.
    start : where to begin.
    ridge : penalty for each coordinate, 0 for none.

    Examples
    --------
    >>> bowl = lambda x: Bowl(float(x @ x) / 2 - x[0], x - [1.0, 0.0], np.eye(2))
    >>> minimise(bowl, np.zeros(2), np.zeros(2)).point.round(6).tolist()
    [1.0, 0.0]
    """
    point, evaluations = start, 1
    here = _penalised(evaluate(point), point, ridge)
    free = _free(here.curvature)
    while True:
        step = _step(here, free)
        if np.abs(here.gradient).max() <= GRADIENT and np.abs(step).max() <= STEP:
            return Minimum(point, here.gradient, evaluations, True)
        length = 1.0
        while True:
            if evaluations == MOST_EVALUATIONS:
                return Minimum(point, here.gradient, evaluations, False)
            there = np.array(on_grid(point + length * step))
            if (there == point).all():
                return Minimum(point, here.gradient, evaluations, False)
            evaluations += 1
            found = _penalised(evaluate(there), there, ridge)
            slope = length * float(here.gradient @ step)
            if found.value <= here.value + 1e-4 * slope + NOISE:
                break
            length /= 2
        point, here = there, found


def _free(curvature: Floats) -> Floats:
    """The directions, as columns, in which a function is curved at all."""
    values, directions = np.linalg.eigh(curvature)
    free: Floats = directions[:, values > NONE * values.max(initial=0.0)]
    return free


def _step(bowl: Bowl, free: Floats) -> Floats:
    """Where the minimum would be, were the function a parabola, in some directions."""
    inside = free.T @ bowl.curvature @ free + DAMPING * np.eye(free.shape[1])
    step: Floats = -free @ np.linalg.solve(inside, free.T @ bowl.gradient)
    return step


def _penalised(bowl: Bowl, point: Floats, ridge: Floats) -> Bowl:
    return Bowl(
        bowl.value + float(ridge @ point**2) / 2,
        bowl.gradient + ridge * point,
        bowl.curvature + np.diag(ridge),
    )
