"""Divides a whole number by shares, within caps and floors, exactly and without float order.

Shares become integers once; from there on only integers decide, so that the same counts give the
same targets on any machine.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from lakebalance.core.errors import RecipeError

SHARE_BITS = 60


class InfeasibleBudget(RecipeError):
    """The budget does not lie between the sum of the floors and the sum of the caps.

    ``amounts`` are written into ``said`` where it has ``{}``, and the unit where it has ``{unit}``.
    """

    def __init__(self, said: str, amounts: Sequence[float] = (), unit: str = "rows") -> None:
        """Say it."""
        self.said, self.amounts = said, amounts
        written = [f"{amount:,}" for amount in amounts]
        super().__init__(said.format(*written, unit=unit) if amounts else said)


def integer_shares(shares: Sequence[float]) -> list[int]:
    """Scale shares to integers of at most 60 bits, the largest taking all of them.

    Parameters
    ----------
    shares : finite numbers >= 0.

    Raises
    ------
    RecipeError : a share is negative, NaN or infinite.

    Examples
    --------
    >>> a, b = integer_shares([0.5, 0.25]); a == 2 * b
    True
    """
    for share in shares:
        if not math.isfinite(share) or share < 0:
            raise RecipeError(f"a share must be a finite number of at least 0; there was {share}")
    largest = max(shares, default=0.0)
    if largest == 0:
        return [0] * len(shares)
    return [round(share / largest * 2**SHARE_BITS) for share in shares]


def largest_remainder(total: int, weights: Sequence[int]) -> list[int]:
    """Divide ``total`` by integer weights; what rounding leaves goes to the largest fractions.

    Ties go to the first. The result sums to ``total`` exactly unless every weight is 0.

    Examples
    --------
    >>> largest_remainder(1002, [1, 1, 1, 1])
    [251, 251, 250, 250]
    """
    weight_sum = sum(weights)
    if weight_sum == 0:
        return [0] * len(weights)
    parts = [divmod(total * weight, weight_sum) for weight in weights]
    left = total - sum(quotient for quotient, _ in parts)
    order = sorted(range(len(parts)), key=lambda i: (-parts[i][1], i))
    extra = set(order[:left])
    return [quotient + (i in extra) for i, (quotient, _) in enumerate(parts)]


def divide(
    total: int,
    shares: Sequence[float],
    caps: Sequence[int | None],
    floors: Sequence[int] | None = None,
) -> list[int]:
    """Divide a budget by shares so that no part is over its cap or under its floor.

    Water filling: parts over their cap are fixed there and the rest is shared again; floors
    likewise from below. Does not depend on the order of the groups but for ties in rounding.

    Parameters
    ----------
    total : the budget, in rows, >= 0.
    shares : relative shares, >= 0; need not sum to one.
    caps : the most a part may get, in rows; None where there is no cap.
    floors : the least a part may get, in rows; default 0.

    Raises
    ------
    InfeasibleBudget : the caps give less than ``total`` or the floors ask for more.

    Examples
    --------
    >>> divide(10000, [3813, 3759, 1579, 849], [None, None, None, 128])[3]
    128
    """
    low = [0] * len(shares) if floors is None else list(floors)
    weights = integer_shares(shares)
    largest = sum(
        floor if weight == 0 else total if cap is None else cap
        for cap, weight, floor in zip(caps, weights, low, strict=True)
    )
    if total > largest:
        raise InfeasibleBudget(
            "the budget of {} {unit} is more than caps and shares allow; the largest feasible is "
            "{}",
            [total, largest],
        )
    if total < sum(low):
        raise InfeasibleBudget(
            "the budget of {} {unit} is less than the floors ask for; the least feasible is {}",
            [total, sum(low)],
        )
    return _fill(total, weights, caps, low)


def _fill(
    total: int, weights: Sequence[int], caps: Sequence[int | None], floors: Sequence[int]
) -> list[int]:
    fixed: dict[int, int] = {i: floors[i] for i, weight in enumerate(weights) if weight == 0}
    while True:
        active = [i for i in range(len(weights)) if i not in fixed]
        rest = total - sum(fixed.values())
        parts = dict(
            zip(active, largest_remainder(rest, [weights[i] for i in active]), strict=True)
        )
        over = {i: cap for i in active if (cap := caps[i]) is not None and parts[i] > cap}
        under = {i: floors[i] for i in active if parts[i] < floors[i]}
        if not over and not under:
            return [fixed[i] if i in fixed else parts[i] for i in range(len(weights))]
        excess = sum(parts[i] - cap for i, cap in over.items())
        shortfall = sum(floor - parts[i] for i, floor in under.items())
        fixed.update(over if excess >= shortfall else under)
