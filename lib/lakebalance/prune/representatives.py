"""Rows that stand for others: as many as asked, each the nearest to the middle of a cluster."""

from __future__ import annotations

import heapq

import numpy as np

from lakebalance.core.exact_neighbours import nearest_to
from lakebalance.core.neighbours import Floats, Ints, squared


def representatives(points: Floats, count: int, rounds: int) -> Ints:
    """Exactly ``count`` of some points, such that each point has one of them nearby.

    Clusters begin as parts cut where points vary most, and are then moved by k-means. Of each, the
    point nearest to its mean is taken. Nothing is by chance: who orders points the same gets the
    same ones.

    Parameters
    ----------
    points : n points of d finite coordinates; equal ones are points of their own.
    count : how many, from 1 to n.
    rounds : how often clusters are moved at most.

    Returns
    -------
    Positions of the points taken, rising.

    References
    ----------
    Su, Dy, "In Search of Deterministic Methods for Initializing K-Means and Gaussian Mixture
    Clustering", 2007 (Var-Part); Lloyd, "Least Squares Quantization in PCM", 1982.

    Examples
    --------
    >>> points = np.array([[0.0], [1.0], [2.1], [9.0], [9.0]])
    >>> representatives(points, 2, 10).tolist()
    [1, 3]
    """
    cluster = cut(points, count)
    middle = _means(points, cluster, np.zeros((count, points.shape[1])))
    for _ in range(rounds):
        moved = nearest_to(middle, points, 1)[0][:, 0]
        if (moved == cluster).all():
            break
        cluster, middle = moved, _means(points, moved, middle)
    far = squared(points, middle[cluster])
    # The first point of each cluster in order of distance, then of position.
    order = np.lexsort((np.arange(len(points)), far, cluster))
    taken = order[np.flatnonzero(np.diff(cluster[order], prepend=-1))]
    return _filled(points, taken, count)


def cut(points: Floats, count: int) -> Ints:
    """Which of ``count`` parts each point is in, none empty.

    The part of the largest sum of squares is cut at its mean across the axis on which it varies
    most, until there are enough.
    """
    everyone = np.arange(len(points))
    parts = [(-_spread(points), 0, everyone)]
    single: list[Ints] = []
    while len(parts) + len(single) < count:
        _, _, members = heapq.heappop(parts)
        at = points[members]
        axis = int(_squares(at).argmax())
        below = at[:, axis] <= _mean(at)[axis]
        if below.all() or not below.any():
            # All points are equal, but for what rounding does.
            below = np.arange(len(members)) == 0
        for half in (members[below], members[~below]):
            if len(half) == 1:
                single.append(half)
            else:
                heapq.heappush(parts, (-_spread(points[half]), int(half[0]), half))
    part = np.zeros(len(points), dtype=np.int64)
    for number, members in enumerate([*single, *[members for _, _, members in parts]]):
        part[members] = number
    return part


def _mean(at: Floats) -> Floats:
    # One after the other, so that it is the same sum on any machine.
    mean: Floats = at.cumsum(axis=0)[-1] / len(at)
    return mean


def _squares(at: Floats) -> Floats:
    """The sum of squares around the mean, by column."""
    squares: Floats = ((at - _mean(at)) ** 2).cumsum(axis=0)[-1]
    return squares


def _spread(at: Floats) -> float:
    return float(_squares(at).cumsum()[-1])


def _means(points: Floats, cluster: Ints, before: Floats) -> Floats:
    """The mean of each cluster's points; where it has none, what it was before."""
    count = len(before)
    size = np.bincount(cluster, minlength=count)[:, None]
    # One after the other, so that they are the same sums on any machine.
    total = np.column_stack([np.bincount(cluster, axis, count) for axis in points.T])
    return np.where(size > 0, total / np.maximum(size, 1), before)


def _filled(points: Floats, taken: Ints, count: int) -> Ints:
    """The points taken, and for clusters that lost all theirs those farthest from any taken."""
    if len(taken) < count:
        far = nearest_to(points[np.sort(taken)], points, 1)[1][:, 0]
        far[taken] = -1.0
        more = np.lexsort((np.arange(len(points)), -far))[: count - len(taken)]
        taken = np.concatenate([taken, more])
    return np.sort(taken)
