"""Gates that learn their limits from earlier runs: a median, and how far runs are from it.

Knows no Spark: what it sees is a number of this run, and the same of earlier ones.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from lakebalance.core.diagnostics import Cell, Diagnostic
from lakebalance.expect.verdicts import LINES, Measured, Verdict, named
from lakebalance.recipe.learned import Learned

TOO_FEW = "learned_too_few_runs"
# A median absolute deviation times this is the standard deviation of what is normal.
OF_NORMAL = 1.4826
HEADER = ["what", "now", "median before", "lowest allowed", "highest allowed", "runs", "beyond"]


@dataclass(frozen=True)
class Limits:
    """What a number may be, and the median of those that it was learned from."""

    middle: float
    low: float
    high: float


def limits(values: Sequence[float], deviations: float, allowed: float, *, above: bool) -> Limits:
    """The limits that follow from earlier values.

    Parameters
    ----------
    values : of earlier runs, at least one.
    deviations : how many median absolute deviations, times 1.4826, a value may be away.
    allowed : how far it may be in any case.
    above : whether only what is too much is beyond them.

    References
    ----------
    Hampel, "The influence curve and its role in robust estimation", 1974.

    Examples
    --------
    >>> limits([100, 102, 98, 101, 99], 5, 1, above=False)
    Limits(middle=100, low=92.587, high=107.413)
    """
    middle = median(values)
    away = max(deviations * OF_NORMAL * median(abs(v - middle) for v in values), allowed)
    return Limits(middle, -math.inf if above else middle - away, middle + away)


@dataclass(frozen=True)
class Line:
    """A number of this run, and the same of earlier runs."""

    what: str
    now: float
    before: Sequence[float]


@dataclass(frozen=True)
class _Judged:
    line: Line
    limits: Limits

    @property
    def beyond(self) -> bool:
        return not self.limits.low <= self.line.now <= self.limits.high

    @property
    def limit(self) -> float:
        """The limit on the side where the number is."""
        low, high = self.limits.low, self.limits.high
        return low if self.line.now < self.limits.middle and low > -math.inf else high

    @property
    def far(self) -> float:
        """How much of the way to the limit is used up."""
        way = abs(self.limit - self.limits.middle)
        away = abs(self.line.now - self.limits.middle)
        if not self.beyond and self.limits.low == -math.inf and self.line.now < self.limits.middle:
            return 0.0
        return away / way if way else math.inf if away else 0.0


def learned(gate: Learned, lines: Sequence[Line], place: str) -> Measured:
    """Judge numbers of a run by those of earlier runs.

    Parameters
    ----------
    gate : what may differ how far.
    lines : the numbers.
    place : path in the recipe, for messages.

    Returns
    -------
    The verdict, with the number farthest beyond its limit, and all lines. Lines with too few
    earlier runs are named and not judged; where none is left, it passes with a warning.
    """
    title = _title(gate)
    few = [line for line in lines if len(line.before) < gate.at_least]
    judged = [
        _Judged(line, limits(line.before, gate.deviations, _allowed(gate, line),
                             above=gate.metric not in ("rows", "groups")))
        for line in lines
        if line not in few
    ]  # fmt: skip
    judged.sort(key=lambda own: (-own.far, own.line.what))
    said = ""
    if few:
        runs = max(len(line.before) for line in few)
        said = (
            f"Fewer than {gate.at_least} earlier runs, {runs} at most, have "
            f"{named([line.what for line in few])}: not judged."
        )
    if not judged:
        why = f"{place}: {said or _nothing(gate)} It passes."
        verdict = Verdict(gate.source, title, gate.on_fail, None, 0, True, "learned")
        return Measured(verdict, Diagnostic(title, HEADER, [], why, (TOO_FEW, why)))
    worst = judged[0]
    verdict = Verdict(
        gate.source,
        title,
        gate.on_fail,
        None,
        0,
        not any(own.beyond for own in judged),
        "learned",
        worst.line.now,
        worst.limit,
        f"{worst.line.what} (median of {len(worst.line.before)} runs {worst.limits.middle:.4g})",
    )
    return Measured(verdict, Diagnostic(title, HEADER, [_cells(j) for j in judged[:LINES]], said))


def _allowed(gate: Learned, line: Line) -> float:
    return gate.tolerance * (median(line.before) if gate.metric == "rows" else 1)


def _nothing(gate: Learned) -> str:
    return "There is no row." if gate.metric == "groups" else "There is no expectation of rows."


def _title(gate: Learned) -> str:
    of = f" of {gate.source}" if gate.source else ""
    return f"{gate.metric}{of} as in earlier runs"


def _cells(own: _Judged) -> list[Cell]:
    low = None if own.limits.low == -math.inf else own.limits.low
    numbers = [own.line.now, own.limits.middle, low, own.limits.high, len(own.line.before)]
    return [own.line.what, *numbers, "yes" if own.beyond else "no"]
