"""What all allocation rules share: the groups they see, and the options for caps and floors."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache

from pydantic import Field

from lakebalance.allocate.rounding import InfeasibleBudget, divide
from lakebalance.core.errors import RecipeError, nearest
from lakebalance.core.registry import MethodOptions

Value = str | int | float | bool | None
SHARES_OFF = 1e-6  # how far from 1 the sum of shares may be


WORDS: dict[Value, str] = {None: "null", True: "true", False: "false"}


@dataclass(frozen=True, slots=True)
class Group:
    """One group as an allocator sees it.

    ``values`` maps each ``by`` column to the group's value (a source to ``{"source": name}``).
    ``cap`` is the most rows that what lies below this group can use, None where nothing limits it.
    """

    values: Mapping[str, Value]
    available: int
    cap: int | None = None

    @property
    def name(self) -> str:
        """The group as users write it: its values joined by ``/``, null and booleans as JSON."""
        return "/".join(WORDS[v] if v is None or v is True or v is False else str(v)
                        for v in self.values.values())  # fmt: skip


class RuleOptions(MethodOptions):
    """Options of every allocation rule."""

    max_epochs: float | None = Field(
        None,
        gt=0,
        allow_inf_nan=False,
        description="Most often that a group's rows may be seen on average.",
    )
    min_rows: int = Field(
        0, ge=0, description="Fewest rows a group gets, as far as its cap allows."
    )

    def caps(self, groups: Sequence[Group]) -> list[int | None]:
        """The most rows each group may get, in rows."""
        return [self._cap(group) for group in groups]

    def _cap(self, group: Group) -> int | None:
        if group.available == 0:
            return 0
        own = None if self.max_epochs is None else rows_of(self.max_epochs, group.available)
        limits = [cap for cap in (own, group.cap) if cap is not None]
        return min(limits) if limits else None

    def floors(self, groups: Sequence[Group]) -> list[int]:
        """The fewest rows each group must get; never over its cap."""
        return [at_most(self.min_rows, cap) for cap in self.caps(groups)]

    def share(
        self, groups: Sequence[Group], rows: int | None, shares: Sequence[float]
    ) -> list[int]:
        """Share a budget, or as many rows as there are, within the caps and floors.

        Parameters
        ----------
        groups : the groups.
        rows : the budget in rows; None for as many as there are.
        shares : relative shares, at least 0; need not sum to one.

        Raises
        ------
        InfeasibleBudget : caps or floors do not admit the budget.
        """
        caps = self.caps(groups)
        return divide(whole_budget(groups, caps, rows), shares, caps, self.floors(groups))


def rows_of(epochs: float, available: int) -> int:
    """The whole rows in so many epochs of what there is, exact in the epochs as they are written.

    Examples
    --------
    >>> rows_of(0.29, 100), int(0.29 * 100)
    (29, 28)
    """
    exact = _as_written(epochs)
    return exact.numerator * available // exact.denominator


@cache
def _as_written(number: float) -> Fraction:
    return Fraction(repr(number))


def at_most(rows: int, cap: int | None) -> int:
    """Rows within a cap, where there is one."""
    return rows if cap is None else min(rows, cap)


def powers(groups: Sequence[Group], exponent: float) -> list[float]:
    """Shares that grow with n^exponent; 0 for groups without rows."""
    largest = max((group.available for group in groups), default=0)
    return [(group.available / largest) ** exponent if group.available else 0.0 for group in groups]


def whole_budget(groups: Sequence[Group], caps: Sequence[int | None], rows: int | None) -> int:
    """The budget: what was asked for, else as many rows as there are, within the caps."""
    if rows is not None:
        return rows
    available = sum(group.available for group in groups)
    if any(cap is None for cap in caps):
        return available
    return min(available, sum(cap for cap in caps if cap is not None))


def check_names(groups: Sequence[Group], named: Mapping[str, float], what: str) -> None:
    """Raise where a name is no group's, is that of two, or is given rows that it has not.

    Parameters
    ----------
    groups : the groups.
    named : amounts by group name; an amount of 0 may be of a group without rows.
    what : what a name is given, for the message.

    Raises
    ------
    RecipeError : with the nearest names.
    """
    rows_of: dict[str, int] = {}
    for group in groups:
        if group.name in rows_of and group.name in named:
            raise RecipeError(f'{what} "{group.name}" names more than one group')
        rows_of[group.name] = group.available
    for name, amount in named.items():
        if name not in rows_of:
            raise RecipeError(
                f'{what} for "{name}", a group that isn\'t there; ' + nearest(name, rows_of)
            )
        if amount and not rows_of[name]:
            raise RecipeError(f'{what} for "{name}", a group with no rows')


def sum_of_shares(shares: Mapping[str, float]) -> float:
    """The sum of shares by group name, each of which must be a number of at least 0.

    Raises
    ------
    ValueError : a share is negative, NaN or infinite; with its name, for a model's validator.

    Examples
    --------
    >>> sum_of_shares({"a": 0.5, "b": 0.25})
    0.75
    """
    for name, share in shares.items():
        if not math.isfinite(share) or share < 0:
            raise ValueError(
                f'a share must be a finite number of at least 0; that of "{name}" is {share}'
            )
    return math.fsum(shares.values())


def own_total(method: str, targets: list[int], rows: int | None) -> list[int]:
    """The targets of a rule that says itself how many rows come out.

    Raises
    ------
    InfeasibleBudget : another number of rows was asked for, by ``rows`` or by a mixture.
    """
    if rows is not None and rows != sum(targets):
        raise InfeasibleBudget(
            f'"{method}" makes {sum(targets):,} rows of these groups and cannot meet a budget of '
            f'{rows:,}; leave out "rows" and "mix", or write method: equal'
        )
    return targets
