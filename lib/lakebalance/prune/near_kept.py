"""Rows of a part one after the other: each goes that is near one that stays before it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lakebalance.core.directions import Floats, Singles, cosines, on_grid, scale_for, slack

Ints = NDArray[np.int64]
Matrix = NDArray[np.floating]
BLOCK = 256
# Pairs whose cosines are computed at once.
PAIRS = 4096


class Kept:
    """The rows that stay so far, and what is near them.

    Examples
    --------
    >>> kept = Kept(0.9)
    >>> near, cosine = kept.take(np.array([[1.0, 0.0], [1.0, 1.0], [1.0, 0.1]]))
    >>> near.tolist(), cosine.round(3).tolist()
    ([-1, -1, 0], [0.0, 0.0, 0.995])
    >>> kept.take(np.array([[2.0, 2.0]]))[0].tolist(), len(kept)
    ([1], 2)
    """

    def __init__(self, least: float) -> None:
        self.least = round(least, 12)
        self.count = 0
        self.grid: Singles = np.empty((0, 0), np.float32)
        self.at: Matrix = np.empty((0, 0))

    def __len__(self) -> int:
        return self.count

    @property
    def numbers(self) -> int:
        """How many numbers of rows that stay are held; eight to twelve bytes each."""
        return self.count * int(self.grid.shape[1])

    def take(self, at: Matrix) -> tuple[Ints, Floats]:
        """Decide about rows in their order.

        Parameters
        ----------
        at : vectors that are not nought, one a row.

        Returns
        -------
        Of each row the number of the first row that stays and is near it, among those that stay,
        and their cosine; -1 and 0 for one that stays itself. The same however rows are cut up into
        calls.
        """
        near, cosine = np.full(len(at), -1), np.zeros(len(at))
        for start in range(0, len(at), BLOCK):
            part = slice(start, start + BLOCK)
            near[part], cosine[part] = self._take(at[part])
        return near, cosine

    def _take(self, at: Matrix) -> tuple[Ints, Floats]:
        grid = on_grid(at)
        size = at.shape[1]
        cut = np.float32(self.least * scale_for(size) ** 2 - slack(size) - 1)
        near, cosine = np.full(len(at), -1), np.zeros(len(at))
        left = np.arange(len(at))
        for start in range(0, self.count, BLOCK):
            end = min(start + BLOCK, self.count)
            row, found = np.nonzero(grid[left] @ self.grid[start:end].T >= cut)
            exact = self._cosines(at, left[row], self.at, found + start)
            close = exact >= self.least
            # The first of each row: numpy lists them in order.
            rows, place = np.unique(row[close], return_index=True)
            near[left[rows]] = found[close][place] + start
            cosine[left[rows]] = exact[close][place]
            left = left[near[left] < 0]
        self._among(at, grid, left, cut, near, cosine)
        return near, cosine

    def _among(
        self, at: Matrix, grid: Singles, left: Ints, cut: np.float32, near: Ints, cosine: Floats
    ) -> None:
        """Decide about rows that are near none of those before the block."""
        products = grid[left] @ grid[left].T >= cut
        stays, number = np.ones(len(left), bool), np.full(len(left), -1)
        before = np.tril(products, -1)
        for i in np.flatnonzero(before.any(axis=1)).tolist():
            found = np.flatnonzero(before[i] & stays)
            exact = self._cosines(at, np.repeat(left[i], len(found)), at, left[found])
            close = np.flatnonzero(exact >= self.least)
            if len(close):
                stays[i] = False
                number[i], cosine[left[i]] = found[close[0]], exact[close[0]]
        place = np.cumsum(stays) - 1 + self.count
        gone = np.flatnonzero(~stays)
        near[left[gone]] = place[number[gone]]
        self._add(at[left[stays]], grid[left[stays]])

    def _cosines(self, at: Matrix, rows: Ints, other: Matrix, found: Ints) -> Floats:
        exact = np.empty(len(rows))
        for start in range(0, len(rows), PAIRS):
            part = slice(start, start + PAIRS)
            exact[part] = cosines(at[rows[part]], other[found[part]])
        return exact

    def _add(self, at: Matrix, grid: Singles) -> None:
        after = self.count + len(at)
        if after > len(self.grid):
            room = max(after, 2 * len(self.grid))
            self.grid = _longer(self.grid, grid, self.count, room)
            self.at = _longer(self.at, at, self.count, room)
        self.grid[self.count : after], self.at[self.count : after] = grid, at
        self.count = after


def _longer(held: Matrix, more: Matrix, count: int, room: int) -> NDArray[np.float32]:
    longer = np.empty((room, more.shape[1]), more.dtype)
    if count:
        longer[:count] = held[:count]
    return longer
