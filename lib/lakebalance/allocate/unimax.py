"""``unimax``: as even as a cap on epochs lets it be (UniMax)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from lakebalance.allocate.rules import Group, RuleOptions
from lakebalance.core.registry import Method


class Unimax(RuleOptions):
    """All groups alike, small ones up to their epochs (UniMax); as `equal` with a cap written."""

    method: Literal["unimax"]
    max_epochs: float | None = Field(  # no default: the cap on repeats is what the method is about
        gt=0,
        allow_inf_nan=False,
        description="Most epochs of a group; write null for unlimited.",
    )


def unimax(groups: Sequence[Group], rows: int | None, options: Unimax) -> list[int]:
    """Share a budget evenly under a cap on epochs.

    Going from the smallest group to the largest, each gets an even part of the budget that is left,
    or all its epochs if they are fewer. That makes the least group as large as it can be, then the
    next, and it is where the water filling of ``equal`` ends, which is used here: with the same
    ``max_epochs`` both give the same rows. The name is for whoever comes from the paper, and does
    not let the cap be forgotten.

    Parameters
    ----------
    groups : the groups in order of their values.
    rows : the budget in rows; None for as many as there are.
    options : ``max_epochs`` > 0 or None for unlimited.

    Returns
    -------
    Target rows per group, in the order of ``groups``, summing to the budget.

    Raises
    ------
    InfeasibleBudget : the epochs of all groups are fewer rows than the budget. The paper leaves
        what cannot be spent unspent; here the message has the largest budget that can be.

    References
    ----------
    Chung et al., "UniMax: Fairer and more Effective Language Sampling for Large-Scale Multilingual
    Pretraining", ICLR 2023, algorithm 1.

    Examples
    --------
    >>> groups = [Group({"c": c}, n) for c, n in zip("abcd", [58665, 54635, 714, 32])]
    >>> unimax(groups, 10000, Unimax(method="unimax", max_epochs=4))
    [3508, 3508, 2856, 128]
    """
    return options.share(groups, rows, [float(group.available > 0) for group in groups])


METHOD = Method("unimax", Unimax, unimax, example="{method: unimax, max_epochs: 4}", any_unit=True)
