"""``ratio``: what imbalanced-learn calls ``sampling_strategy``, for whoever moves from it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field, model_validator

from lakebalance.allocate.rules import Group, RuleOptions, at_most, check_names, own_total
from lakebalance.core.errors import RecipeError
from lakebalance.core.registry import Method
from lakebalance.core.strategy import meant_by

Words = Literal["auto", "minority", "majority", "not minority", "not majority", "all"]
Share = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]
Counts = dict[str, Annotated[int, Field(ge=0)]]


class Ratio(RuleOptions):
    """Moves groups towards the largest (over) or the smallest (under), as imbalanced-learn does."""

    method: Literal["ratio"]
    direction: Literal["over", "under"] = Field(
        description="over: smaller groups are raised; under: larger groups are cut."
    )
    sampling_strategy: Words | Share | Counts | list[str] = Field(
        "auto",
        description="Which groups move: a word, or their names; or smallest : largest as a number; "
        "or rows per group that moves.",
    )

    @model_validator(mode="after")
    def _fits_the_direction(self) -> Ratio:
        wrong = {"over": "majority", "under": "minority"}[self.direction]
        if self.sampling_strategy == wrong:
            raise ValueError(f"direction {self.direction} can't move the {wrong} alone")
        if self.min_rows:
            raise ValueError("the ratio says each group's rows; leave out min_rows")
        return self


def ratio(groups: Sequence[Group], rows: int | None, options: Ratio) -> list[int]:
    """Raise or cut groups as imbalanced-learn's ``sampling_strategy`` says.

    A number asks for smallest : largest. imbalanced-learn takes one for two classes alone; here
    each group that is further from the largest (over) or the smallest (under) is moved that far.

    Parameters
    ----------
    groups : the groups in order of their values; those without rows are left out of it.
    rows : must be None or the number of rows that this makes.
    options : ``direction``, ``sampling_strategy``, ``max_epochs``.

    Raises
    ------
    InfeasibleBudget : a budget was given that is not the number of rows that this makes.
    RecipeError : a named group does not exist, or would have to move the other way.

    References
    ----------
    imbalanced-learn, ``check_sampling_strategy``.

    Examples
    --------
    >>> groups = [Group({"c": "a"}, 900), Group({"c": "b"}, 100), Group({"c": "c"}, 10)]
    >>> ratio(groups, None, Ratio(method="ratio", direction="over"))
    [900, 900, 900]
    >>> ratio(groups, None, Ratio(method="ratio", direction="under", sampling_strategy=0.5))
    [20, 20, 10]
    """
    strategy, over = options.sampling_strategy, options.direction == "over"
    filled = [i for i, group in enumerate(groups) if group.available]
    counts = [group.available for group in groups]
    targets = list(counts)
    if filled and isinstance(strategy, float):
        targets = _by_number(groups, filled, strategy, over)
    elif isinstance(strategy, dict):
        check_names(groups, strategy, "sampling_strategy")
        targets = [strategy.get(g.name, g.available) for g in groups]
        _one_way(groups, targets, options.direction)
    elif filled:
        level = max(counts) if over else min(counts[i] for i in filled)
        for i in _moving(groups, filled, strategy, over):
            targets[i] = level
    capped = [at_most(t, cap) for t, cap in zip(targets, options.caps(groups), strict=True)]
    return own_total("ratio", capped, rows)


def _by_number(groups: Sequence[Group], filled: list[int], ratio: float, over: bool) -> list[int]:
    counts = [group.available for group in groups]
    smallest, largest = min(counts[i] for i in filled), max(counts)
    level = math.floor(largest * ratio if over else smallest / ratio)
    if len(filled) == 2 and not smallest <= level <= largest:
        word = "remove rows from the smaller group" if over else "add rows to the larger group"
        raise RecipeError(
            f"sampling_strategy {ratio:g} would {word}: they are {smallest / largest:.3g} : 1 "
            f"already; write a larger number, or direction: {'under' if over else 'over'}"
        )
    return [0 if not n else max(n, level) if over else min(n, level) for n in counts]


def _one_way(groups: Sequence[Group], targets: Sequence[int], direction: str) -> None:
    for group, target in zip(groups, targets, strict=True):
        if (target < group.available) == (direction == "over") and target != group.available:
            raise RecipeError(
                f'sampling_strategy: "{group.name}" has {group.available:,} rows and direction '
                f"{direction} cannot make {target:,} of them; write method: targets to do both"
            )


def _moving(groups: Sequence[Group], filled: list[int], strategy: object, over: bool) -> list[int]:
    """The groups that move."""
    if isinstance(strategy, list):
        check_names(groups, dict.fromkeys(strategy, 1), "sampling_strategy")
        return [i for i in filled if groups[i].name in set(strategy)]
    word = strategy if strategy != "auto" else "not majority" if over else "not minority"
    return [filled[i] for i in meant_by(str(word), [groups[i].available for i in filled])]


METHOD = Method(
    "ratio", Ratio, ratio, example="{method: ratio, direction: under, sampling_strategy: 0.1}"
)
