"""What the rules for concurrent labels share: targets by bags, and tables of their imbalance."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from lakebalance.allocate.bags import moved
from lakebalance.allocate.rounding import InfeasibleBudget, divide
from lakebalance.allocate.rules import Group, RuleOptions, at_most
from lakebalance.core.diagnostics import Diagnostic
from lakebalance.core.label_tables import imbalance
from lakebalance.core.labels import LabelSets, label_sets

PERCENT = 25.0


class LabelOptions(RuleOptions):
    """Options of every rule for concurrent labels."""

    percent: float | None


@dataclass(frozen=True)
class _Bounds:
    """What each group keeps in any case, and how many rows it may, and must, get or lose.

    A label set is cut to its cap first; what it gets is limited by its cap, what it loses by its
    floor.
    """

    kept: list[int]
    room: list[int | None]
    must: list[int]

    def within(self, changes: Sequence[float]) -> list[float]:
        """Changes as far as they are allowed, and as far as they have to go."""
        return [
            max(change if room is None else min(change, room), must)
            for change, room, must in zip(changes, self.room, self.must, strict=True)
        ]

    def most(self, changes: Sequence[float]) -> float:
        """How many rows the groups that change at all can get or lose."""
        rooms = [
            math.inf if room is None else room
            for room, change in zip(self.room, changes, strict=True)
            if change > 0
        ]
        return sum(rooms)


def _bounds(groups: Sequence[Group], options: LabelOptions, *, adding: bool) -> _Bounds:
    caps, floors = options.caps(groups), options.floors(groups)
    kept = [at_most(group.available, cap) for group, cap in zip(groups, caps, strict=True)]
    if not adding:
        left = [max(rows - low, 0) for low, rows in zip(floors, kept, strict=True)]
        return _Bounds(kept, list(left), [0] * len(kept))
    room = [None if cap is None else cap - rows for cap, rows in zip(caps, kept, strict=True)]
    must = [max(low - rows, 0) for low, rows in zip(floors, kept, strict=True)]
    return _Bounds(kept, room, must)


def targets_by_labels(
    groups: Sequence[Group], rows: int | None, options: LabelOptions, *, adding: bool
) -> list[int]:
    """Add rows of rare labels, or remove rows of frequent ones; see ``bags.moved``.

    Without a budget, ``percent`` of the rows are added or removed, or as many as come about until
    every label has come to the mean. With a budget alone, exactly what it asks for; with both,
    what ``percent`` makes is scaled to the budget.

    Parameters
    ----------
    groups : the groups, each with the label set that its values are.
    rows : the budget in rows, or None.
    options : ``percent``, caps and floors.
    adding : whether rows are added.

    Raises
    ------
    InfeasibleBudget : so many rows cannot be added or removed.
    RecipeError : the groups' values are no label sets.
    """
    sets, bounds = sets_of(groups), _bounds(groups, options, adding=adding)
    sign = 1 if adding else -1
    if rows is not None and options.percent is None:
        wanted = sign * (rows - sum(bounds.kept))
    else:
        percent = PERCENT if options.percent is None else options.percent
        wanted = int(sum(group.available for group in groups) * percent / 100)
    found = [float(change) for change in moved(sets, float(wanted), adding=adding)]
    within = bounds.within(found)
    if rows is not None and options.percent is not None:
        shares = [kept + sign * change for kept, change in zip(bounds.kept, within, strict=True)]
        return options.share(groups, rows, shares)
    if rows is not None:
        _check_budget(options.method, rows, wanted, bounds, found, adding=adding)
    total = round(math.fsum(within)) if rows is None else wanted
    changes = divide(total, found, bounds.room, bounds.must)
    return [kept + sign * change for kept, change in zip(bounds.kept, changes, strict=True)]


def _check_budget(
    method: str, rows: int, wanted: int, bounds: _Bounds, found: Sequence[float], *, adding: bool
) -> None:
    """Raise where a budget asks for other changes than there can be."""
    start, least = sum(bounds.kept), sum(bounds.must)
    most = int(min(round(math.fsum(found)), bounds.most(found)))
    if least <= wanted <= max(most, least):
        return
    if wanted < least:
        end, limit = start + least, "at least" if adding else "at most"
    else:
        end, limit = (start + most, "at most") if adding else (start - most, "at least")
    raise InfeasibleBudget(
        f'"{method}" {"adds" if adding else "removes"} rows until every label has come to the '
        f"mean, and makes {limit} {end:,} rows of these groups within caps and floors, not "
        f"{rows:,}; write percent as well, and what it makes is scaled to the budget, or leave the "
        "budget out"
    )


def sets_of(groups: Sequence[Group]) -> LabelSets:
    """The label sets of groups."""
    return label_sets([g.values for g in groups], [g.available for g in groups])


def diagnose_labels(
    groups: Sequence[Group], targets: Sequence[int], options: object = None
) -> list[Diagnostic]:
    """How imbalanced labels are, before and after where something changes: singly, and in all.

    Parameters
    ----------
    groups : the groups, each with the label set that its values are.
    targets : rows per group after balance.
    options : of no use here.
    """
    before = sets_of(groups)
    after = before.with_rows(targets)
    return imbalance(before, None if list(targets) == [g.available for g in groups] else after)
