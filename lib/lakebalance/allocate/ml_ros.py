"""``ml_ros``: rows of rare labels are repeated, where rows have several labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from lakebalance.allocate.labels import LabelOptions, diagnose_labels, targets_by_labels
from lakebalance.allocate.rules import Group
from lakebalance.core.registry import Method


class MlRos(LabelOptions):
    """Repeats rows that have rare labels, those with an imbalance ratio over the mean (ML-ROS)."""

    method: Literal["ml_ros"]
    percent: float | None = Field(
        None,
        gt=0,
        allow_inf_nan=False,
        description="Most rows that are added, in percent of those there are; 25 if there is no "
        "budget either. With a budget as well, what it makes is scaled to the budget.",
    )


def ml_ros(groups: Sequence[Group], rows: int | None, options: MlRos) -> list[int]:
    """Repeat rows of labels whose imbalance ratio is over the mean, until it is not.

    The ``by`` columns are one array column of labels, or several columns of 0, 1 and null. Every
    such label gets as many further rows as every other, each from its label sets in proportion to
    their rows, and leaves when its ratio is down to the mean at the start. A label that a row is
    not known to have does not count; a row of which nothing is known is kept once.

    Parameters
    ----------
    groups : the groups in order of their values.
    rows : the budget in rows; None for as many as ``percent`` and the labels make.
    options : ``percent``; ``max_epochs`` and ``min_rows`` of each label set.

    Raises
    ------
    InfeasibleBudget : so many rows cannot be added.
    RecipeError : one of several columns has a value other than 0, 1 and null.

    References
    ----------
    Charte, Rivera, del Jesus, Herrera, "Addressing imbalance in multilabel classification: Measures
    and random resampling algorithms", Neurocomputing 163, 2015.

    Examples
    --------
    >>> groups = [Group({"cat": c, "dog": d}, n) for c, d, n in [(1, 0, 80), (1, 1, 6), (0, 1, 4)]]
    >>> ml_ros(groups, None, MlRos(method="ml_ros", percent=10))
    [80, 11, 8]
    """
    return targets_by_labels(groups, rows, options, adding=True)


METHOD = Method(
    "ml_ros", MlRos, ml_ros, example="{method: ml_ros, percent: 25}", diagnose=diagnose_labels
)
