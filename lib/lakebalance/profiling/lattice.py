"""Level by level through sets of columns, on a sample: which may be keys or determine others."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from itertools import combinations

import numpy as np

from lakebalance.profiling.sample import Codes

Set = tuple[int, ...]
# More sets are not tried in one level; the result says so.
MOST_TRIED = 20_000
FIRST_LOOK = 256


def sets_of(
    items: Sequence[int], size: int, without: Collection[Set] = ()
) -> tuple[list[Set], bool]:
    """Sets of a size that contain none of some others, the first ``MOST_TRIED`` in order.

    Returns
    -------
    The sets, and whether these are all.

    Examples
    --------
    >>> sets_of([0, 1, 2], 2, [(1,)])
    ([(0, 2)], True)
    """
    known = [frozenset(one) for one in without]
    found: list[Set] = []
    for tried, candidate in enumerate(combinations(items, size)):
        if tried == MOST_TRIED:
            return found, False
        if not any(one <= set(candidate) for one in known):
            found.append(candidate)
    return found, True


def numbered(codes: Codes, columns: Iterable[int]) -> Codes:
    """A number for each row, the same where rows agree in some columns; no columns agree always."""
    found: Codes = np.zeros(len(codes), dtype=np.int64)
    for i in columns:
        joint = found * (int(codes[:, i].max(initial=0)) + 1) + codes[:, i]
        # Numbers stay below the number of rows, so that the next product fits.
        found = np.unique(joint, return_inverse=True)[1].astype(np.int64)
    return found


def is_unique(codes: Codes, columns: Set) -> bool:
    """Whether no two rows of a sample agree in all of some columns."""
    for rows in (codes[:FIRST_LOOK], codes):
        numbers = numbered(rows, columns)
        if len(rows) and int(numbers.max()) + 1 < len(rows):
            return False
    return True


def disagreeing(left: Codes, right: Codes) -> int:
    """Rows to drop so that equal numbers on the left have equal ones on the right (g3 times rows).

    Examples
    --------
    >>> disagreeing(np.array([0, 0, 0, 1]), np.array([5, 5, 6, 7]))
    1
    """
    if not len(left):
        return 0
    joint, rows = np.unique(left * (int(right.max()) + 1) + right, return_counts=True)
    most = np.zeros(int(left.max()) + 1, dtype=np.int64)
    np.maximum.at(most, joint // (int(right.max()) + 1), rows)
    return len(left) - int(most.sum())
