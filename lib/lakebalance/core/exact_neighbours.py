"""The k nearest points beyond doubt, for what decides whether a row stays.

Single precision finds candidates fast. Its error has a bound, which says of most points that
nothing else can be nearer; for the others, all that may be within the bound is measured in double
precision.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lakebalance.core.neighbours import (
    BLOCK,
    SPARE,
    Best,
    Floats,
    Ints,
    distinct_points,
    first_members,
    left_of,
    nearest_members,
    right_of,
    search_all,
    squared,
)

FEW = 256
IN_RANGE = 2.0**30


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
    scale = power_of_two(points, asked)
    first, of_point = distinct_points(points)
    distinct = points[first] * scale
    first_asked, of_asked = distinct_points(asked)
    places = asked[first_asked] * scale
    near = nearest_distinct(distinct, places, min(k, len(distinct)))
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


def power_of_two(*points: Floats) -> float:
    """What brings coordinates near 1 without rounding, so that squares stay in range; mostly 1."""
    largest = max(np.abs(some).max(initial=0.0) for some in points)
    if not largest or IN_RANGE > largest > 1 / IN_RANGE:
        return 1.0
    return float(2.0 ** -np.clip(np.frexp(largest)[1], -1000, 1000))


def nearest_distinct(points: Floats, places: Floats, k: int) -> Ints:
    """Of distinct points the k nearest to each place, by distance and then position.

    Parameters
    ----------
    points : distinct, such that no square of theirs leaves the range of single precision.
    places : coordinates, so too.
    k : how many, from 1 to n.
    """
    near, unsure = _nearest_seen(points, places, k, np.float32)
    # What single precision cannot tell apart, double precision mostly can.
    if len(unsure):
        near[unsure], rest = _nearest_seen(points, places[unsure], k, np.float64)
        unsure = unsure[rest]
    for start in range(0, len(unsure), FEW):
        some = unsure[start : start + FEW]
        near[some] = _measured(points, places[some], near[some])
    return near


def _nearest_seen(
    points: Floats, places: Floats, k: int, kind: type[np.floating[Any]]
) -> tuple[Ints, Ints]:
    """The k nearest as far as a precision sees, and the places of which others may be nearer."""
    most = min(k + SPARE, len(points))
    found = search_all(points.astype(kind, copy=False), places.astype(kind, copy=False), most)
    near = np.empty((len(places), k), dtype=np.int64)
    kth = np.empty(len(places))
    for start in range(0, len(places), BLOCK):
        part = slice(start, start + BLOCK)
        exact = squared(places[part, None, :], points[found.index[part]])
        order = np.lexsort((found.index[part], exact), axis=-1)[:, :k]
        near[part] = np.take_along_axis(found.index[part], order, axis=1)
        kth[part] = np.take_along_axis(exact, order, axis=1)[:, -1]
    if most == len(points):
        return near, np.array([], dtype=np.int64)
    return near, np.flatnonzero(found.far[:, -1] - _error(places, kth, kind) <= kth)


def _error(places: Floats, kth: Floats, kind: type[np.floating[Any]]) -> Floats:
    """How far off a precision may be about squared distances of about ``kth``.

    Rounding coordinates, norms and products each costs at most some units in the last place of
    (|x| + |y|)². A point y with |y| > |x| + 2 sqrt(kth) is further away than the k-th anyway.
    """
    norm = np.sqrt((places**2).sum(axis=1))
    rounding = float(np.finfo(kind).eps) / 2
    units: Floats = (4 * places.shape[1] + 16) * rounding * (2 * norm + 2 * np.sqrt(kth)) ** 2
    return units + 1e-30  # what is lost where squares are too small for single precision


def _measured(points: Floats, places: Floats, near: Ints) -> Ints:
    """The k nearest to few places: all points that may be nearer than these are measured."""
    best = Best(len(places), near.shape[1], np.float64)
    kth = squared(places[:, None, :], points[near]).max(axis=1)
    left, limit = left_of(places), (kth + _error(places, kth, np.float64))[:, None]
    for start in range(0, len(points), BLOCK):
        block = points[start : start + BLOCK]
        row, column = np.nonzero(left @ right_of(block) <= limit)
        column = column + start
        far = squared(places[row], points[column])
        kept = far <= kth[row]
        best.wait(row[kept], column[kept], far[kept])
    best.settle()
    return best.index
