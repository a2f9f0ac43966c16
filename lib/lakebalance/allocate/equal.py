"""``equal``: Every group gets the same number of rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from lakebalance.allocate.rules import Group, RuleOptions
from lakebalance.core.registry import Method


class Equal(RuleOptions):
    """Every group gets the same number of rows."""

    method: Literal["equal"]


def equal(groups: Sequence[Group], rows: int | None, options: Equal) -> list[int]:
    """Every group gets the same number of rows.

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
    >>> equal(groups, 50, Equal(method="equal"))
    [25, 25]
    """
    return options.share(groups, rows, [float(group.available > 0) for group in groups])


METHOD = Method(
    "equal", Equal, equal, example="{method: equal, min_rows: 500, max_epochs: 10}", any_unit=True
)
