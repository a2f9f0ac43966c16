"""What is known of a table's columns, as Python objects and as JSON."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from lakebalance.profiling.kinds import Kind


@dataclass
class ColumnFacts:
    """One column: how many values, which, and how they lie.

    ``distinct`` counts values without null, NaN being one; ``exact`` says whether it is exact.
    ``top`` are the commonest values with rows; of columns with many values, those that stood out
    in a sample, counted in all rows. ``rarest`` is the rows of the value with fewest, where all are
    counted. Lists are empty, numbers None, where a type has no such thing.
    """

    name: str
    type: str
    kind: Kind
    rows: int
    nulls: int
    nans: int
    distinct: int
    exact: bool = False
    low: Any = None
    high: Any = None
    shortest: int | None = None
    longest: int | None = None
    mean: float | None = None
    deviation: float | None = None
    quantiles: dict[str, Any] = field(default_factory=dict)
    histogram: list[dict[str, Any]] = field(default_factory=list)
    top: list[dict[str, Any]] = field(default_factory=list)
    patterns: list[dict[str, Any]] = field(default_factory=list)
    rarest: int | None = None

    @property
    def filled(self) -> int:
        """Rows with a value that is neither null nor NaN."""
        return self.rows - self.nulls - self.nans

    @property
    def constant(self) -> bool:
        """Whether all rows hold the same: one value, or null."""
        one_value = self.exact and self.distinct == 1 and self.nulls == 0
        return self.rows > 0 and (one_value or self.nulls == self.rows)

    def to_dict(self) -> dict[str, Any]:
        """The column as ``profile --json`` prints it."""
        return {
            "name": self.name,
            "type": self.type,
            "kind": self.kind,
            "nulls": self.nulls,
            "nans": self.nans,
            "distinct": self.distinct,
            "distinct_exact": self.exact,
            "min": self.low,
            "max": self.high,
            "min_length": self.shortest,
            "max_length": self.longest,
            "mean": self.mean,
            "standard_deviation": self.deviation,
            "quantiles": self.quantiles,
            "histogram": self.histogram,
            "top": self.top,
            "rarest_rows": self.rarest,
            "patterns": self.patterns,
            "constant": self.constant,
        }
