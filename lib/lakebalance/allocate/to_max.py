"""``to_max``: every group is raised to the rows of the largest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from lakebalance.allocate.rules import Group, RuleOptions, at_most, own_total
from lakebalance.core.registry import Method


class ToMax(RuleOptions):
    """Oversamples every group to the rows of the largest, as far as max_epochs lets it."""

    method: Literal["to_max"]


def to_max(groups: Sequence[Group], rows: int | None, options: ToMax) -> list[int]:
    """Raise every group to the rows of the largest.

    Parameters
    ----------
    groups : the groups in order of their values.
    rows : must be None or the number of rows that this makes.
    options : ``max_epochs`` keeps small groups from being repeated without end; ``min_rows``.

    Raises
    ------
    InfeasibleBudget : a budget was given that is not the number of rows that this makes.

    References
    ----------
    Buda, Maki, Mazurowski, "A systematic study of the class imbalance problem in convolutional
    neural networks", 2018: oversampling until balance is complete did best in most settings.

    Examples
    --------
    >>> groups = [Group({"c": "a"}, 90), Group({"c": "b"}, 10)]
    >>> to_max(groups, None, ToMax(method="to_max"))
    [90, 90]
    >>> to_max(groups, None, ToMax(method="to_max", max_epochs=4))
    [90, 40]
    """
    level = max([options.min_rows, *(group.available for group in groups)])
    return own_total("to_max", [at_most(level, cap) for cap in options.caps(groups)], rows)


METHOD = Method("to_max", ToMax, to_max, example="{method: to_max, max_epochs: 20}")
