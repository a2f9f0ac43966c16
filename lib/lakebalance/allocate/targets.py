"""``targets``: counts or shares written by hand."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import Field, model_validator

from lakebalance.allocate.rounding import InfeasibleBudget
from lakebalance.allocate.rules import Group, RuleOptions, check_names
from lakebalance.core.registry import Method


class Targets(RuleOptions):
    """Rows or shares per group, written by hand; groups not named get none."""

    method: Literal["targets"]
    counts: dict[str, int] | None = Field(
        None, description="Rows per group; a group of several columns is written a/b."
    )
    shares: dict[str, float] | None = Field(
        None, description="Share of the budget per group; must sum to 1."
    )
    file: str | None = Field(
        None,
        description="CSV file beside the recipe instead: the `by` columns, then rows or share; an "
        "empty value is null.",
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> Targets:
        if self.file is not None and (self.counts or self.shares):
            raise ValueError("write file, counts or shares, one of them")
        if self.file is not None:
            raise ValueError("a file is read by Recipe.load alone; give counts or shares here")
        if (self.counts is None) == (self.shares is None):
            raise ValueError("write either counts or shares")
        if self.min_rows:
            raise ValueError("each group's rows are written here; leave out min_rows")
        if any(count < 0 for count in (self.counts or {}).values()):
            raise ValueError("a count must be at least 0")
        if self.shares is not None:
            if any(not math.isfinite(s) or s < 0 for s in self.shares.values()):
                raise ValueError("a share must be a finite number of at least 0")
            if abs(math.fsum(self.shares.values()) - 1) > 1e-6:
                raise ValueError(f"shares sum to {math.fsum(self.shares.values()):g}, not to 1")
        return self


def targets(groups: Sequence[Group], rows: int | None, options: Targets) -> list[int]:
    """Give each group the rows, or the share of the budget, that was written for it.

    Parameters
    ----------
    groups : the groups in order of their values.
    rows : the budget in rows; with ``counts`` None or their sum.
    options : ``counts`` or ``shares`` by group name.

    Raises
    ------
    RecipeError : a named group does not exist or has no rows.
    InfeasibleBudget : a count is over its cap, or the counts do not sum to the budget.

    Examples
    --------
    >>> targets([Group({"c": "a"}, 9), Group({"c": "b"}, 5)], None,
    ...         Targets(method="targets", counts={"a": 3}))
    [3, 0]
    """
    wanted: Mapping[str, float] = options.counts or options.shares or {}
    check_names(groups, wanted, "target")
    if options.shares is not None:
        shares = [options.shares.get(group.name, 0.0) for group in groups]
        return options.share(groups, rows, shares)
    counts = [int(wanted.get(group.name, 0)) for group in groups]
    for group, count, cap in zip(groups, counts, options.caps(groups), strict=True):
        if cap is not None and count > cap:
            raise InfeasibleBudget(
                f'target of {count:,} rows for "{group.name}" is over its cap of {cap:,}'
            )
    if rows is not None and rows != sum(counts):
        raise InfeasibleBudget(
            f"counts sum to {sum(counts):,} but rows is {rows:,}; leave out one of them"
        )
    return counts


METHOD = Method(
    "targets", Targets, targets, example="{method: targets, shares: {cat: 0.5, dog: 0.5}}"
)
