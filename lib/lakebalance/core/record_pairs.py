"""Which pairs of records are compared: those that agree in all parts of a rule."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from lakebalance.core.record_similarity import gap
from lakebalance.core.record_values import Flags, Ints, Values, jaccard_of


class Within(NamedTuple):
    """Numbers agree that are at most ``width`` apart, or that share of the larger one."""

    column: str
    width: float
    relative: bool


class Overlap(NamedTuple):
    """Sets agree that have at least this Jaccard similarity."""

    column: str
    least: float


class Rule(NamedTuple):
    """Records are compared that have the same hash, and whose numbers and sets agree."""

    same: str
    within: Sequence[Within] = ()
    overlap: Overlap | None = None

    def agrees(self, values: Values, a: Ints, b: Ints) -> Flags:
        """Whether the records at ``a`` agree with those at ``b``; what is missing agrees with none.

        Parameters
        ----------
        values : the records.
        a, b : places of as many records.
        """
        hashes, there = values.hashes(self.same), values.there(self.same)
        agree: Flags = there[a] & there[b] & (hashes[a] == hashes[b])
        for part in self.within:
            numbers = values.numbers(part.column)
            agree &= gap(numbers[a], numbers[b], part.relative) <= part.width
        if self.overlap is not None:
            left = np.flatnonzero(agree)
            agree[left] = self._overlaps(values, a[left], b[left], self.overlap)
        return agree

    @staticmethod
    def _overlaps(values: Values, a: Ints, b: Ints, part: Overlap) -> Flags:
        sets = values.sets(part.column)
        small = np.minimum(sets.sizes[a], sets.sizes[b])
        large = np.maximum(sets.sizes[a], sets.sizes[b])
        found: Flags = small >= part.least * large - 1e-9
        found &= small > 0
        left = np.flatnonzero(found)
        found[left] = jaccard_of(sets, a[left], b[left]) >= part.least
        return found


def prefix_length(size: int, least: float) -> int:
    """How many of a set's first members suffice, in any one order of all that there are.

    Two sets of Jaccard similarity t or more share ⌈t · |x|⌉ members of x at least, and so, if
    members are in one order for all sets, one of x's first |x| - ⌈t · |x|⌉ + 1.

    Parameters
    ----------
    size : of the set, 1 or more.
    least : the similarity, above 0 and up to 1.

    References
    ----------
    Chaudhuri, Ganti, Kaushik, "A Primitive Operator for Similarity Joins in Data Cleaning", 2006;
    Bayardo, Ma, Srikant, "Scaling Up All Pairs Similarity Search", 2007.

    Examples
    --------
    >>> [prefix_length(10, least) for least in (0.1, 0.6, 0.7, 0.95, 1.0)]
    [10, 5, 4, 1, 1]
    """
    # 0.7 · 10 is a little more than 7 for a computer; one member too many does no harm.
    return size - int(np.ceil(least * size - 1e-9)) + 1


def pairs(start: Ints, count: Ints, most: int) -> Iterator[tuple[Ints, Ints]]:
    """Each row with so many rows from its start on, in chunks: places ``a`` and ``b``.

    Parameters
    ----------
    start : for each row the first row that it is paired with.
    count : with how many.
    most : pairs of a chunk, if no row alone has more.

    Examples
    --------
    >>> [(a.tolist(), b.tolist()) for a, b in pairs(np.zeros(3, int), np.arange(3), 2)]
    [([0], [1]), ([0, 1], [2, 2])]
    """
    ends = np.cumsum(count)
    low = 0
    while low < len(count):
        before = int(ends[low - 1]) if low else 0
        high = max(int(np.searchsorted(ends, before + most, side="right")), low + 1)
        rows = np.arange(low, high)
        b = np.repeat(rows, count[rows])
        a = np.arange(len(b)) - np.repeat(ends[rows] - count[rows] - before, count[rows]) + start[b]
        if len(b):
            yield a, b
        low = high
