"""``inverse_frequency``: rows weigh N / (G · n), all of it or a part."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from lakebalance.allocate.rules import Group, RuleOptions
from lakebalance.core.registry import Method


class InverseFrequency(RuleOptions):
    """Weights rows by (N / (G · n))^strength, N rows in G groups, n of them in the row's own."""

    method: Literal["inverse_frequency"]
    strength: float = Field(
        1.0, ge=0, le=1, allow_inf_nan=False, description="0 changes nothing, 1 evens groups out."
    )


def inverse_frequency(
    groups: Sequence[Group], rows: int | None, options: InverseFrequency
) -> list[int]:
    """Share a budget by n · (N / (G · n))^strength.

    Meant for ``sample: {method: weight}``: without a budget and with strength 1, the weights are
    those that scikit-learn calls ``class_weight="balanced"``.

    Parameters
    ----------
    groups : the groups in order of their values.
    rows : the budget in rows; None for as many as there are.
    options : ``strength`` from 0 to 1, caps and floors.

    Raises
    ------
    InfeasibleBudget : caps or floors do not admit the budget.

    Examples
    --------
    >>> groups = [Group({"c": "a"}, 90), Group({"c": "b"}, 10)]
    >>> inverse_frequency(groups, None, InverseFrequency(method="inverse_frequency"))
    [50, 50]
    """
    total = sum(group.available for group in groups)
    filled = sum(group.available > 0 for group in groups)
    shares = [
        n * (total / (filled * n)) ** options.strength if n else 0.0
        for n in (group.available for group in groups)
    ]
    return options.share(groups, rows, shares)


METHOD = Method(
    "inverse_frequency",
    InverseFrequency,
    inverse_frequency,
    example="{method: inverse_frequency, strength: 1.0}",
    any_unit=True,
)
