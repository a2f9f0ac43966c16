"""The nearest rows where rows are combinations of few values: each combination is searched once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lakebalance.core.neighbours import (
    Best,
    Floats,
    Ints,
    distinct_points,
    first_members,
    nearest_members,
)

ASKED, FIRST_SEEN, MOST_SEEN = 256, 64, 8192
MOST_TOGETHER = 1024


def nearest_rows(
    codes: Ints, distances: Sequence[Floats], asked: Ints, k: int
) -> tuple[Ints, Floats]:
    """The k nearest other rows of some rows; equal rows are others, at a distance of 0.

    Ties go to the earlier position.

    Parameters
    ----------
    codes : for each row the number of its value in each column.
    distances : of each column, between the values of these numbers; they add up. Sums of them must
        be exact in double precision.
    asked : positions of the rows whose neighbours are wanted.
    k : how many, from 1 to one less than there are rows.

    Returns
    -------
    Positions of the neighbours, nearest first, and their distances; a row per asked row.

    Examples
    --------
    >>> apart = np.array([[0.0, 1.0], [1.0, 0.0]])
    >>> nearest_rows(np.array([[0], [1], [1], [0]]), [apart], np.array([0, 2]), 2)[0].tolist()
    [[3, 1], [1, 0]]
    """
    codes, distances = _together(codes, distances)
    first, of_row = distinct_points(codes.astype(np.float64))
    wanted, back = np.unique(of_row[asked], return_inverse=True)
    # Whoever is among the k nearest has no k + 1 combinations before its own: each has a row that
    # would be nearer, or as near and earlier, and one of them at most is the row that asks.
    near = _nearest(codes[first], distances, wanted, min(k + 1, len(first)))
    members = first_members(of_row, len(first), k + 1)
    positions = np.empty((len(asked), k), dtype=np.int64)
    far = np.empty((len(asked), k), dtype=np.float64)
    for start in range(0, len(asked), ASKED):
        part = slice(start, start + ASKED)
        found = back[part]
        positions[part], far[part] = nearest_members(
            members[near.index[found]], near.far[found], k, asked[part]
        )
    return positions, far


def _together(codes: Ints, distances: Sequence[Floats]) -> tuple[Ints, list[Floats]]:
    """The same rows in fewer columns: of pairs, triples, … of values while these are few."""
    joined: list[Ints] = []
    apart: list[Floats] = []
    for column, own in zip(codes.T, distances, strict=True):
        if apart and len(apart[-1]) * len(own) <= MOST_TOGETHER:
            size = len(apart[-1]) * len(own)
            both = apart[-1][:, None, :, None] + own[None, :, None, :]
            joined[-1], apart[-1] = joined[-1] * len(own) + column, both.reshape(size, size)
        else:
            joined.append(column)
            apart.append(own)
    return np.column_stack(joined), apart


def _nearest(codes: Ints, distances: Sequence[Floats], asked: Ints, most: int) -> Best:
    """Of distinct rows the nearest to some, themselves among them; ties to the earlier."""
    best = Best(len(asked), most, np.float64)
    for start in range(0, len(asked), ASKED):
        rows = np.arange(start, min(start + ASKED, len(asked)))
        lines = [own[of] for own, of in zip(distances, codes[asked[rows]].T, strict=True)]
        seen = 0
        while seen < len(codes):
            # A few first: the more have been seen, the fewer of the others are near enough.
            width = min(max(FIRST_SEEN, most, 3 * seen), MOST_SEEN)
            columns = np.arange(seen, min(seen + width, len(codes)))
            far = sum(line[:, of] for line, of in zip(lines, codes[columns].T, strict=True))
            if seen:
                best.see(rows, columns, far)
                best.settle()
            else:
                order = np.argsort(far, axis=1, kind="stable")[:, :most]
                best.index[rows] = order
                best.far[rows] = np.take_along_axis(far, order, axis=1)
            seen += width
    return best
