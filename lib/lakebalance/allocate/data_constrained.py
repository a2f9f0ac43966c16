"""``data_constrained``: rows go where the next epoch is worth most, as long as it is worth it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from lakebalance.allocate.repetition import diagnose_repetition
from lakebalance.allocate.rounding import InfeasibleBudget, divide, largest_remainder
from lakebalance.allocate.rules import Group, RuleOptions, at_most, check_names, whole_budget
from lakebalance.core.diagnostics import Diagnostic
from lakebalance.core.plain import minus_log
from lakebalance.core.registry import Method
from lakebalance.core.repetition import R_STAR

Worth = Annotated[float, Field(ge=1e-9, le=1e9)]
EPOCH = 2**40  # epochs are counted in whole parts this small, so that no sum depends on its order


class DataConstrained(RuleOptions):
    """Rows go where the next epoch is worth most, by what repetition leaves of a row's value."""

    method: Literal["data_constrained"]
    values: dict[str, Worth] = Field(
        default_factory=dict,
        description="What a row of a group is worth that was not seen before; 1 if left out.",
    )
    min_value: Worth | None = Field(
        None, description="A group's rows are repeated as long as the next is worth this."
    )
    r_star: float = Field(
        R_STAR,
        gt=0,
        le=1e6,
        description="R*: the repeats after which a row is worth 1/e of what it was.",
    )

    def value_of(self, groups: Sequence[Group]) -> list[float]:
        """What a row of each group is worth that was not seen before."""
        return [self.values.get(group.name, 1.0) for group in groups]

    def caps(self, groups: Sequence[Group]) -> list[int | None]:
        """The most rows each group may get: also none that is worth less than ``min_value``."""
        caps = super().caps(groups)
        if self.min_value is None:
            return caps
        values = np.array(self.value_of(groups), dtype=float)
        least = np.minimum(self.min_value / values, 1.0)
        epochs = np.where(values < self.min_value, 0.0, 1 + self.r_star * minus_log(least))
        return [
            at_most(group.available * int(e * EPOCH) // EPOCH, cap)
            for group, e, cap in zip(groups, epochs.tolist(), caps, strict=True)
        ]


def data_constrained(
    groups: Sequence[Group], rows: int | None, options: DataConstrained
) -> list[int]:
    """Share a budget so that the rows are worth most, where repeats are worth less and less.

    The row of a group that is seen after R repeats of all its rows is worth value · e^(-R / R*).
    Rows are given to whichever group's next is worth most, so that in the end the next row is worth
    the same in all groups that get any. Groups of one value are repeated alike, which is
    ``proportional``: what tells groups apart are their values and caps.

    Parameters
    ----------
    groups : the groups in order of their values.
    rows : the budget in rows; None for all that is worth ``min_value``, or, without one, for as
        many as there are.
    options : ``values`` by group name, ``min_value``, ``r_star``, caps and floors.

    Returns
    -------
    Target rows per group, in the order of ``groups``, summing to the budget.

    Raises
    ------
    InfeasibleBudget : caps or floors do not admit the budget, or rows of it would be worth less
        than ``min_value``; with the largest budget that can be met.
    RecipeError : ``values`` names a group that does not exist.

    References
    ----------
    Muennighoff et al., "Scaling Data-Constrained Language Models", NeurIPS 2023, equation 5; R* of
    appendix A.

    Examples
    --------
    >>> groups = [Group({"c": "web"}, 900), Group({"c": "books"}, 100)]
    >>> books = DataConstrained(method="data_constrained", values={"books": 1.5})
    >>> data_constrained(groups, 2000, books)
    [1238, 762]
    >>> worth_it = DataConstrained(method="data_constrained", min_value=0.8)
    >>> data_constrained(groups, None, worth_it)
    [3990, 443]
    """
    check_names(groups, dict.fromkeys(options.values, 0), "value")
    caps, floors = options.caps(groups), options.floors(groups)
    total = whole_budget(groups, caps, rows)
    if options.min_value is not None:
        worth = sum(cap for cap in caps if cap is not None)
        total = worth if rows is None else rows
        if total > worth:
            raise InfeasibleBudget(
                "of the budget of {} {unit}, some would be worth less than min_value, "
                f"{options.min_value:g}; the largest feasible is {{}}, which leaving out {{unit}} "
                "gives",
                [total, worth],
            )
    divide(total, [1.0] * len(groups), caps, floors)  # raises where it can't be met
    most = [total if cap is None else min(cap, total) for cap in caps]
    return _Level(groups, options, floors, most).filled(total)


class _Level:
    """Rows per group up to a level: so many epochs of the group that is worth most.

    A group enters at the level where repeats of the most valuable one are worth no more than its
    own first rows, and from there on is repeated along with it.
    """

    def __init__(
        self,
        groups: Sequence[Group],
        options: DataConstrained,
        floors: Sequence[int],
        caps: Sequence[int],
    ) -> None:
        values = np.array(options.value_of(groups), dtype=float)
        late = options.r_star * minus_log(values / values.max(initial=0.0))
        self.parts = [
            (group.available, int(e * EPOCH), floor * EPOCH, max(floor, cap) * EPOCH)
            for group, e, floor, cap in zip(groups, late.tolist(), floors, caps, strict=True)
        ]

        self.doubles = np.array(self.parts, dtype=float).reshape(-1, 4).T

    def rows(self, level: int) -> list[int]:
        """Rows per group, in the parts that epochs are counted in."""
        return [
            min(max(n * (EPOCH + level - late) if level >= late else 0, floor), cap)
            for n, late, floor, cap in self.parts
        ]

    def filled(self, total: int) -> list[int]:
        """Whole rows per group, within one of those that are worth most, summing to the total."""
        below, above = self._around(total)
        while above - below > 1:
            middle = (below + above) // 2
            if sum(self.rows(middle)) < total * EPOCH:
                below = middle
            else:
                above = middle
        # Between two levels next to each other, a group's whole first epoch may lie: it is shared.
        low, high = self.rows(below), self.rows(above)
        steps = [b - a for a, b in zip(low, high, strict=True)]
        if not any(steps):
            return [part // EPOCH for part in low]
        left, whole = total * EPOCH - sum(low), sum(steps)
        return largest_remainder(
            total, [a * whole + left * step for a, step in zip(low, steps, strict=True)]
        )

    def _around(self, total: int) -> tuple[int, int]:
        """Two levels between which the total is reached: near by, as exact sums take long."""
        low, high = -1, EPOCH
        while sum(self.rows(high)) < total * EPOCH:
            low, high = high, 2 * high
        for _ in range(50):
            middle = (low + high) // 2
            low, high = (middle, high) if self._about(middle) < total * EPOCH else (low, middle)
        width = 1 + high // 2**40
        below, above = high, high
        while below >= 0 and sum(self.rows(below)) >= total * EPOCH:
            below, width = max(below - width, -1), 8 * width
        while sum(self.rows(above)) < total * EPOCH:
            above, width = above + width, 8 * width
        return below, above

    def _about(self, level: int) -> float:
        """The rows of all groups up to a level, with the errors that doubles have."""
        available, late, least, most = self.doubles
        rows = np.where(level >= late, available * (float(EPOCH + level) - late), 0.0)
        return float(np.clip(rows, least, most).sum())


def diagnose(
    groups: Sequence[Group], targets: Sequence[int], options: DataConstrained
) -> list[Diagnostic]:
    """What the rows of each group are worth, and what its next epoch would be."""
    return [diagnose_repetition(groups, targets, options.r_star, options.value_of(groups))]


METHOD = Method(
    "data_constrained",
    DataConstrained,
    data_constrained,
    example="{method: data_constrained, min_value: 0.5}",
    diagnose=diagnose,
    any_unit=True,
)
