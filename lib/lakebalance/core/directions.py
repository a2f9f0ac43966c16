"""Directions of vectors on a grid of whole numbers, whose inner products are exact.

A unit vector is multiplied by a few thousand and rounded. Products and sums of such numbers stay
below 2^24, so that single precision holds each of them exactly: however a matrix product is cut up,
on whatever machine, the same comes out, as fast as the machine can.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
# The most that single precision counts to without a gap is the square of this.
WHOLE = 4096
# Beyond it, rounding would take up too much of the grid.
MOST_NUMBERS = 65_536
TOGETHER = 128


def scale_for(size: int) -> int:
    """What unit vectors of so many numbers are multiplied by.

    A rounded vector is longer than that by at most the square root of a quarter of its size; no
    part of the sum of an inner product is then over the product of two lengths, which is 2^24.

    Examples
    --------
    >>> scale_for(384), scale_for(4096)
    (4085, 4063)
    """
    return WHOLE - 1 - math.ceil(math.sqrt(size) / 2)


def lengths(at: NDArray[np.floating]) -> Floats:
    """The length of each vector, one a row; summed in one order whatever rows there are."""
    found = np.empty(len(at))
    for part in _parts(at):
        wide = at[part].astype(np.float64)
        found[part] = np.sqrt((wide * wide).sum(axis=1))
    return found


def _parts(at: NDArray[np.floating]) -> Iterator[slice]:
    """Rows few enough to stay in a processor's own memory."""
    for start in range(0, len(at), TOGETHER):
        yield slice(start, start + TOGETHER)


def on_grid(at: NDArray[np.floating]) -> Singles:
    """The directions of vectors that are not nought, one a row, as whole numbers.

    Examples
    --------
    >>> on_grid(np.array([[3.0, 4.0], [6.0, 8.0]])).tolist()
    [[2456.0, 3275.0], [2456.0, 3275.0]]
    """
    grid = np.empty(at.shape, np.float32)
    factors = scale_for(at.shape[1]) / lengths(at)
    for part in _parts(at):
        grid[part] = np.rint(at[part].astype(np.float64) * factors[part, None])
    return grid


def slack(size: int) -> float:
    """How far the product of two vectors on the grid may be from their cosine, times scale squared.

    Rounding moves each number by half at most, so a vector by half the square root of its size.

    Examples
    --------
    >>> round(slack(384) / scale_for(384) ** 2, 4)
    0.0048
    """
    return scale_for(size) * math.sqrt(size) + size / 4


def cosines(one: NDArray[np.floating], other: NDArray[np.floating]) -> Floats:
    """The cosine of each two vectors that are not nought, row by row, to twelve digits.

    Examples
    --------
    >>> cosines(np.array([[1.0, 0.0], [0.1, 0.3]]), np.array([[1.0, 1.0], [0.2, 0.6]])).tolist()
    [0.707106781187, 1.0]
    """
    inner = np.empty(len(one))
    for part in _parts(one):
        inner[part] = (one[part].astype(np.float64) * other[part]).sum(axis=1)
    return np.clip(np.round(inner / (lengths(one) * lengths(other)), 12), -1.0, 1.0)
