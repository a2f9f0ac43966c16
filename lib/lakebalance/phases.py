"""What the phases of an ordered training run come to together: epochs within the cap, shares."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from lakebalance.allocate.rounding import InfeasibleBudget
from lakebalance.allocate.rules import rows_of
from lakebalance.core.diagnostics import Diagnostic
from lakebalance.plans import PlannedGroup
from lakebalance.recipe.order import Order
from lakebalance.sample.places import bounds_of


def check_epochs(order: Order, phases: Sequence[Sequence[PlannedGroup]]) -> None:
    """Raise where the phases together would show a group's rows more often than the order allows.

    Raises
    ------
    InfeasibleBudget : with the group, the most rows for it, and the budgets that would do.

    Examples
    --------
    >>> group = PlannedGroup(1, "s", {"c": "a"}, 10, 10, 30)
    >>> check_epochs(Order(max_epochs=4), [[group], [group]])
    Traceback (most recent call last):
    lakebalance.allocate.rounding.InfeasibleBudget: order.max_epochs: the phases together ask for \
60 rows of s/a, which has 10: 6.00 epochs, where 4 allow 40 rows; write smaller budgets (66.6 % of \
these would do for every group), a cap in a phase's rules, or more epochs
    """
    if order.max_epochs is None:
        return
    over = []
    for group, wanted in zip(phases[0], _totals(phases), strict=True):
        most = rows_of(order.max_epochs, group.available)
        if wanted > most:
            over.append((most / wanted, most, wanted, group))
    if over:
        fits, most, wanted, group = min(over, key=lambda found: (found[0], found[3].id))
        name = "/".join([group.source, *map(str, group.group.values())])
        raise InfeasibleBudget(
            f"order.max_epochs: the phases together ask for {wanted:,} rows of {name}, which has "
            f"{group.available:,}: {wanted / group.available:.2f} epochs, where "
            f"{order.max_epochs:g} allow {most:,} rows; write smaller budgets "
            f"({int(fits * 1000) / 10:g} % of these would do for every group), a cap in a phase's "
            "rules, or more epochs"
        )


def _totals(phases: Sequence[Sequence[PlannedGroup]]) -> list[int]:
    return [sum(group.target for group in same) for same in zip(*phases, strict=True)]


def in_turn(names: Sequence[str], phases: Sequence[Sequence[PlannedGroup]]) -> Diagnostic:
    """Rows, share and epochs of each source in each phase, and epochs over all of them."""
    available: dict[str, int] = defaultdict(int)
    total: dict[str, int] = defaultdict(int)
    for group, rows in zip(phases[0], _totals(phases), strict=True):
        available[group.source] += group.available
        total[group.source] += rows
    lines: list[list[str | int | float | None]] = []
    for name, groups in zip(names, phases, strict=True):
        rows_of: dict[str, int] = defaultdict(int)
        for group in groups:
            rows_of[group.source] += group.target
        everything = sum(rows_of.values())
        for source, rows in rows_of.items():
            n = available[source]
            lines.append(
                [name, source, rows, rows / everything if everything else 0.0,
                 rows / n if n else 0.0, total[source] / n if n else 0.0]
            )  # fmt: skip
    columns = ["phase", "source", "rows", "share", "epochs", "epochs of all phases"]
    worst = [max(bounds_of({g.id: g.target for g in p}).values(), default=0.0) for p in phases]
    note = "Any prefix of a phase has of each source's group the rows that its share asks for, " + (
        f"within {max(worst):,.1f} rows."
    )
    return Diagnostic("The order of training", columns, lines, note)
