"""``budget_split``: a budget of money over kinds of data with prices, by a table of shares."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from lakebalance.allocate.rounding import InfeasibleBudget, divide
from lakebalance.allocate.rules import (
    SHARES_OFF,
    Group,
    RuleOptions,
    check_names,
    sum_of_shares,
    whole_budget,
)
from lakebalance.core.plain import minus_log
from lakebalance.core.registry import Method

Amount = Annotated[float, Field(ge=1e-9, le=1e15)]


class Split(BaseModel):
    """How a budget of some size is shared over the kinds of data."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    budget: Amount = Field(description="The budget, in what prices are in; rows without prices.")
    shares: dict[str, float] = Field(
        min_length=1, description="Share of the budget by kind; must sum to 1."
    )

    @field_validator("shares")
    @classmethod
    def _sum_to_one(cls, shares: dict[str, float]) -> dict[str, float]:
        if abs((total := sum_of_shares(shares)) - 1) > SHARES_OFF:
            raise ValueError(f"shares sum to {total:.9g}, not to 1")
        return shares


class BudgetSplit(RuleOptions):
    """A budget over kinds of data with prices, by a table of shares; a floor for the first kind."""

    method: Literal["budget_split"]
    splits: list[Split] = Field(
        min_length=1,
        description="Shares at some budgets. Between two they change evenly with the budget's "
        "logarithm, beyond the first and the last not at all.",
    )
    prices: dict[str, Amount] = Field(
        default_factory=dict, description="Price of a row by kind; 1 if left out."
    )
    budget: Amount | None = Field(
        None, description="The budget, in what prices are in; allocate.rows if left out."
    )
    first: str | None = Field(
        None, description="The kind that training starts with, such as supervised finetuning."
    )
    first_share: float = Field(
        0.1, ge=0, le=1, description="Least share of the budget that the first kind gets."
    )

    @model_validator(mode="after")
    def _fits_together(self) -> BudgetSplit:
        budgets = [split.budget for split in self.splits]
        if any(a >= b for a, b in itertools.pairwise(budgets)):
            raise ValueError("splits: budgets must rise from each to the next")
        if self.prices and self.budget is None:
            raise ValueError("with prices, write the budget in what they are in")
        if self.first is None and "first_share" in self.model_fields_set:
            raise ValueError("first_share: write which kind is the first")
        return self

    def shares_at(self, budget: float) -> dict[str, float]:
        """The share of each kind named in the table, at a budget.

        Examples
        --------
        >>> splits = [{"budget": 1000, "shares": {"sft": 1}},
        ...           {"budget": 100_000, "shares": {"sft": 0.2, "pairs": 0.8}}]
        >>> asked = BudgetSplit(method="budget_split", splits=splits)
        >>> {kind: round(share, 3) for kind, share in asked.shares_at(10_000).items()}
        {'sft': 0.6, 'pairs': 0.4}
        """
        kinds = dict.fromkeys(kind for split in self.splits for kind in split.shares)
        above = next((i for i, s in enumerate(self.splits) if s.budget >= budget), None)
        if above is None or above == 0 or self.splits[above].budget == budget:
            split = self.splits[-1 if above is None else above]
            return {kind: split.shares.get(kind, 0.0) for kind in kinds}
        low, high = self.splits[above - 1], self.splits[above]
        past, whole = minus_log(np.array([low.budget / budget, low.budget / high.budget])).tolist()
        part = past / whole
        return {
            kind: low.shares.get(kind, 0.0) * (1 - part) + high.shares.get(kind, 0.0) * part
            for kind in kinds
        }


def budget_split(groups: Sequence[Group], rows: int | None, options: BudgetSplit) -> list[int]:
    """Share a budget over kinds of data that differ in price, by shares that change with its size.

    Parameters
    ----------
    groups : the kinds of data, in order of their values.
    rows : the budget in rows, where ``budget`` is not written and no kind has a price; else None.
    options : ``splits``, ``prices``, ``budget``; ``first`` and ``first_share``, the floor without
        which training on preferences starts cold; caps and floors in rows.

    Returns
    -------
    Target rows per group. They cost at most the budget, and what is left of it pays for no further
    row of a kind that has a share and rows to give. Without prices they sum to it.

    Raises
    ------
    InfeasibleBudget : the caps give less than the budget, or the floors cost more.
    RecipeError : a kind that is named does not exist, or has no rows and is to get some.

    References
    ----------
    Raghavendra, Kang and Ritter, "Balancing the Budget: Understanding Trade-offs Between Supervised
    and Preference-Based Finetuning", ACL 2025. It finds that under 1,000 annotated examples
    supervised finetuning alone is best, that larger budgets want growing parts of preference data,
    and that less than a tenth of the budget for supervised finetuning ends the cold start: hence
    ``first_share``. Its tables of best shares were not at hand, so there is no table by default,
    and that of the example is made up; write what your own pilots say.

    Examples
    --------
    >>> groups = [Group({"kind": "pairs"}, 9000), Group({"kind": "sft"}, 9000)]
    >>> splits = [{"budget": 1000, "shares": {"sft": 1}},
    ...           {"budget": 100_000, "shares": {"sft": 0.2, "pairs": 0.8}}]
    >>> prices = {"sft": 4, "pairs": 1.5}
    >>> budget_split(groups, None, BudgetSplit(method="budget_split", splits=splits, prices=prices,
    ...                                        budget=10_000, first="sft"))
    [2666, 1500]
    """
    named = [kind for split in options.splits for kind in split.shares] + list(options.prices)
    check_names(groups, dict.fromkeys(named, 0), "share or price")
    if options.first is not None:
        check_names(groups, {options.first: options.first_share}, "first_share")
    if options.budget is None:
        budget = float(whole_budget(groups, options.caps(groups), rows))
    elif rows is not None:
        raise InfeasibleBudget("write rows, or a budget in what prices are in, not both")
    else:
        budget = options.budget
    return _Money(groups, options, budget).rows() if budget else [0] * len(groups)


