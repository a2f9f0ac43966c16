"""The weight of a row: a formula of a linear score, in tasks and as an expression of Spark's."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from pyspark.sql import Column
from pyspark.sql import functions as F

from lakebalance.sample.exact_sums import Floats

# Coefficients are rounded to so many decimals, so that the last bits of the driver's linear
# algebra, which differ between machines, do not get into the weights.
DECIMALS = 10


def on_grid(coefficients: Floats) -> tuple[float, ...]:
    """Coefficients rounded to multiples of 1e-10.

    Examples
    --------
    >>> on_grid(np.array([0.1 + 0.2, -1e-20]))
    (0.3, 0.0)
    """
    return tuple(round(c, DECIMALS) + 0.0 for c in coefficients.tolist())


def score(matrix: Floats, coefficients: tuple[float, ...]) -> Floats:
    """Intercept and columns times coefficients, added in one order, so that it is always the same.

    A matrix product would be faster, but its last bits depend on how many rows it is made for.
    """
    total = np.full(len(matrix), coefficients[0])
    for j, coefficient in enumerate(coefficients[1:]):
        if coefficient:
            total += matrix[:, j] * coefficient
    return total


@dataclass(frozen=True)
class ArmWeights:
    """factor · min(cap, plus + times · exp(sign · score)), the score kept within least and most.

    ``coefficients`` of the score begin with the intercept. With ``outside`` "zero", rows whose
    score is not within least and most have weight 0.
    """

    coefficients: tuple[float, ...]
    plus: float = 0.0
    times: float = 1.0
    sign: float = 1.0
    least: float | None = None
    most: float | None = None
    outside: str = "clip"
    cap: float | None = None
    factor: float = 1.0

    @classmethod
    def ones(cls, width: int) -> ArmWeights:
        """Every row has weight 1."""
        return cls((0.0,) * (width + 1), plus=1.0, times=0.0)

    def of(self, scores: Floats) -> Floats:
        """The weights of rows by their scores."""
        least, most = self._ends
        raw = self.plus + self.times * np.exp(self.sign * np.clip(scores, least, most))
        if self.cap is not None:
            raw = np.minimum(raw, self.cap)
        if self.outside == "zero":
            raw = np.where((scores < least) | (scores > most), 0.0, raw)
        return np.asarray(self.factor * raw)

    def expression(self, scores: Column) -> Column:
        """The same as a column; Spark's exp gives the same bits on every machine."""
        kept = scores
        if self.least is not None:
            kept = F.greatest(kept, F.lit(self.least))
        if self.most is not None:
            kept = F.least(kept, F.lit(self.most))
        raw = F.lit(self.plus) + F.lit(self.times) * F.exp(F.lit(self.sign) * kept)
        if self.cap is not None:
            raw = F.least(raw, F.lit(self.cap))
        if self.outside == "zero":
            raw = F.when(kept == scores, raw).otherwise(0.0)
        return F.lit(self.factor) * raw

    @property
    def _ends(self) -> tuple[float, float]:
        least = -math.inf if self.least is None else self.least
        return least, math.inf if self.most is None else self.most

    def to_state(self) -> dict[str, Any]:
        """The numbers as JSON holds them."""
        return {**asdict(self), "coefficients": list(self.coefficients)}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> ArmWeights:
        """The weights that ``to_state`` wrote."""
        return cls(**{**state, "coefficients": tuple(state["coefficients"])})
