"""How the work for synthetic rows is divided among tasks, and what memory each needs for it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from lakebalance.core.diagnostics import Cell, Diagnostic
from lakebalance.core.neighbours import mib_for
from lakebalance.core.probed_neighbours import EXACT_UP_TO
from lakebalance.sample.options import SyntheticOptions
from lakebalance.sample.thresholds import Share

# What takes a task a second or two each: parents whose neighbours are looked for in cells, pairs of
# rows where all are measured, and children to make.
PARENTS_IN_A_TASK, PAIRS_IN_A_TASK, CHILDREN_IN_A_TASK = 50_000, 200_000_000, 500_000
LEAST_PARTITIONS = 2
MOST_LINES = 10


@dataclass(frozen=True)
class Work:
    """The tasks of a group, and the place of the first among all, the largest groups first."""

    tasks: int
    first: int


def work_of(rows: int, children: int = 0, *, exact: bool = False) -> float:
    """The work for a group, in tasks; there are as many as that when rounded up.

    Parameters
    ----------
    rows : its rows, which all may be parents.
    children : the new rows.
    exact : whether all distances are measured, of however many rows.

    Examples
    --------
    >>> work_of(100_000), work_of(20_000), work_of(10, 1_500_000)
    (2.0, 2.0, 3.0)
    """
    pairs = rows * rows if exact or rows <= EXACT_UP_TO else 0
    return max(rows / PARENTS_IN_A_TASK, pairs / PAIRS_IN_A_TASK, children / CHILDREN_IN_A_TASK)


def divided(growing: Mapping[int, Share], *, exact: bool = False) -> tuple[dict[int, Work], int]:
    """The tasks of each group, and how many partitions share them out.

    Small groups come several in a partition, so that there are not more than work; the place of a
    task, modulo the number of partitions, is its partition.

    Parameters
    ----------
    growing : per group: rows available, target rows.
    exact : whether all distances are measured.
    """
    work = {
        group: work_of(share.available, share.target - share.available, exact=exact)
        for group, share in growing.items()
    }
    found, first = {}, 0
    for group in sorted(growing, key=lambda g: (-work[g], g)):
        found[group] = Work(math.ceil(work[group]), first)
        first += found[group].tasks
    return found, min(max(math.ceil(math.fsum(work.values())), LEAST_PARTITIONS), first)


def needs(
    options: SyntheticOptions, width: int, shares: Mapping[int, Share], *, weighing: bool = False
) -> list[Diagnostic]:
    """What the tasks of the largest groups that grow need, by counts alone.

    Parameters
    ----------
    options : which groups are refused.
    width : how many numbers and categories a point has.
    shares : per group: rows available, target rows, values, source; some grow.
    weighing : whether rows of all groups are searched for neighbours first.
    """
    growing = {g: s for g, s in shares.items() if s.target > s.available > 0}
    work, partitions = divided(growing)
    lines: list[list[Cell]] = []
    for group, share in growing.items():
        tasks, children = work[group].tasks, share.target - share.available
        mib = mib_for(share.available, width, math.ceil(children / tasks))
        name = "/".join([share.source, *map(str, share.values.values())])
        lines.append([name, share.available, children, tasks, mib])
    lines.sort(key=lambda line: (-int(line[4] or 0), str(line[0])))
    if weighing:
        rows = sum(share.available for share in shares.values())
        asked = sum(share.available for share in growing.values())
        lines.insert(0, ["all groups", rows, 0, math.ceil(work_of(asked)), mib_for(rows, width)])
    left_out = f" {len(lines) - MOST_LINES:,} groups are left out." if lines[MOST_LINES:] else ""
    note = (
        f"MiB of Python's memory at the most, for each of the tasks that a worker runs at once; "
        f"these are in {partitions:,} partitions. Neighbours are exact among up to {EXACT_UP_TO:,} "
        "different rows, and found in cells beyond, with a recall that each task measures. Groups "
        f"of more than {options.max_group_rows:,} rows (sample.max_group_rows) are refused."
        f"{left_out}"
    )
    columns = ["group", "rows", "new rows", "tasks", "MiB of each"]
    return [Diagnostic("Tasks that make new rows", columns, lines[:MOST_LINES], note)]
