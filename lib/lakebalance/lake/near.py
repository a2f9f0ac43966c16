"""Pairs of which a parent has most of a child's rows, and how sure that is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from lakebalance.lake.content import Compared
from lakebalance.lake.schema_graph import Edge

# Of the normal distribution, for 95 %.
Z = 1.96


@dataclass(frozen=True)
class Near:
    """A child most of whose compared rows are in a parent, as often as in the child.

    ``share`` is of the compared rows; that of all rows is between the ends of ``interval``, with 95
    % confidence.
    """

    edge: Edge
    compared: Compared

    @property
    def share(self) -> float:
        """The share of the compared rows that the parent has."""
        return 1 - self.compared.missing / self.compared.rows

    @property
    def interval(self) -> tuple[float, float]:
        """Between which shares that of all rows likely is (Wilson, 1927)."""
        if self.compared.share >= 1:
            return self.share, self.share
        # Copies of a row are in a sample together, so different rows are what was drawn.
        n, z2 = self.compared.distinct, Z * Z
        middle = (self.share + z2 / (2 * n)) / (1 + z2 / n)
        spread = math.sqrt(self.share * (1 - self.share) / n + z2 / (4 * n * n))
        reach = Z * spread / (1 + z2 / n)
        return max(middle - reach, 0.0), min(middle + reach, 1.0)

    def to_dict(self) -> dict[str, Any]:
        """The pair as plain data."""
        low, high = self.interval
        return {
            "child": self.edge.child,
            "parent": self.edge.parent,
            "columns": dict(self.edge.columns),
            "rows_compared": self.compared.rows,
            "missing_compared": self.compared.missing,
            "share": self.share,
            "low": low,
            "high": high,
        }
