"""Learning curves: loss = a + b · rows^-c, written by hand or fitted to what runs measured."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from lakebalance.core.errors import RecipeError

STEEPEST, FLATTEST = 4.0, 1e-3


class Curve(BaseModel):
    """The loss of a group after so many of its rows: a + b · rows^-c, falling."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    a: float = Field(0.0, ge=0, allow_inf_nan=False, description="The loss that stays.")
    b: float = Field(gt=0, allow_inf_nan=False, description="The loss that rows take away.")
    c: float = Field(gt=0, allow_inf_nan=False, description="How fast: often 0.1 to 1.")

    def loss(self, rows: float) -> float:
        """The loss after so many rows.

        Examples
        --------
        >>> Curve(a=0.1, b=1, c=0.5).loss(100)
        0.2
        """
        return float(self.a + self.b * float(rows) ** -self.c)


class Measured(BaseModel):
    """A loss that a run measured for a group after training on so many of its rows."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    group: str = Field(description="The group; of several columns: a/b.")
    rows: int = Field(gt=0, description="Rows of the group that the model was trained on.")
    loss: float = Field(ge=0, allow_inf_nan=False, description="Its loss on that group.")


def fit(measured: Sequence[Measured]) -> dict[str, Curve]:
    """The curve of each group that comes nearest to its measurements, by least squares.

    With measurements at two numbers of rows, the curve goes through both with a = 0; with three or
    more, the loss that stays is fitted too.

    Parameters
    ----------
    measured : losses, at two or more numbers of rows of each group.

    Raises
    ------
    RecipeError : a group was measured at one number of rows only, or its loss rises.

    Examples
    --------
    >>> points = [Measured(group="x", rows=n, loss=0.1 + n**-0.5) for n in (10, 100, 1000, 9000)]
    >>> curve = fit(points)["x"]
    >>> round(curve.a, 4), round(curve.b, 4), round(curve.c, 4)
    (0.1, 1.0, 0.5)
    """
    points: dict[str, list[Measured]] = {}
    for point in measured:
        points.setdefault(point.group, []).append(point)
    return {group: _fitted(group, own) for group, own in points.items()}


def _fitted(group: str, points: Sequence[Measured]) -> Curve:
    rows = np.array([point.rows for point in points], dtype=float)
    loss = np.array([point.loss for point in points], dtype=float)
    sizes = len(set(rows.tolist()))
    if sizes < 2:
        raise RecipeError(
            f'measured: group "{group}" was measured at one number of rows only, {rows[0]:,.0f}; '
            "a curve needs two"
        )
    slope = np.polyfit(np.log(rows), loss, 1)[0]
    if slope >= 0:
        raise RecipeError(
            f'measured: the loss of group "{group}" does not fall as its rows grow; give it a '
            "curve by hand, or leave out what was measured wrongly"
        )
    if sizes == 2:
        positive = np.maximum(loss, 1e-12)
        c, log_b = np.polyfit(np.log(rows), np.log(positive), 1)
        return Curve(b=float(np.exp(log_b)), c=float(max(-c, FLATTEST)))
    exponents = np.linspace(np.log(FLATTEST), np.log(STEEPEST), 200)
    for _ in range(3):
        errors = [_linear(rows, loss, float(np.exp(e)))[2] for e in exponents]
        best = int(np.argmin(errors))
        around = exponents[max(best - 1, 0)], exponents[min(best + 1, len(exponents) - 1)]
        exponents = np.linspace(*around, 200)
    a, b, _ = _linear(rows, loss, c := float(np.exp(exponents[100])))
    return Curve(a=a, b=b, c=c)


def _linear(
    rows: NDArray[np.float64], loss: NDArray[np.float64], c: float
) -> tuple[float, float, float]:
    """For one exponent: a and b of least squared error with a >= 0 and b > 0, and that error."""
    x = rows**-c
    spread = float(((x - x.mean()) ** 2).sum())
    b = float(((x - x.mean()) * (loss - loss.mean())).sum()) / spread if spread else 0.0
    a = float(loss.mean() - b * x.mean())
    if a < 0:
        a, b = 0.0, float((x * loss).sum() / (x * x).sum())
    b = max(b, 1e-12)
    return a, b, float(((a + b * x - loss) ** 2).sum())
