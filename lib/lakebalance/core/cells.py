"""Where to cut a cell of rows in two, so that in the end no part is larger than it may be.

Knows no Spark: what it sees of a cell is, along each axis, how many rows lie in which bucket.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True)
class Bucket:
    """Rows of a cell between two values of an axis; ``total`` is the sum of their values.

    The total is in units of the axis: 0 and 1 are the least and greatest value of the class.
    """

    low: float
    high: float
    rows: int
    total: float


@dataclass(frozen=True)
class Bound:
    """How many rows a part may hold, and how few it should."""

    most: int
    least: int


@dataclass(frozen=True)
class Cut:
    """A cut: rows below ``at`` on ``axis`` are to give ``parts`` of the cell's parts.

    ``edge`` is the number of the last bucket below it.
    """

    axis: int
    at: float
    edge: int
    rows: int
    parts: int


def parts_of(rows: int, size: int) -> int:
    """Into how many parts a class is divided: 1 where it is no larger than a part.

    Examples
    --------
    >>> parts_of(200, 200), parts_of(201, 200), parts_of(1000, 200)
    (1, 2, 5)
    """
    return max(-(-rows // size), 1)


def bound_of(rows: int, parts: int, slack: float) -> Bound:
    """The most and least rows of one of the parts of a class.

    Examples
    --------
    >>> bound_of(1000, 3, 0.1)
    Bound(most=367, least=300)
    """
    mean, share = Fraction(rows, parts), Fraction(str(slack))
    return Bound(math.ceil(mean * (1 + share)), math.floor(mean * (1 - share)))


def floor_needed(sizes: Sequence[int], most: int) -> int:
    """The least size of a part with which classes are divided in no more than ``most`` parts."""
    low, high = 1, max(sizes)
    while low < high:
        middle = (low + high) // 2
        if divided(sizes, middle) <= most:
            high = middle
        else:
            low = middle + 1
    return low


def divided(sizes: Sequence[int], size: int) -> int:
    """The number of parts of all classes that are divided.

    Examples
    --------
    >>> divided([1000, 300, 20], 100)
    13
    """
    return sum(parts for n in sizes if (parts := parts_of(n, size)) > 1)


def intervals(rows: int, parts: int, bound: Bound) -> dict[int, tuple[int, int]]:
    """How many rows may lie below a cut, by the parts that they are to give: about half of all.

    What a part may differ from the mean is spent in equal shares over the cuts that are still to
    come, so that the last of them is as free as the first.

    Examples
    --------
    >>> intervals(1000, 2, Bound(550, 450)), intervals(1000, 4, Bound(275, 225))
    ({1: (450, 550)}, {2: (475, 525)})
    """
    found = {}
    cuts, mean = (parts - 1).bit_length(), Fraction(rows, parts)
    most = mean + max(bound.most - mean, Fraction(0)) / cuts
    least = mean - max(mean - bound.least, Fraction(0)) / cuts
    for below in {parts // 2, parts - parts // 2}:
        above = parts - below
        middle = round(mean * below)
        low = math.ceil(max(rows - above * most, below * least))
        high = math.floor(min(below * most, rows - above * least))
        found[below] = (max(min(low, middle), 1), min(max(high, middle), rows - 1))
    return found


def unsettled(buckets: Sequence[Bucket], parts: int, bound: Bound) -> list[int]:
    """The buckets inside of which a cut is to be looked for, as none between buckets will do."""
    upto = list(itertools.accumulate(bucket.rows for bucket in buckets))
    wanted = intervals(upto[-1], parts, bound).values()
    if any(low <= n <= high for n in upto for low, high in wanted):
        return []
    inside = {next(i for i, n in enumerate(upto) if n >= low) for low, _ in wanted}
    return sorted(i for i in inside if buckets[i].low < buckets[i].high)


def best_cut(
    axes: Mapping[int, Sequence[Bucket]], weights: Mapping[int, float], parts: int, bound: Bound
) -> Cut | None:
    """The cut that takes most out of the squared distances from the middle, as k-means would.

    Of cuts into halves that the bound permits; where there is none, as many rows are equal, of
    those that leave both sides able to keep the bound; where there is none either, of all, and the
    bound is not kept. A side that is less than half a part is never cut off for that.

    Parameters
    ----------
    axes : the cell's buckets along each axis, in order of their values.
    weights : of squared distances along each axis.
    parts : how many parts the cell is to give, 2 or more.
    bound : how many rows each may hold.

    Returns
    -------
    The cut; None where rows cannot be told apart.
    """
    best: tuple[tuple[float, ...], Cut] | None = None
    for axis, buckets in axes.items():
        for rank, cut in _cuts(axis, buckets, weights[axis], parts, bound):
            if best is None or rank > best[0]:
                best = rank, cut
    return None if best is None else best[1]


def _cuts(
    axis: int, buckets: Sequence[Bucket], weight: float, parts: int, bound: Bound
) -> Iterator[tuple[tuple[float, ...], Cut]]:
    """The cuts between buckets, each with its rank; equal ranks go to the first axis and value."""
    rows, total = sum(b.rows for b in buckets), sum(b.total for b in buckets)
    wanted = intervals(rows, parts, bound)
    below, summed = 0, 0.0
    for edge, (bucket, following) in enumerate(itertools.pairwise(buckets)):
        below, summed = below + bucket.rows, summed + bucket.total
        permitted = _parts_below(below, rows, parts, bound, wanted)
        if permitted is None:
            continue
        worth, parts_below = permitted
        apart = summed / below - (total - summed) / (rows - below)
        gain = weight * below * (rows - below) / rows * apart * apart
        cut = Cut(axis, following.low, edge, below, parts_below)
        yield (worth, gain, -abs(2 * below - rows)), cut


def _parts_below(
    below: int, rows: int, parts: int, bound: Bound, wanted: Mapping[int, tuple[int, int]]
) -> tuple[int, int] | None:
    """How good it is to cut after so many rows, 2 to 0, and how many parts they are to give."""
    halves = [n for n, (low, high) in wanted.items() if low <= below <= high]
    if halves:
        return 2, min(halves, key=lambda n: (abs(below * parts - rows * n), n))
    nearest = (2 * below * parts + rows) // (2 * rows)
    if not 0 < nearest < parts:
        return None
    fewest, most = -(-below // bound.most), parts - -(-(rows - below) // bound.most)
    if fewest <= most:
        return 1, min(max(nearest, fewest), most)
    return 0, nearest
