"""What gates find, as plans, ledgers and reports hold it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from lakebalance.core.diagnostics import Diagnostic

# So many lines of a gate's numbers are shown, and so many groups named in a sentence.
LINES, NAMED = 100, 5


def named(groups: Sequence[str]) -> str:
    """The first groups of some, for a sentence.

    Examples
    --------
    >>> named(["a", "b"]), named([*"abcdefg"])
    ('a; b', 'a; b; c; d; e and 2 more')
    """
    more = f" and {len(groups) - NAMED:,} more" if len(groups) > NAMED else ""
    return "; ".join(groups[:NAMED]) + more


@dataclass(frozen=True)
class Verdict:
    """What one expectation, or one gate of drift, of fairness or that learns, found.

    An expectation of rows has the ``unexpected`` ones of ``rows``; one of all rows has in ``worst``
    what was observed. A gate that measures has the ``number`` farthest beyond its ``limit``, or
    nearest to it, and what it is of (``worst``); none of the three where there was nothing to
    compare.
    """

    source: str | None
    expectation: str
    on_fail: str
    unexpected: int | None
    rows: int
    success: bool
    kind: Literal["expectation", "drift", "fairness", "learned"] = "expectation"
    number: float | None = None
    limit: float | None = None
    worst: str | None = None

    @property
    def measured(self) -> str:
        """The number with its limit and what it is of, or what was observed; for messages."""
        if self.number is None or self.limit is None:
            return self.worst or ""
        return f"{self.worst}: {self.number:.4g}, limit {self.limit:.4g}"


@dataclass(frozen=True)
class Measured:
    """The verdict of a gate that measures, and the numbers of its groups."""

    verdict: Verdict
    diagnostic: Diagnostic
