"""The k nearest points beyond doubt, for what decides whether a row stays.

Single precision finds candidates fast. Its error has a bound, which says of most points that
nothing else can be nearer; for the others, all that may be within the bound is measured in double
precision.
"""

from __future__ import annotations

import numpy as np

from lakebalance.core.neighbours import (
    BLOCK,
    SPARE,
    Best,
    Floats,
    Ints,
    Singles,
    distinct_points,
    first_members,
    left_of,
    nearest_members,
    right_of,
    search_all,
    squared,
)

ROUNDING = 2.0**-24
FEW = 256


def nearest_to(points: Floats, asked: Floats, k: int) -> tuple[Ints, Floats]:
    """The k nearest points to places, by Euclidean distance; ties go to the earlier position.

    Parameters
    ----------
    points : n points of d finite coordinates.
    asked : coordinates of the places.
    k : how many, from 1 to n.

    Returns
    -------
    Positions of the points, nearest first, and their distances; a row per place.

    Examples
    --------
    >>> points = np.array([[0.0], [2.0], [5.0], [2.0]])
    >>> nearest_to(points, np.array([[1.0], [4.0]]), 2)[0].tolist()
    [[0, 1], [2, 1]]
    """
    scale = _power_of_two(points, asked)
    first, of_point = distinct_points(points)
    distinct = points[first] * scale
    first_asked, of_asked = distinct_points(asked)
    places = asked[first_asked] * scale
    near = _nearest_distinct(distinct, places, min(k, len(distinct)))
    members = first_members(of_point, len(distinct), k)
    positions = np.empty((len(places), k), dtype=np.int64)
    distances = np.empty((len(places), k), dtype=np.float64)
    for start in range(0, len(places), BLOCK):
        part = slice(start, start + BLOCK)
        exact = squared(places[part, None, :], distinct[near[part]])
        positions[part], far = nearest_members(members[near[part]], exact, k)
        distances[part] = np.sqrt(far) / scale
    return positions[of_asked], distances[of_asked]


def nearest_others(points: Floats, asked: Ints, k: int) -> tuple[Ints, Floats]:
    """The k nearest other points of some points; equal points are others, at a distance of 0.

    Parameters
    ----------
    points : n points of d finite coordinates.
    asked : positions of the points whose neighbours are wanted.
    k : how many, from 1 to n - 1.

    Returns
    -------
    Positions of the neighbours, nearest first, and their distances; a row per asked point.

    Examples
    --------
    >>> nearest_others(np.array([[0.0], [1.0], [5.0], [5.0]]), np.array([0, 2]), 2)[0].tolist()
    [[1, 2], [3, 1]]
    """
    found, distances = nearest_to(points, points[asked], k + 1)
    # Where many points are equal, the point itself may come after all that are found.
    own = found == asked[:, None]
    own[~own.any(axis=1), -1] = True
    shape = (len(asked), k)
    return found[~own].reshape(shape), distances[~own].reshape(shape)


def _power_of_two(points: Floats, asked: Floats) -> float:
    """What brings all coordinates within 1 without rounding, so that squares stay in range."""
    largest = max(np.abs(points).max(initial=0.0), np.abs(asked).max(initial=0.0))
    return float(2.0 ** -np.clip(np.frexp(largest)[1], -1000, 1000)) if largest else 1.0


def _nearest_distinct(points: Floats, places: Floats, k: int) -> Ints:
    """Of distinct points the k nearest to each place, by distance and then position."""
    most = min(k + SPARE, len(points))
    found = search_all(points.astype(np.float32), places.astype(np.float32), most)
    near = np.empty((len(places), k), dtype=np.int64)
    kth = np.empty(len(places))
    for start in range(0, len(places), BLOCK):
        part = slice(start, start + BLOCK)
        exact = squared(places[part, None, :], points[found.index[part]])
        order = np.lexsort((found.index[part], exact), axis=-1)[:, :k]
        near[part] = np.take_along_axis(found.index[part], order, axis=1)
        kth[part] = np.take_along_axis(exact, order, axis=1)[:, -1]
    if most == len(points):
        return near
    error = _error(places, kth)
    unsure = np.flatnonzero(found.far[:, -1] - error <= kth)
    for start in range(0, len(unsure), FEW):
        some = unsure[start : start + FEW]
        near[some] = _measured(points, places[some], kth[some], error[some], k)
    return near


def _error(places: Floats, kth: Floats) -> Floats:
    """How far off single precision may be about squared distances of about ``kth``.

    Rounding coordinates, norms and products each costs at most some units in the last place of
    (|x| + |y|)². A point y with |y| > |x| + 2 sqrt(kth) is further away than the k-th anyway.
    """
    norm = np.sqrt((places**2).sum(axis=1))
    units: Floats = (4 * places.shape[1] + 16) * ROUNDING * (2 * norm + 2 * np.sqrt(kth)) ** 2
    return units + 1e-30  # what is lost where squares are too small for single precision


def _measured(points: Floats, places: Floats, kth: Floats, error: Floats, k: int) -> Ints:
    """The k nearest to few places: all points that may be no further than the k-th are measured."""
    best = Best(len(places), k, np.float64)
    left, limit = left_of(places.astype(np.float32)), (kth + error)[:, None]
    for start in range(0, len(points), BLOCK):
        block: Singles = points[start : start + BLOCK].astype(np.float32)
        row, column = np.nonzero(left @ right_of(block) <= limit)
        column = column + start
        far = squared(places[row], points[column])
        kept = far <= kth[row]
        best.wait(row[kept], column[kept], far[kept])
    best.settle()
    return best.index
