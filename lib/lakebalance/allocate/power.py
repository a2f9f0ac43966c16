"""``power``: shares n^alpha, from equal (0) over the square root (0.5) to proportional (1)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from lakebalance.allocate.rules import Group, RuleOptions, powers
from lakebalance.core.registry import Method


class Power(RuleOptions):
    """Shares grow with n^alpha: 1 is proportional, 0.5 the square root, 0 equal."""

    method: Literal["power"]
    alpha: float = Field(
        0.5, ge=0, le=1, allow_inf_nan=False, description="Exponent of the rows available."
    )


def power(groups: Sequence[Group], rows: int | None, options: Power) -> list[int]:
    """Share a budget by n^alpha; the same as ``temperature`` with T = 1 / alpha.

    Parameters
    ----------
    groups : the groups in order of their values.
    rows : the budget in rows; None for as many as there are.
    options : ``alpha`` from 0 to 1, caps and floors.

    Raises
    ------
    InfeasibleBudget : caps or floors do not admit the budget.

    References
    ----------
    Mikolov et al., "Distributed Representations of Words and Phrases", 2013 (alpha 0.75);
    Mahajan et al., "Exploring the Limits of Weakly Supervised Pretraining", 2018 (alpha 0.5).

    Examples
    --------
    >>> power([Group({"c": "a"}, 90), Group({"c": "b"}, 10)], 40, Power(method="power"))
    [30, 10]
    """
    return options.share(groups, rows, powers(groups, options.alpha))


METHOD = Method("power", Power, power, example="{method: power, alpha: 0.5}", any_unit=True)
