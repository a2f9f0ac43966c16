"""Carries what whole rows leave of one group's part of a budget on to the next groups.

A budget in tokens ends within a row. If every group stopped before its part is full, each would
leave up to a row; carried on, all of them together leave less than one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Boundary:
    """Where a group's part ends: what its rows leave of it, and the next row, which is more."""

    short: int
    next_row: int


def one_more(boundaries: Sequence[Boundary]) -> list[bool]:
    """Which groups take the row in which their part ends.

    What is left is added up from group to group; a group takes its row where that is at least as
    large as the row, unless nothing of its own is missing. Of a group's part, less than its own
    next row is missing or too much. In all, never too much, and less is missing than the largest
    of the rows.

    Parameters
    ----------
    boundaries : of the groups whose part ends within a row, in a fixed order; ``short`` is at least
        0 and less than ``next_row``, both in whole steps.

    Examples
    --------
    >>> one_more([Boundary(6, 10), Boundary(7, 10), Boundary(9, 10)])
    [False, True, True]
    """
    taken, carried = [], 0
    for boundary in boundaries:
        carried += boundary.short
        # Who has its part to the row is left alone, or it would be a whole row over it.
        taken.append(boundary.short > 0 and carried >= boundary.next_row)
        carried -= boundary.next_row if taken[-1] else 0
    return taken
