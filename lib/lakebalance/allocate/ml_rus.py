"""``ml_rus``: rows of frequent labels are removed, where rows have several labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from lakebalance.allocate.labels import LabelOptions, diagnose_labels, targets_by_labels
from lakebalance.allocate.rules import Group
from lakebalance.core.registry import Method


class MlRus(LabelOptions):
    """Removes rows that have frequent labels alone, and none with a rare one (ML-RUS)."""

    method: Literal["ml_rus"]
    percent: float | None = Field(
        None,
        gt=0,
        lt=100,
        description="Most rows that are removed, in percent of those there are; 25 if there is no "
        "budget either. With a budget as well, what it makes is scaled to the budget.",
    )


def ml_rus(groups: Sequence[Group], rows: int | None, options: MlRus) -> list[int]:
    """Remove rows of labels whose imbalance ratio is under the mean, until it is not.

    The ``by`` columns are one array column of labels, or several columns of 0, 1 and null. Every
    such label loses as many rows as every other, each from its label sets in proportion to what
    they still have. Label sets with a rare label keep their rows, and so do those of which it is
    not known whether they have one, and rows without a label.

    Parameters
    ----------
    groups : the groups in order of their values.
    rows : the budget in rows; None for as many as ``percent`` and the labels leave.
    options : ``percent``; ``max_epochs`` and ``min_rows`` of each label set.

    Raises
    ------
    InfeasibleBudget : so many rows cannot be removed.
    RecipeError : one of several columns has a value other than 0, 1 and null.

    References
    ----------
    Charte, Rivera, del Jesus, Herrera, "Addressing imbalance in multilabel classification: Measures
    and random resampling algorithms", Neurocomputing 163, 2015.

    Examples
    --------
    >>> groups = [Group({"cat": c, "dog": d}, n) for c, d, n in [(1, 0, 80), (1, 1, 6), (0, 1, 4)]]
    >>> ml_rus(groups, None, MlRus(method="ml_rus", percent=50))
    [35, 6, 4]
    """
    return targets_by_labels(groups, rows, options, adding=False)


METHOD = Method(
    "ml_rus", MlRus, ml_rus, example="{method: ml_rus, percent: 25}", diagnose=diagnose_labels
)
