"""The curve of group sizes from the largest to the smallest: the long tail at one glance."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from lakebalance.report.numbers import count, short

WIDTH, HEIGHT = 760, 220
LEFT, RIGHT, TOP, BOTTOM = 48, 62, 10, 34
MOST_POINTS = 160


@dataclass(frozen=True)
class Line:
    """One curve: the points of an SVG path, where its name stands, and its empty groups."""

    path: str
    end: tuple[float, float]
    empty: int


@dataclass(frozen=True)
class SizeCurve:
    """Sizes over rank, before and after, on a logarithmic height."""

    width: int
    height: int
    before: Line
    after: Line
    y_ticks: list[tuple[float, str]]
    x_ticks: list[tuple[float, str]]
    left: int = LEFT
    right: int = WIDTH - RIGHT
    bottom: int = HEIGHT - BOTTOM


def size_curve(before: Sequence[int], after: Sequence[int]) -> SizeCurve | None:
    """Draw both sizes, each sorted by itself; None where there are fewer than two groups.

    Parameters
    ----------
    before, after : rows per group, as many of each.
    """
    largest = max([*before, *after], default=0)
    if len(before) < 2 or largest < 1:
        return None
    top = max(1.0, math.log10(largest))

    def y(rows: float) -> float:
        return round(HEIGHT - BOTTOM - math.log10(rows) / top * (HEIGHT - TOP - BOTTOM), 1)

    def x(rank: int) -> float:
        return round(LEFT + rank / (len(before) - 1) * (WIDTH - LEFT - RIGHT), 1)

    def line(sizes: Sequence[int]) -> Line:
        filled = sorted((n for n in sizes if n > 0), reverse=True)
        points = [(x(i), y(filled[i])) for i in _ranks(len(filled))]
        path = "M" + " ".join(f"{a:g},{b:g}" for a, b in points) if points else ""
        end = points[-1] if points else (float(LEFT), float(HEIGHT - BOTTOM))
        return Line(path, end, len(sizes) - len(filled))

    lines = _apart(line(before), line(after))
    step = 1 + int(top) // 5
    return SizeCurve(
        WIDTH,
        HEIGHT,
        *lines,
        [(y(10**p), short(10**p)) for p in range(0, int(top) + 1, step)],
        [(x(rank), count(rank + 1)) for rank in _rank_ticks(len(before))],
    )


def _apart(before: Line, after: Line, least: float = 14) -> tuple[Line, Line]:
    """Move the two names so far apart that they can be read."""
    gap = before.end[1] - after.end[1]
    if abs(gap) >= least:
        return before, after
    push = (least - abs(gap)) / 2 * (1 if gap >= 0 else -1)
    return (
        Line(before.path, (before.end[0], before.end[1] + push), before.empty),
        Line(after.path, (after.end[0], after.end[1] - push), after.empty),
    )


def _ranks(n: int) -> list[int]:
    """Ranks to draw: all of a few, else evenly spread and closer at the steep head."""
    if n <= MOST_POINTS:
        return list(range(n))
    even = {round(i * (n - 1) / (MOST_POINTS // 2)) for i in range(MOST_POINTS // 2 + 1)}
    head = {
        round(math.expm1(math.log(n) * i / (MOST_POINTS // 2))) for i in range(MOST_POINTS // 2)
    }
    return sorted(even | head)


def _rank_ticks(n: int) -> list[int]:
    return sorted({0, *(round((n - 1) * i / 4) for i in range(1, 5))})
