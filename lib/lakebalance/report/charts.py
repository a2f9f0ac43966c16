"""Bars of rows before and after: which parts are drawn, on which scale, how long each bar is."""

from __future__ import annotations

import heapq
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from lakebalance.report.numbers import short
from lakebalance.report.parts import Part

MOST_BARS = 60
LOG_FROM = 100


@dataclass(frozen=True)
class Scale:
    """Maps a number of rows to a length in percent; linear, or logarithmic from 1 row."""

    largest: int
    log: bool

    def __call__(self, n: float) -> float:
        """The length of ``n`` rows, in percent of the chart's width."""
        if n <= 0 or self.largest <= 0:
            return 0.0
        length = math.log1p(n) / math.log1p(self.largest) if self.log else n / self.largest
        return round(100 * length, 2)

    def ticks(self) -> list[tuple[float, str]]:
        """Positions in percent and their texts, few enough not to touch."""
        if self.log:
            powers = range(1, len(str(self.largest)))
            step = 1 + len(powers) // 5
            return [(self(10**p), short(10**p)) for p in powers[::step] if self(10**p) <= 97]
        if self.largest <= 0:
            return []
        unit = 10 ** max(0, len(str(self.largest)) - 1)
        step = next(s for s in (unit, 2 * unit, 5 * unit) if self.largest / s <= 4.5 or s != unit)
        if self.largest // step < 2 and unit >= 10:
            step = unit // 2
        return [(self(n), short(n)) for n in range(step, self.largest + 1, step) if self(n) <= 97]


@dataclass(frozen=True)
class Spread:
    """The least, the middle and the most of some numbers."""

    least: float
    median: float
    most: float


@dataclass(frozen=True)
class Rest:
    """The parts that have no bar of their own."""

    number: int
    before: int
    after: int
    spread_before: Spread
    spread_after: Spread
    spread_epochs: Spread
    heavy: int


@dataclass(frozen=True)
class BarChart:
    """What is drawn: the largest parts one by one, the others as one row."""

    bars: list[Part]
    rest: Rest | None
    scale: Scale
    before: int
    after: int


def bar_chart(parts: Sequence[Part], most: int = MOST_BARS) -> BarChart:
    """Choose what to draw: the parts with most rows before, then all others together.

    Parameters
    ----------
    parts : in any order; ties keep it.
    most : the most bars.

    Returns
    -------
    The chart. It is logarithmic where the largest number is over 100 times the smallest.

    Examples
    --------
    >>> chart = bar_chart([Part((), n, n, 5) for n in (10, 5000, 300)], most=1)
    >>> [p.before for p in chart.bars], chart.rest.number, chart.scale.log
    ([5000], 2, True)
    """
    # One part more than there is room for is drawn too: "1 other group" would take its place.
    room = most if len(parts) > most + 1 else len(parts)
    chosen = heapq.nlargest(room, range(len(parts)), key=lambda i: (parts[i].before, -i))
    taken = set(chosen)
    bars = [parts[i] for i in chosen]
    others = [part for i, part in enumerate(parts) if i not in taken]
    sizes = [n for part in parts for n in (part.before, part.after) if n > 0]
    largest, smallest = max(sizes, default=0), min(sizes, default=1)
    return BarChart(
        bars,
        _rest(others) if others else None,
        Scale(largest, largest > LOG_FROM * smallest),
        sum(part.before for part in parts),
        sum(part.after for part in parts),
    )


def spread(numbers: Sequence[float]) -> Spread:
    """Least, median and most.

    Examples
    --------
    >>> spread([3, 1, 2])
    Spread(least=1, median=2, most=3)
    """
    return Spread(min(numbers), statistics.median(numbers), max(numbers))


def _rest(others: Sequence[Part]) -> Rest:
    return Rest(
        len(others),
        sum(part.before for part in others),
        sum(part.after for part in others),
        spread([part.before for part in others]),
        spread([part.after for part in others]),
        spread([part.epochs for part in others]),
        sum(part.heavy for part in others),
    )
