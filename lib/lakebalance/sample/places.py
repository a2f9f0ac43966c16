"""Where rows stand in an order that has the mixture's shares from its first row on.

Row i of a group of t rows stands at (i + offset) / t of the way, so that after any part x of the
way the group has x · t rows, but for less than one. Groups with the same t get offsets that divide
the step between two rows evenly, so that k of them together are spread like one group of k · t.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Places:
    """Row i of a group's ``rows`` stands at (i · step + first) / (rows · step) of the way."""

    rows: int
    step: int
    first: int

    def of(self, row: int) -> float:
        """The place of a row, from 0 to below 1, rounded once and so alike on any machine.

        Examples
        --------
        >>> [Places(2, 2, 1).of(i) for i in range(2)]
        [0.25, 0.75]
        """
        return (row * self.step + self.first) / (self.rows * self.step)

    def before(self, part: int, parts: int) -> int:
        """How many of the rows stand before ``part / parts`` of the way, exactly.

        Examples
        --------
        >>> [Places(3, 2, 1).before(part, 2) for part in range(3)]
        [0, 1, 3]
        """
        room = part * self.step * self.rows - self.first * parts
        return min(max(-(-room // (self.step * parts)), 0), self.rows)


def places_of(targets: Mapping[int, int]) -> dict[int, Places]:
    """The places of each group's rows.

    Parameters
    ----------
    targets : rows per group id; groups of 0 rows have no places.

    Examples
    --------
    >>> places_of({1: 5, 2: 1, 3: 1})[3]
    Places(rows=1, step=4, first=3)
    """
    alike: dict[int, list[int]] = defaultdict(list)
    # Ids are hashes: by their order no source and no class comes first everywhere.
    for group in sorted(targets):
        alike[targets[group]].append(group)
    return {
        group: Places(rows, 2 * len(own), 2 * j + 1)
        for rows, own in alike.items()
        if rows
        for j, group in enumerate(own)
    }


def bounds_of(targets: Mapping[int, int]) -> dict[int, float]:
    """How many rows any prefix may have too many or too few of each group: 1 + share · K / 2.

    A group's rows up to part x of the way differ from x · t by at most 1; those of all groups with
    the same t together, which stand like one group with an offset of a half, by at most 1/2. So a
    prefix of m rows of N differs from x · N by at most K / 2, where K is how many different targets
    there are, and the group's rows in it from m · t / N by at most 1 + (t / N) · K / 2.

    Parameters
    ----------
    targets : rows per group id.

    Examples
    --------
    >>> bounds_of({1: 6, 2: 1, 3: 1})
    {1: 1.75, 2: 1.125, 3: 1.125}
    """
    total = sum(targets.values())
    different = len({rows for rows in targets.values() if rows})
    return {g: 1 + rows / total * different / 2 if rows else 0.0 for g, rows in targets.items()}
