"""``budgeted``: rows go where learning curves say that they help most, for what they cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from lakebalance.allocate.curves import Curve, Measured, fit
from lakebalance.allocate.rounding import InfeasibleBudget, divide
from lakebalance.allocate.rules import Group, RuleOptions, check_names, whole_budget
from lakebalance.core.errors import RecipeError
from lakebalance.core.registry import Method

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Floats = NDArray[np.float64]
ROUNDS = 200


class Budgeted(RuleOptions):
    """Shares a budget so that the groups' losses, by their learning curves, become least."""

    method: Literal["budgeted"]
    curves: dict[str, Curve] = Field(
        default_factory=dict, description="loss = a + b · rows^-c by group; * for all others."
    )
    measured: list[Measured] = Field(
        default_factory=list, description="Losses seen in earlier runs; curves are fitted to them."
    )
    objective: Literal["utilitarian", "maximin"] | Annotated[float, Field(ge=1, le=64)] = Field(
        "utilitarian",
        description="utilitarian: least weighted sum of losses; maximin: least worst loss; a "
        "number p between them: least sum of losses to the power of p.",
    )
    weights: dict[str, Positive] = Field(
        default_factory=dict, description="What a group's loss counts; 1 if left out."
    )
    costs: dict[str, Positive] = Field(
        default_factory=dict, description="Cost of a row by group; 1 if left out."
    )
    budget: Positive | None = Field(
        None, description="The budget in units of cost; allocate.rows if left out."
    )
    already: dict[str, Annotated[int, Field(ge=0)]] = Field(
        default_factory=dict,
        description="Rows that the model has seen in earlier runs: what is planned comes on top.",
    )

    @model_validator(mode="after")
    def _has_curves(self) -> Budgeted:
        if not self.curves and not self.measured:
            raise ValueError("write curves, or measured losses to fit them to")
        if self.costs and self.budget is None:
            raise ValueError("with costs, write the budget in units of cost")
        return self

    def curve_of(self, groups: Sequence[Group]) -> list[Curve]:
        """The curve of each group: written, fitted, or the one for all others.

        Raises
        ------
        RecipeError : a group has none, or one is named that is not there.
        """
        fitted = fit(self.measured)
        known = {**fitted, **self.curves}
        check_names(groups, dict.fromkeys([n for n in known if n != "*"], 0), "curve")
        rest = known.get("*")
        found = [known.get(group.name, rest) for group in groups]
        for group, curve in zip(groups, found, strict=True):
            if curve is None:
                raise RecipeError(
                    f'group "{group.name}" has no learning curve; write it under curves, two '
                    'losses at different rows under measured, or one curve for all others as "*"'
                )
        return [curve for curve in found if curve is not None]


def budgeted(groups: Sequence[Group], rows: int | None, options: Budgeted) -> list[int]:
    """Share a budget by learning curves, costs and an objective.

    Parameters
    ----------
    groups : the groups in order of their values.
    rows : the budget in rows where ``budget`` is not written; else None.
    options : curves or measured losses, objective, weights, costs, budget, ``already``; a cap of
        one epoch unless ``max_epochs`` is written, as curves are those of rows not seen before.

    Returns
    -------
    Target rows per group. Without costs they sum to the budget; with costs they cost at most the
    budget, and no further row would fit in it.

    Raises
    ------
    InfeasibleBudget : caps or floors do not admit the budget.
    RecipeError : a group has no curve.

    References
    ----------
    "Adaptive Sampling Strategies to Construct Equitable Training Datasets"; the closed forms
    t ∝ (w·b·c/κ)^(1/(1+c)) and, for equal a, t ∝ b^(1/c) are its two ends.

    Examples
    --------
    >>> groups = [Group({"c": "a"}, 900), Group({"c": "b"}, 900)]
    >>> curves = {"a": Curve(b=1, c=0.5), "b": Curve(b=4, c=0.5)}
    >>> budgeted(groups, 1000, Budgeted(method="budgeted", curves=curves))
    [284, 716]
    """
    for what in ("weights", "costs", "already"):
        check_names(groups, dict.fromkeys(getattr(options, what), 0), what)
    problem = _Problem(groups, options)
    if options.budget is None:
        caps = [int(cap) for cap in problem.caps]
        total = whole_budget(groups, caps, rows)
        problem.leave_out_none(total)
        floors = [int(floor) for floor in problem.floors]
        divide(total, [1.0] * len(groups), caps, floors)  # raises where it can't be met
        return divide(total, list(problem.solve(float(total))), caps, floors)
    if rows is not None:
        raise InfeasibleBudget("write rows, or a budget in units of cost, not both")
    return problem.affordable(options.budget)


