"""``clip``: groups over a ceiling are cut, groups under a floor raised (hybrid sampling)."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from pydantic import Field, model_validator

from lakebalance.allocate.rounding import divide
from lakebalance.allocate.rules import Group, RuleOptions, at_most, check_names
from lakebalance.core.errors import RecipeError
from lakebalance.core.registry import Method

Rows = Annotated[int, Field(ge=0)]
Level = Rows | Literal["min", "median", "mean", "max"]


class Clip(RuleOptions):
    """Cuts groups over a ceiling and raises those under a floor; those between keep their rows."""

    method: Literal["clip"]
    floor: Level | None = Field(
        None, description="Fewest rows of a group, or min, median, mean, max of all groups."
    )
    ceiling: Level | None = Field(
        None, description="Most rows of a group, or min, median, mean, max of all groups."
    )
    group_floors: dict[str, Rows] = Field(
        default_factory=dict, description="Floors of single groups; of several columns: a/b."
    )
    group_ceilings: dict[str, Rows] = Field(
        default_factory=dict, description="Ceilings of single groups; of several columns: a/b."
    )

    @model_validator(mode="after")
    def _clips(self) -> Clip:
        if (
            self.floor is None
            and self.ceiling is None
            and not (self.group_floors or self.group_ceilings)
        ):
            raise ValueError("write floor, ceiling, group_floors or group_ceilings")
        if self.min_rows:
            raise ValueError("write floor instead of min_rows")
        if isinstance(self.floor, int) and isinstance(self.ceiling, int):
            _ordered("all groups", self.floor, self.ceiling)
        for name in self.group_floors.keys() & self.group_ceilings.keys():
            _ordered(f'"{name}"', self.group_floors[name], self.group_ceilings[name])
        return self

    def ceilings(self, groups: Sequence[Group]) -> list[int | None]:
        """The ceiling of each group, in rows; None where it has none."""
        ceiling = _level(self.ceiling, groups, None)
        return [self.group_ceilings.get(group.name, ceiling) for group in groups]

    def caps(self, groups: Sequence[Group]) -> list[int | None]:
        """The most rows each group may get: its ceiling, or its epochs where they are fewer."""
        return [
            cap if ceiling is None else at_most(ceiling, cap)
            for ceiling, cap in zip(self.ceilings(groups), super().caps(groups), strict=True)
        ]


def _ordered(what: str, floor: int, ceiling: int) -> None:
    if floor > ceiling:
        raise ValueError(f"the floor of {what}, {floor:,}, is over its ceiling, {ceiling:,}")


def clip(groups: Sequence[Group], rows: int | None, options: Clip) -> list[int]:
    """Cut groups over their ceiling and raise groups under their floor.

    A floor is met as far as ``max_epochs`` lets it. With a budget, what clipping makes are the
    shares of it: a ceiling flattens the mixture at any budget, and is no less a ceiling. So a
    ceiling alone, for all groups or for single ones, balances sources as Cambrian-1 does.

    Parameters
    ----------
    groups : the groups in order of their values.
    rows : the budget in rows; None for what clipping gives.
    options : ``floor`` and ``ceiling`` of all groups, ``group_floors`` and ``group_ceilings`` of
        single ones.

    Raises
    ------
    InfeasibleBudget : floors and ceilings do not admit the budget.
    RecipeError : a named group does not exist, or a floor is over its group's ceiling.

    References
    ----------
    For ceilings of sources: Tong et al., "Cambrian-1: A Fully Open, Vision-Centric Exploration of
    Multimodal LLMs", NeurIPS 2024, on data balancing.

    Examples
    --------
    >>> groups = [Group({"c": c}, n) for c, n in zip("abc", [900, 50, 2])]
    >>> clip(groups, None, Clip(method="clip", floor=10, ceiling="median"))
    [50, 50, 10]
    >>> clip(groups, 51, Clip(method="clip", ceiling=50))
    [25, 25, 1]
    """
    check_names(groups, options.group_floors, "floor")
    check_names(groups, dict.fromkeys(options.group_ceilings, 0), "ceiling")
    floor = _level(options.floor, groups, 0)
    ceilings, caps = options.ceilings(groups), options.caps(groups)
    lows = []
    for group, ceiling, cap in zip(groups, ceilings, caps, strict=True):
        low = options.group_floors.get(group.name, floor or 0)
        if ceiling is not None and low > ceiling:
            raise RecipeError(
                f'the floor of "{group.name}", {low:,}, is over its ceiling, {ceiling:,}'
            )
        lows.append(at_most(low, cap))
    clipped = [
        max(low, at_most(group.available, cap))
        for group, low, cap in zip(groups, lows, caps, strict=True)
    ]
    if rows is None:
        return clipped
    return divide(rows, [float(target) for target in clipped], caps, lows)


def _level(asked: Level | None, groups: Sequence[Group], default: int | None) -> int | None:
    counts = [group.available for group in groups if group.available]
    if asked is None or not counts:
        return default
    if isinstance(asked, int):
        return asked
    known: Mapping[str, float] = {
        "min": min(counts),
        "median": statistics.median_low(counts),
        "mean": sum(counts) // len(counts),
        "max": max(counts),
    }
    return int(known[asked])


METHOD = Method("clip", Clip, clip, example="{method: clip, floor: 500, ceiling: 20000}")
