"""``proportional``: Every group keeps the share of rows that it has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from lakebalance.allocate.rules import Group, RuleOptions
from lakebalance.core.registry import Method


class Proportional(RuleOptions):
    """Every group keeps the share of rows that it has."""

    method: Literal["proportional"]


def proportional(groups: Sequence[Group], rows: int | None, options: Proportional) -> list[int]:
    """Every group keeps the share of rows that it has.

    Parameters
    ----------
    groups : the groups in order of their values.
    rows : the budget in rows; None for as many as there are.
    options : the rule's options.

    Returns
    -------
    Target rows per group, in the order of ``groups``, summing to the budget.

    Raises
    ------
    InfeasibleBudget : caps or floors do not admit the budget.

    Examples
    --------
    >>> groups = [Group({"c": "a"}, 90), Group({"c": "b"}, 10)]
    >>> proportional(groups, 50, Proportional(method="proportional"))
    [45, 5]
    """
    return options.share(groups, rows, [float(group.available) for group in groups])


METHOD = Method("proportional", Proportional, proportional, any_unit=True)