class _Problem:
    """The convex problem in arrays: rows per group of least loss for a budget."""

    def __init__(self, groups: Sequence[Group], options: Budgeted) -> None:
        curves = options.curve_of(groups)
        names = [group.name for group in groups]
        self.a = np.array([curve.a for curve in curves], dtype=float)
        self.b = np.array([curve.b for curve in curves], dtype=float)
        self.c = np.array([curve.c for curve in curves], dtype=float)
        self.weight = np.array([options.weights.get(n, 1.0) for n in names], dtype=float)
        self.cost = np.array([options.costs.get(n, 1.0) for n in names], dtype=float)
        self.seen = np.array([options.already.get(n, 0) for n in names], dtype=float)
        limited = [
            group.available if options.max_epochs is None else cap or 0
            for group, cap in zip(groups, options.caps(groups), strict=True)
        ]
        self.caps = np.array(limited, dtype=float)
        self.floors = np.minimum(np.array(options.floors(groups), dtype=float), self.caps)
        self.objective = options.objective

    def leave_out_none(self, budget: float) -> None:
        """Give each group a row where the worst loss counts, as far as the budget has as many.

        Of no rows, a group's loss is infinite, and so the worst.
        """
        one = np.where(self.seen > 0, 0.0, np.minimum(1.0, self.caps))
        least = np.maximum(self.floors, one)
        if self.objective == "maximin" and float(np.dot(least, self.cost)) <= budget:
            self.floors = least

    def solve(self, budget: float) -> Floats:
        """Rows per group, not yet whole, that cost the budget or reach all caps."""
        low, high = -800.0, 800.0
        for _ in range(ROUNDS):
            middle = (low + high) / 2
            rows = self._at(middle)
            if float(np.dot(rows, self.cost)) > budget:
                low = middle
            else:
                high = middle
            if high - low < 1e-13 * max(1.0, abs(low)):
                break
        return self._at(high)

    def _at(self, price: float) -> Floats:
        """Rows per group at which a further unit of cost is worth e^price."""
        if self.objective == "maximin":
            wanted = self._reaching(price)
        else:
            p = 1.0 if self.objective == "utilitarian" else float(self.objective)
            wanted = self._worth(price, p)
        fresh = np.exp(np.minimum(wanted, 700.0)) - self.seen
        rows: Floats = np.clip(fresh, self.floors, self.caps)
        return rows

    def _reaching(self, price: float) -> Floats:
        """Log rows at which each group's loss has come down to e^price."""
        over = np.exp(price) - self.a
        with np.errstate(divide="ignore", invalid="ignore"):
            reached = (np.log(self.b) - np.log(over)) / self.c
        return np.where(over > 0, reached, np.inf).astype(float)

    def _worth(self, price: float, p: float) -> Floats:
        """Log rows n at which weight · p · loss^(p-1) · b · c · n^(-c-1) / cost is e^price."""
        fixed = np.log(self.weight * p * self.b * self.c / self.cost) - price
        x: Floats = fixed / (self.c + 1)
        if p == 1.0:
            return x
        for _ in range(60):
            falling = self.b * np.exp(np.clip(-self.c * x, -700.0, 700.0))
            loss = np.maximum(self.a + falling, 1e-300)
            value = fixed + (p - 1) * np.log(loss) - (self.c + 1) * x
            step = value / ((p - 1) * self.c * falling / loss + self.c + 1)
            x = x + step
            if float(np.max(np.abs(step), initial=0.0)) < 1e-12:
                break
        return x

    def affordable(self, budget: float) -> list[int]:
        """Whole rows that cost at most the budget, to which no row could be added."""
        self.leave_out_none(budget)
        least = float(np.dot(self.floors, self.cost))
        if least > budget:
            raise InfeasibleBudget(
                f"the budget of {budget:,g} is less than the floors cost; the least feasible is "
                f"{least:,g}"
            )
        ideal = self.solve(budget)
        rows = np.maximum(np.floor(ideal + 1e-9), self.floors)
        left = budget - float(np.dot(rows, self.cost))
        # What rounding leaves goes to the largest fractions that it still pays for.
        for i in sorted(range(len(rows)), key=lambda i: (rows[i] - ideal[i], i)):
            extra = min(self.caps[i] - rows[i], np.floor(left / self.cost[i] + 1e-12))
            if extra > 0 and ideal[i] > rows[i]:
                rows[i] += 1
                left -= self.cost[i]
        for i in sorted(range(len(rows)), key=lambda i: (self.cost[i], i)):
            extra = max(min(self.caps[i] - rows[i], np.floor(left / self.cost[i] + 1e-12)), 0)
            rows[i] += extra
            left -= extra * self.cost[i]
        return [int(n) for n in rows]


METHOD = Method(
    "budgeted",
    Budgeted,
    budgeted,
    example='{method: budgeted, curves: {"*": {b: 1.0, c: 0.5}}, objective: maximin}',
)