class _Money:
    """Prices and the budget in whole units that all of them are multiples of."""

    def __init__(self, groups: Sequence[Group], options: BudgetSplit, budget: float) -> None:
        named = options.shares_at(budget)
        check_names(groups, named, "share")
        self.shares = [named.get(group.name, 0.0) for group in groups]
        prices = [_exact(options.prices.get(group.name, 1.0)) for group in groups]
        total = _exact(budget)
        self.unit = math.lcm(total.denominator, *{price.denominator for price in prices})
        self.prices = [int(price * self.unit) for price in prices]
        self.budget = int(total * self.unit)
        self.caps = options.caps(groups)
        self.floors = self._with_first(groups, options)

    def _with_first(self, groups: Sequence[Group], options: BudgetSplit) -> list[int]:
        """Rows that each kind gets at least; the first kind as many as its share pays for."""
        floors = options.floors(groups)
        for i, group in enumerate(groups):
            if group.name == options.first:
                least = int(_exact(options.first_share) * self.budget) // self.prices[i]
                cap = self.caps[i]
                floors[i] = max(floors[i], least if cap is None else min(least, cap))
        return floors

    def rows(self) -> list[int]:
        """Whole rows: what each kind's part pays for, and what the rest of all of them does.

        Raises
        ------
        InfeasibleBudget : caps or floors do not admit the budget; with the one that they do.
        """
        caps = [self._most(i) for i in range(len(self.prices))]
        floors = [n * price for n, price in zip(self.floors, self.prices, strict=True)]
        self._check(caps, floors)
        parts = divide(self.budget, self.shares, caps, floors)
        found = [part // price for part, price in zip(parts, self.prices, strict=True)]
        left = self.budget - sum(n * price for n, price in zip(found, self.prices, strict=True))
        rests = [part % price for part, price in zip(parts, self.prices, strict=True)]
        open_ = [i for i, share in enumerate(self.shares) if share]
        # The rest goes to the kinds that are nearest to a further row, then to the cheapest ones.
        for i in sorted(open_, key=lambda i: (-(rests[i] << 64) // self.prices[i], i)):
            if rests[i] and self.prices[i] <= left:
                found[i] += 1
                left -= self.prices[i]
        for i in sorted(open_, key=lambda i: (self.prices[i], i)):
            more, cap = left // self.prices[i], self.caps[i]
            more = more if cap is None else min(more, cap - found[i])
            found[i] += more
            left -= more * self.prices[i]
        return found

    def _most(self, i: int) -> int | None:
        cap = self.caps[i]
        return None if cap is None else cap * self.prices[i]

    def _check(self, caps: Sequence[int | None], floors: Sequence[int]) -> None:
        parts = zip(self.shares, caps, floors, strict=True)
        most = [cap if share else floor for share, cap, floor in parts]
        largest = sum(n for n in most if n is not None)
        if None not in most and largest < self.budget:
            raise InfeasibleBudget(
                f"the budget of {self._said(self.budget)} is more than caps and shares allow; the "
                f"largest feasible is {self._said(largest)}"
            )
        if sum(floors) > self.budget:
            raise InfeasibleBudget(
                f"the budget of {self._said(self.budget)} is less than the floors cost; the least "
                f"feasible is {self._said(sum(floors))}"
            )

    def _said(self, units: int) -> str:
        return f"{float(Fraction(units, self.unit)):,.12g}"


def _exact(number: float) -> Fraction:
    """A number as it was written: 0.1 is a tenth."""
    return Fraction(repr(float(number)))


METHOD = Method(
    "budget_split",
    BudgetSplit,
    budget_split,
    example="{method: budget_split, splits: [{budget: 1000, shares: {sft: 1}}, {budget: 100000, "
    "shares: {sft: 0.2, pairs: 0.8}}], prices: {sft: 4, pairs: 1.5}, budget: 10000, first: sft}",
)
