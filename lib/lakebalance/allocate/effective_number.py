"""``effective_number``: groups count by how many different things their rows are worth."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from lakebalance.allocate.rules import Group, RuleOptions
from lakebalance.core.registry import Method


class EffectiveNumber(RuleOptions):
    """Weights rows by the effective number of their group: beta 0 proportional, near 1 equal."""

    method: Literal["effective_number"]
    beta: float = Field(ge=0, lt=1, description="Overlap of rows; often 0.9 to 0.9999.")


def row_weights(counts: Sequence[int], beta: float) -> list[float]:
    """The weight of a row of each group, (1 - beta) / (1 - beta^n), scaled to a mean of 1.

    Parameters
    ----------
    counts : rows per group; a group of 0 rows has the weight 0 and is no part of the mean.
    beta : from 0 to below 1.

    Examples
    --------
    >>> [round(w, 4) for w in row_weights([58665, 54635, 714, 32], 0.999)]
    [0.1121, 0.1121, 0.2195, 3.5564]
    """
    # expm1 and log1p: 1 - beta^n loses all digits where beta is near 1 and n small.
    slope = -math.inf if not beta else math.log(beta) if beta < 0.5 else math.log1p(beta - 1)
    raw = [(1 - beta) / -math.expm1(n * slope) if n else 0.0 for n in counts]
    mean = math.fsum(raw) / max(sum(n > 0 for n in counts), 1)
    return [weight / mean for weight in raw] if mean else raw


def effective_number(
    groups: Sequence[Group], rows: int | None, options: EffectiveNumber
) -> list[int]:
    """Share a budget by n · (1 - beta) / (1 - beta^n).

    With ``sample: {method: weight}`` the weights of rows are those of the class-balanced loss.

    Parameters
    ----------
    groups : the groups in order of their values.
    rows : the budget in rows; None for as many as there are.
    options : ``beta``, caps and floors.

    Raises
    ------
    InfeasibleBudget : caps or floors do not admit the budget.

    References
    ----------
    Cui et al., "Class-Balanced Loss Based on Effective Number of Samples", 2019, equation 2.

    Examples
    --------
    >>> groups = [Group({"c": "a"}, 900), Group({"c": "b"}, 100)]
    >>> effective_number(groups, 1000, EffectiveNumber(method="effective_number", beta=0.99))
    [851, 149]
    """
    counts = [group.available for group in groups]
    weights = row_weights(counts, options.beta)
    shares = [n * weight for n, weight in zip(counts, weights, strict=True)]
    return options.share(groups, rows, shares)


METHOD = Method(
    "effective_number",
    EffectiveNumber,
    effective_number,
    example="{method: effective_number, beta: 0.999, max_epochs: 10}",
)
