"""``none``: every group keeps the rows that it has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from lakebalance.allocate.rounding import InfeasibleBudget
from lakebalance.allocate.rules import Group
from lakebalance.core.registry import Method, MethodOptions


class NoRule(MethodOptions):
    """Every group keeps the rows that it has."""

    method: Literal["none"]


def none(groups: Sequence[Group], rows: int | None, options: NoRule) -> list[int]:
    """Every group keeps the rows that it has.

    Parameters
    ----------
    groups : the groups in order of their values.
    rows : must be None or the number of rows there are.
    options : none.

    Raises
    ------
    InfeasibleBudget : a budget was given that is not the number of rows available.

    Examples
    --------
    >>> none([Group({"c": "a"}, 90)], None, NoRule(method="none"))
    [90]
    """
    available = [group.available for group in groups]
    if rows is not None and rows != sum(available):
        raise InfeasibleBudget(
            f'"none" keeps all {sum(available):,} rows and cannot meet a budget of {rows:,}; '
            'leave out "rows" or write method: proportional'
        )
    return available


METHOD = Method("none", NoRule, none)
