"""The k nearest points of points, in one task: exact where few, by probing cells where many.

Points are told apart by their position alone, so that whoever orders them the same gets the same
neighbours. Where cells are probed (an inverted file), how many is found out by measuring: the
recall on some points, searched exactly, says how many cells the others need.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from lakebalance.core.exact_neighbours import nearest_distinct, power_of_two
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
    squared,
)

EXACT_UP_TO = 20_000
TOGETHER = 32 * BLOCK
TESTED = 256


def nearest(points: Floats, asked: Ints, k: int, recall: float = 0.96) -> tuple[Ints, Floats]:
    """The k nearest other points of some points, by Euclidean distance.

    Equal points are points of their own, at a distance of 0. Ties go to the earlier position.

    Parameters
    ----------
    points : n points of d finite coordinates.
    asked : positions of the points whose neighbours are wanted.
    k : how many, from 1 to n - 1.
    recall : share of true neighbours that a search by cells must find, measured on some points.

    Returns
    -------
    Positions of the neighbours, nearest first, and their squared distances; a row per asked point.

    Examples
    --------
    >>> points = np.array([[0.0], [1.0], [5.0], [5.0]])
    >>> nearest(points, np.array([0, 2]), 2)[0].tolist()
    [[1, 2], [3, 1]]
    """
    # Equal points are searched once: columns of few values would else tie beyond measure.
    first, of_point = distinct_points(points)
    distinct = points if len(first) == len(points) else points[first]
    if (scale := power_of_two(points)) != 1:
        distinct = distinct * scale
    wanted, back = np.unique(of_point[asked], return_inverse=True)
    found, far = _search(distinct, wanted, min(k + 1, len(distinct)), recall)
    members = first_members(of_point, len(distinct), k + 1)
    positions = np.empty((len(asked), k), dtype=np.int64)
    distances = np.empty((len(asked), k), dtype=np.float64)
    for start in range(0, len(asked), BLOCK):
        part = slice(start, start + BLOCK)
        near = found[back[part]]
        exact = squared(points[asked[part], None, :] * scale, distinct[near])
        exact[np.isinf(far[back[part]])] = np.inf
        positions[part], nearby = nearest_members(members[near], exact, k, asked[part])
        distances[part] = nearby / scale / scale
    return positions, distances


def _search(points: Floats, asked: Ints, needed: int, recall: float) -> tuple[Ints, Floats]:
    """Of distinct points the nearest of some, themselves among them, and some to spare.

    Their distances are only good for which of them are none, as infinite ones are.
    """
    if len(points) > EXACT_UP_TO:
        cells = _Cells(points)
        probes = cells.probes_for(recall, needed)
        if probes * 2 <= cells.count:
            return cells.search(asked, needed, probes)
    found = nearest_distinct(points, points[asked], needed)
    return found, np.zeros(found.shape)


class _Cells:
    """Points by the nearest of some pivots, which are the first points: keys come in no order."""

    def __init__(self, points: Floats) -> None:
        self.points = points
        self.count = int(1.5 * np.sqrt(len(points)))
        self.pivots = right_of(points[: self.count].astype(np.float32))
        blocks = _blocks(points, np.arange(len(points)), self.pivots)
        cell = np.concatenate([far.argmin(axis=1) for _, far in blocks])
        self.order = np.argsort(cell, kind="stable")
        self.starts = np.searchsorted(cell[self.order], np.arange(self.count + 1))
        self.cell = cell

    def probes_for(self, recall: float, needed: int) -> int:
        """How many cells must be probed to find the share ``recall`` of the nearest."""
        tested = np.arange(self.count, self.count + TESTED)
        near = nearest_distinct(self.points, self.points[tested], needed)
        _, far = next(_blocks(self.points, tested, self.pivots))
        places = np.argsort(np.argsort(far, axis=1), axis=1)
        # Each point is its own nearest, which says nothing.
        places = np.sort(np.take_along_axis(places, self.cell[near[:, 1:]], axis=1).ravel())
        return int(places[min(int(np.ceil(recall * len(places))), len(places) - 1)]) + 1

    def search(self, asked: Ints, needed: int, probes: int) -> tuple[Ints, Floats]:
        """The nearest of some points in the cells whose pivots are nearest to each."""
        best = Best(len(asked), needed + SPARE)
        for start in range(0, len(asked), TOGETHER):
            rows = np.arange(start, min(start + TOGETHER, len(asked)))
            cells = np.vstack(list(self._nearest_cells(asked[rows], probes)))
            # Nearest cells first: the sooner the bounds are tight, the less must be looked at.
            first, width = 0, 2
            while first < probes:
                self._probe(best, asked, rows, cells[:, first : first + width])
                first, width = first + width, width * 4
        best.settle()
        # Cells of few points may have fewer than are needed.
        few = np.flatnonzero(np.isinf(best.far[:, needed - 1]))
        best.index[few, :needed] = nearest_distinct(self.points, self.points[asked[few]], needed)
        best.far[few, :needed] = 0
        return best.index, best.far.astype(np.float64)

    def _nearest_cells(self, asked: Ints, probes: int) -> Iterator[Ints]:
        """The cells to be probed for some points, nearest first."""
        for _, far in _blocks(self.points, asked, self.pivots):
            near = np.argpartition(far, probes - 1, axis=1)[:, :probes]
            by_distance = np.argsort(np.take_along_axis(far, near, axis=1), axis=1)
            yield np.take_along_axis(near, by_distance, axis=1)

    def _probe(self, best: Best, asked: Ints, rows: Ints, cells: Ints) -> None:
        row = np.repeat(rows, cells.shape[1])
        order = np.argsort(cells.ravel(), kind="stable")
        row, cell = row[order], cells.ravel()[order]
        edges = np.flatnonzero(np.diff(cell)) + 1
        for part in np.split(np.arange(len(cell)), edges):
            at = cell[part[0]]
            members = self.order[self.starts[at] : self.starts[at + 1]]
            own = row[part[0] : part[-1] + 1]
            for start in range(0, len(own), BLOCK):
                some = own[start : start + BLOCK]
                left = left_of(self._around(at, asked[some]))
                for first in range(0, len(members), BLOCK):
                    columns = members[first : first + BLOCK]
                    best.see(some, columns, left @ right_of(self._around(at, columns)))
        best.settle()

    def _around(self, cell: int, places: Ints) -> Singles:
        """Points as seen from a cell's pivot, where single precision tells those near it apart."""
        singles: Singles = (self.points[places] - self.points[cell]).astype(np.float32)
        return singles


def _blocks(points: Floats, asked: Ints, right: Singles) -> Iterator[tuple[Ints, Singles]]:
    """Squared distances from asked points to what is on the right, a block of rows at a time."""
    for start in range(0, len(asked), BLOCK):
        rows = np.arange(start, min(start + BLOCK, len(asked)))
        yield rows, left_of(points[asked[rows]].astype(np.float32)) @ right
