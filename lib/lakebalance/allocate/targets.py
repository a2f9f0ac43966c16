"""``targets``: counts or shares written by hand, or learned elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import Field, model_validator

from lakebalance.allocate.rounding import InfeasibleBudget
from lakebalance.allocate.rules import (
    SHARES_OFF,
    Group,
    RuleOptions,
    check_names,
    sum_of_shares,
)
from lakebalance.core.errors import RecipeError
from lakebalance.core.registry import Method


class Targets(RuleOptions):
    """Rows or shares per group, by hand or learned elsewhere (DoReMi, RegMix); others get none."""

    method: Literal["targets"]
    counts: dict[str, int] | None = Field(
        None, description="Rows per group; a group of several columns is written a/b."
    )
    shares: dict[str, float] | None = Field(
        None, description="Share of the budget per group; must sum to 1."
    )
    file: str | None = Field(
        None,
        description="File beside the recipe instead. CSV: the `by` columns, then rows or share; an "
        "empty value is null. JSON: an object of groups and shares, as DoReMi writes it.",
    )
    normalise: bool = Field(
        False, description="Take shares that do not sum to 1 for weights, and divide by their sum."
    )
    complete: bool = Field(
        False, description="Refuse a group with rows that is not named, rather than give it none."
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
        if self.normalise and self.shares is None:
            raise ValueError("normalise goes with shares; counts say rows already")
        if self.shares is not None:
            self._sums_to_one(sum_of_shares(self.shares))
        return self

    def _sums_to_one(self, total: float) -> None:
        if self.normalise and not total:
            raise ValueError("all shares are 0; write what at least one group gets")
        if not self.normalise and abs(total - 1) > SHARES_OFF:
            raise ValueError(
                f"shares sum to {total:.9g}, not to 1; to have them divided by their sum, write "
                "normalise: true"
            )


def targets(groups: Sequence[Group], rows: int | None, options: Targets) -> list[int]:
    """Give each group the rows, or the share of the budget, that was written for it.

    Parameters
    ----------
    groups : the groups in order of their values.
    rows : the budget in rows; with ``counts`` None or their sum.
    options : ``counts`` or ``shares`` by group name; ``normalise`` for weights that do not sum to
        1, ``complete`` where a group that is not named is a mistake.

    Raises
    ------
    RecipeError : a named group does not exist or has no rows; with ``complete``, one is not named.
    InfeasibleBudget : a count is over its cap, or the counts do not sum to the budget.

    References
    ----------
    For weights that others learn: Xie et al., "DoReMi: Optimizing Data Mixtures Speeds Up Language
    Model Pretraining", NeurIPS 2023 (its ``avg_domain_weights.json`` and configurations are read
    as they are); Liu et al., "RegMix: Data Mixture as Regression for Language Model Pre-training",
    ICLR 2025.

    Examples
    --------
    >>> groups = [Group({"c": "a"}, 9), Group({"c": "b"}, 5)]
    >>> targets(groups, None, Targets(method="targets", counts={"a": 3}))
    [3, 0]
    >>> learned = {"a": 3, "b": 1}
    >>> targets(groups, 8, Targets(method="targets", shares=learned, normalise=True, complete=True))
    [6, 2]
    """
    wanted: Mapping[str, float] = options.counts or options.shares or {}
    check_names(groups, wanted, "target")
    if options.complete:
        for group in groups:
            if group.available and group.name not in wanted:
                raise RecipeError(
                    f'"{group.name}" has {group.available:,} rows and no target; write it, 0 for '
                    "none, or leave complete out"
                )
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
    "targets",
    Targets,
    targets,
    example="{method: targets, shares: {cat: 0.5, dog: 0.5}}",
    any_unit=True,
)
