"""What a search for the nearest points is made of: distances, ties, and the best seen so far."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lakebalance.core.chance import words

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Singles = NDArray[np.float32]
BLOCK = 2048
SPARE = 4
PENDING = 2_000_000
GROUPS = 64
FIXED_MIB = 110


def nearest_members(
    members: Ints, far: Floats, k: int, own: Ints | None = None
) -> tuple[Ints, Floats]:
    """Of the points that lie at some places the k nearest; ties go to the earlier position.

    Parameters
    ----------
    members : positions of the points at each place, see ``first_members``; by asked point, place.
    far : distances of the places; by asked point, place.
    k : how many; there are as many.
    own : a position for each asked point that does not count.

    Returns
    -------
    Positions and distances, nearest first; a row per asked point.
    """
    candidates = members.reshape(len(members), -1)
    distances = np.repeat(far, members.shape[2], axis=1)
    none = candidates < 0
    distances[none if own is None else none | (candidates == own[:, None])] = np.inf
    chosen = np.lexsort((candidates, distances), axis=-1)[:, :k]
    return (
        np.take_along_axis(candidates, chosen, axis=1),
        np.take_along_axis(distances, chosen, axis=1),
    )


def squared(a: Floats, b: Floats) -> Floats:
    """The squared distances between points whose coordinates are along the last axis."""
    total: Floats = np.zeros(np.broadcast_shapes(a.shape, b.shape)[:-1])
    # Coordinate by coordinate: a matrix product would round as the machine's library likes.
    for axis in range(a.shape[-1]):
        total += (a[..., axis] - b[..., axis]) ** 2
    return total


def centred(at: Floats) -> tuple[Floats, Floats]:
    """Coordinates without gaps around their mean, and the standard deviation of each column.

    Parameters
    ----------
    at : coordinates, NaN where there is none, which becomes the mean.
    """
    gaps = np.isnan(at)
    low = np.where(gaps, np.inf, at).min(axis=0, initial=np.inf)
    high = np.where(gaps, -np.inf, at).max(axis=0, initial=-np.inf)
    filled = np.maximum((~gaps).sum(axis=0), 1)
    # A sum of equal values is rounded, and what is rounded off would be all that sets rows apart.
    same = low >= high
    mean = np.where(
        same, np.where(low == high, low, 0.0), np.where(gaps, 0.0, at).sum(axis=0) / filled
    )
    at = np.where(gaps, mean, at)
    spread = np.where(same, 0.0, at.std(axis=0))
    return at - np.where(same, mean, at.mean(axis=0)), spread


def mib_for(rows: int, width: int, children: int = 0) -> int:
    """The most MiB that a task needs for points and new ones: what tasks were seen to take.

    Parameters
    ----------
    rows : points that are searched: as they came, centred, in single precision, with their keys.
    width : numbers of each.
    children : new points that it makes.

    Examples
    --------
    >>> mib_for(1_000_000, 20)
    1118
    """
    words = rows * (5 * width + 32) + children * (2 * width + 16)
    return FIXED_MIB + math.ceil(words * 8 / 2**20)


def distinct_points(points: Floats) -> tuple[Ints, Ints]:
    """The first positions of distinct points, in order; and which of them each point is."""
    _, first, inverse = np.unique(same_points(points), return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return first[order], rank[inverse]


def same_points(points: Floats) -> Ints:
    """A number for each point, equal for equal points alone, but for one chance in 2^64 a pair."""
    number = np.zeros(len(points), dtype=np.uint64)
    for axis in range(points.shape[1]):
        bits = (points[:, axis] + 0.0).view(np.uint64)  # -0.0 is 0.0
        number = words((number ^ bits).view(np.int64), np.full(len(points), axis), 0)
    return number.view(np.int64)


def first_members(of_point: Ints, distinct: int, most: int) -> Ints:
    """The first positions of each distinct point, at most so many, -1 where there are fewer."""
    order = np.argsort(of_point, kind="stable")
    starts = np.searchsorted(of_point[order], np.arange(distinct))
    counts = np.bincount(of_point, minlength=distinct)
    steps = np.arange(min(most, int(counts.max())))
    at = np.minimum(starts[:, None] + steps, len(order) - 1)
    return np.where(steps < counts[:, None], order[at], -1)


class Best:
    """The nearest points seen so far of each asked point."""

    def __init__(self, asked: int, most: int, kind: type = np.float32) -> None:
        self.far: NDArray[Any] = np.full((asked, most), np.inf, dtype=kind)
        self.index = np.zeros((asked, most), dtype=np.int64)
        self.waiting: list[tuple[Ints, Ints, NDArray[Any]]] = []
        self.pending = 0

    def see(self, rows: Ints, columns: Ints, far: NDArray[Any]) -> None:
        """Take distances from some asked points (rows) to some points (columns) into account."""
        if not len(columns) or not len(rows):
            return
        limit = self.far[rows, -1]
        if np.isinf(limit).any():
            self.settle()
            # No further than the limit, so that as many as are wanted are seen at the first look.
            limit = np.nextafter(np.minimum(self.far[rows, -1], self._reached(far)), np.inf)
        # Flat, as numpy looks through one dimension several times faster than through two.
        hits = np.flatnonzero(far < limit[:, None])
        if len(hits):
            row, column = np.divmod(hits, far.shape[1])
            self.wait(rows[row], columns[column], far[row, column])

    def _reached(self, far: NDArray[Any]) -> NDArray[Any]:
        """A distance for each row that as many of these as are wanted do not exceed.

        Each column's least distance in every ``GROUPS``-th place is one of them; to find the
        least of those takes a part of the time that to look for the very nearest would.
        """
        most = self.far.shape[1]
        groups = max(GROUPS, 2 * most)
        if far.shape[1] >= 2 * groups:
            whole = far.shape[1] // groups * groups
            far = far[:, :whole].reshape(len(far), -1, groups).min(axis=1)
        if far.shape[1] < most:
            return np.full(len(far), np.inf, dtype=far.dtype)
        reached: NDArray[Any] = np.partition(far, most - 1, axis=1)[:, most - 1]
        return reached

    def wait(self, row: Ints, column: Ints, far: NDArray[Any]) -> None:
        """Take single distances into account when it is time."""
        self.waiting.append((row, column, far))
        self.pending += len(row)
        if self.pending > PENDING:
            self.settle()

    def settle(self) -> None:
        """Merge what is waiting, so that less is let through from now on."""
        if not self.waiting:
            return
        row, column, far = (np.concatenate(parts) for parts in zip(*self.waiting, strict=True))
        self.waiting, self.pending = [], 0
        seen = np.zeros(len(self.far), dtype=bool)
        seen[row] = True
        touched, at = np.flatnonzero(seen), (np.cumsum(seen) - 1)[row]
        most = self.far.shape[1]
        at = np.concatenate([np.repeat(np.arange(len(touched)), most), at])
        column = np.concatenate([self.index[touched].ravel(), column])
        far = np.concatenate([self.far[touched].ravel(), far])
        order = np.lexsort((column, far, at))
        at, column, far = at[order], column[order], far[order]
        place = np.arange(len(at)) - np.searchsorted(at, at)
        kept = place < most
        self.far[touched[at[kept]], place[kept]] = far[kept]
        self.index[touched[at[kept]], place[kept]] = column[kept]


def left_of(points: NDArray[Any]) -> NDArray[Any]:
    """Points as a side of a matrix product; see ``right_of``."""
    ones = np.ones((len(points), 1), dtype=points.dtype)
    return np.hstack([points, (points**2).sum(axis=1, keepdims=True), ones])


def right_of(points: NDArray[Any]) -> NDArray[Any]:
    """Such that left @ right is the squared distance: norms ride along in the matrix product."""
    ones = np.ones((len(points), 1), dtype=points.dtype)
    return np.hstack([-2 * points, ones, (points**2).sum(axis=1, keepdims=True)]).T


def search_all(points: NDArray[Any], asked: NDArray[Any], most: int) -> Best:
    """The nearest of all points to some asked about, as their precision sees them."""
    best = Best(len(asked), most, points.dtype.type)
    # One block of asked points at a time: their bounds are tight sooner than those of all at once.
    for start in range(0, len(asked), BLOCK):
        rows = np.arange(start, min(start + BLOCK, len(asked)))
        left = left_of(asked[rows])
        for i, first in enumerate(range(0, len(points), BLOCK)):
            columns = np.arange(first, min(first + BLOCK, len(points)))
            # Made anew for each block of those asked: a thousandth of the product's work, and no
            # copy of all points.
            best.see(rows, columns, left @ right_of(points[columns]))
            # After one, two, four, … blocks: half as many then pass a bound that is tight.
            if not i & (i + 1):
                best.settle()
    best.settle()
    return best
