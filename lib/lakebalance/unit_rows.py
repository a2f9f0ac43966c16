"""From each group's part of a budget in units to the rows that make it; pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from lakebalance.allocate.carry import Boundary, one_more
from lakebalance.core.counts import GroupCount
from lakebalance.plans import GroupUnits, PlannedGroup
from lakebalance.sample.amounts import Cut, PartOf
from lakebalance.sample.thresholds import Threshold

Shares = Sequence[tuple[GroupCount, int]]
FindCuts = Callable[[Mapping[int, PartOf]], Mapping[int, Cut]]


@dataclass(frozen=True)
class Unit:
    """What a budget is in, by its name, and how many whole steps there are to one."""

    name: str
    size: Fraction


@dataclass(frozen=True)
class Seen:
    """What the phases before one in order have shown of a group: rows, and steps of its unit."""

    rows: int = 0
    steps: int = 0


NOTHING = Seen()


def seen_after(groups: Sequence[PlannedGroup], seen: Mapping[int, Seen]) -> dict[int, Seen]:
    """What phases have shown of each group by the end of one, whose groups these are."""
    found = {}
    for group in groups:
        before, units = seen.get(group.id, NOTHING), group.units
        steps = before.steps + (0 if units is None else units.planned)
        found[group.id] = Seen(before.rows + group.target, steps)
    return found


def rows_of_parts(
    shares: Shares,
    unit: Unit,
    find: FindCuts,
    *,
    draws: bool = False,
    seen: Mapping[int, Seen] | None = None,
) -> list[PlannedGroup]:
    """The groups with the rows that make their parts, all together never more than these.

    Every row is there as often as the part holds the whole group, and of the rest rows in their
    order. What whole rows leave is carried on from group to group, so that all together are short
    by less than one row. A phase in order goes on with the row after the last one seen, and its
    part is counted from there, whatever those before it left; so it holds for each of them.

    Parameters
    ----------
    shares : the groups with their parts, in steps.
    unit : what the budget is in.
    find : where parts end that are over 0 and not whole rounds.
    draws : whether rows are drawn, so that there is no round in which each is there once.
    seen : of a phase in order, what those before it have shown; its groups get no thresholds, as
        those of all phases are found together.
    """
    before = {} if seen is None else seen
    rounds: dict[int, int] = {}
    wanted: dict[int, PartOf] = {}
    for group, part in shares:
        if part:
            amount, upto = group.amounts[unit.name], before.get(group.id, NOTHING).steps + part
            rounds[group.id] = 0 if draws else upto // amount.total
            if rest := upto - rounds[group.id] * amount.total:
                wanted[group.id] = PartOf(amount.total, amount.largest, rest)
    cuts = find(wanted) if wanted else {}
    taken = _taken(wanted, cuts)
    planned = []
    for group, part in shares:
        base, cut, own = rounds.get(group.id, 0), cuts.get(group.id), taken.get(group.id, 0)
        had = before.get(group.id, NOTHING)
        made = _planned(group, part, unit, base, cut, own, had, ordered=seen is not None)
        planned.append(made)
    return planned


def _taken(wanted: Mapping[int, PartOf], cuts: Mapping[int, Cut]) -> dict[int, int]:
    """How many rows each group takes at the place where its part ends, one more where it is due."""
    within = {group: cuts[group].taken(wanted[group].part) for group in wanted}
    boundaries = [
        Boundary(wanted[g].part - cuts[g].below - n * cuts[g].row, cuts[g].row)
        for g, n in within.items()
    ]
    more = one_more(boundaries)
    return {group: n + more[i] for i, (group, n) in enumerate(within.items())}


def _planned(
    group: GroupCount,
    part: int,
    unit: Unit,
    base: int,
    cut: Cut | None,
    taken: int,
    seen: Seen,
    *,
    ordered: bool,
) -> PlannedGroup:
    available = group.amounts[unit.name].total
    if not part:
        units = GroupUnits(unit.name, unit.size, available, 0, 0)
        return _of(group, 0, None if ordered else Threshold(0), units)
    rows, planned, threshold = base * group.left, base * available, Threshold(base)
    if cut is not None:
        rows, planned = rows + cut.rows(taken), planned + cut.below + taken * cut.row
        threshold = cut.threshold(base, taken)
    units = GroupUnits(unit.name, unit.size, available, part, planned - seen.steps)
    return _of(group, rows - seen.rows, None if ordered else threshold, units)


def weighed(shares: Shares, unit: Unit) -> list[PlannedGroup]:
    """The groups with all their rows, where there is a part; weights make the parts exact.

    The target is the sum of a group's weights, rounded, at least 1.
    """
    planned = []
    for group, part in shares:
        available = group.amounts[unit.name].total
        units = GroupUnits(unit.name, unit.size, available, part, part)
        rows = max((2 * group.left * part + available) // (2 * available), 1) if part else 0
        planned.append(_of(group, rows, Threshold(1 if part else 0), units))
    return planned


def _of(
    group: GroupCount, target: int, threshold: Threshold | None, units: GroupUnits
) -> PlannedGroup:
    counts = (group.rows, group.left, target)
    return PlannedGroup(group.id, group.source, group.values, *counts, threshold, units=units)
