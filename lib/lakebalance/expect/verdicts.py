"""What gates find, as plans, ledgers and reports hold it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lakebalance.core.diagnostics import Diagnostic


@dataclass(frozen=True)
class Verdict:
    """What one expectation, or one gate of drift or fairness, found.

    An expectation of rows has the ``unexpected`` ones of ``rows``. A gate that measures has the
    ``number`` farthest beyond its ``limit``, or nearest to it, and what it is of (``worst``); none
    of the three where there was nothing to compare.
    """

    source: str | None
    expectation: str
    on_fail: str
    unexpected: int | None
    rows: int
    success: bool
    kind: Literal["expectation", "drift", "fairness"] = "expectation"
    number: float | None = None
    limit: float | None = None
    worst: str | None = None

    @property
    def measured(self) -> str:
        """The number with its limit and what it is of, for messages; empty where there is none."""
        if self.number is None or self.limit is None:
            return ""
        return f"{self.worst}: {self.number:.4g}, limit {self.limit:.4g}"


@dataclass(frozen=True)
class Measured:
    """The verdict of a gate that measures, and the numbers of its groups."""

    verdict: Verdict
    diagnostic: Diagnostic
