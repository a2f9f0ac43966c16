"""``temperature``: shares n^(1/T), between proportional (T = 1) and equal (T large)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from pydantic import Field, field_validator

from lakebalance.allocate.rules import Group, RuleOptions, powers
from lakebalance.core.registry import Method


class Temperature(RuleOptions):
    """Shares grow with n^(1/temperature): 1 is proportional, large is equal; capped in epochs."""

    method: Literal["temperature"]
    temperature: float = Field(gt=0, allow_inf_nan=False, description="T in n^(1/T).")
    max_epochs: float | None = Field(  # no default: without a cap the smallest group is repeated
        gt=0,
        allow_inf_nan=False,
        description="Most epochs of a group; write null for unlimited.",
    )

    @field_validator("temperature", mode="before")
    @classmethod
    def _is_no_limit(cls, value: object) -> object:
        if isinstance(value, (int, float)) and not 0 < value < math.inf:
            raise ValueError(f"must be above 0 and finite{_why_not(float(value))}")
        return value


def _why_not(value: float) -> str:
    if value == math.inf:
        return "; its limit is an equal share for each group: write method: equal"
    if value == 0:
        return "; its limit is the largest group alone: write a where on the sources, or targets"
    return "" if math.isnan(value) else "; below 0, the smallest groups would get most"


def temperature(groups: Sequence[Group], rows: int | None, options: Temperature) -> list[int]:
    """Share a budget by n^(1/T) under a cap on epochs.

    Parameters
    ----------
    groups : the groups in order of their values.
    rows : the budget in rows; None for as many as there are.
    options : ``temperature`` > 0 and ``max_epochs`` > 0 or None for unlimited.

    Returns
    -------
    Target rows per group, in the order of ``groups``, summing to the budget.

    Raises
    ------
    InfeasibleBudget : caps or floors do not admit the budget.

    References
    ----------
    "Upsample or Upweight? Balanced Training on Heavily Imbalanced Datasets"; the rule is common
    practice for mixtures of languages.

    Examples
    --------
    >>> groups = [Group({"c": c}, n) for c, n in zip("abcd", [58665, 54635, 714, 32])]
    >>> temperature(groups, 10000,
    ...             Temperature(method="temperature", temperature=2, max_epochs=None))
    [4765, 4598, 526, 111]
    """
    return options.share(groups, rows, powers(groups, 1 / options.temperature))


METHOD = Method(
    "temperature",
    Temperature,
    temperature,
    example="{method: temperature, temperature: 2.0, max_epochs: 4}",
    any_unit=True,
)
