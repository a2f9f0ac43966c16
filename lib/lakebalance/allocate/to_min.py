"""``to_min``: every group is cut to the rows of the smallest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from lakebalance.allocate.rules import Group, RuleOptions, at_most, own_total
from lakebalance.core.registry import Method


class ToMin(RuleOptions):
    """Undersamples every group to the rows of the smallest that has any, or to min_rows."""

    method: Literal["to_min"]


def to_min(groups: Sequence[Group], rows: int | None, options: ToMin) -> list[int]:
    """Cut every group to the rows of the smallest one that has any.

    Parameters
    ----------
    groups : the groups in order of their values.
    rows : must be None or the number of rows that this makes.
    options : ``min_rows`` is the level where the smallest group is below it: groups with fewer rows
        then keep what they have, or are repeated if ``max_epochs`` is written and lets them.

    Raises
    ------
    InfeasibleBudget : a budget was given that is not the number of rows that this makes.

    Examples
    --------
    >>> groups = [Group({"c": "a"}, 900), Group({"c": "b"}, 50), Group({"c": "c"}, 2)]
    >>> to_min(groups, None, ToMin(method="to_min"))
    [2, 2, 2]
    >>> to_min(groups, None, ToMin(method="to_min", min_rows=40))
    [40, 40, 2]
    """
    smallest = min((group.available for group in groups if group.available), default=0)
    level = max(smallest, options.min_rows)
    if options.max_epochs is None:
        targets = [min(level, group.available) for group in groups]
    else:
        targets = [at_most(level, cap) for cap in options.caps(groups)]
    return own_total("to_min", targets, rows)


METHOD = Method("to_min", ToMin, to_min, example="{method: to_min, min_rows: 100}")
