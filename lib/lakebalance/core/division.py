"""Divides classes of rows into cells, level by level: Spark counts, the driver sees buckets."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakebalance.core.cells import Bound, Bucket, best_cut, unsettled
from lakebalance.core.forest import Forest, listed

ROOT, AT = "root", "at"
MOST_AXES = 16
# A value's place between the ends of its cell, in whole numbers: sums of them have no order.
GRID_BITS = 20
GRID = 2**GRID_BITS - 1
# Buckets along an axis, and lines that one job may bring to the driver.
LEAST_BITS, MOST_BITS, LINES_BITS = 4, 10, 17


@dataclass(frozen=True)
class Division:
    """Trees of cuts, one for each class, and the rows in the leaves of each, in their order."""

    forest: Forest
    sizes: Sequence[Sequence[int]]


@dataclass(frozen=True)
class _Axis:
    """An axis of a class: its least value, the distance to the greatest, the weight of squares."""

    low: float
    width: float
    weight: float = 1.0

    def unit(self, value: float) -> float:
        """The value where 0 and 1 are the least and the greatest of the class."""
        return (value - self.low) / self.width


@dataclass(frozen=True)
class _Span:
    """An axis of a cell, from one value to another."""

    root: int
    node: int
    axis: int
    low: float
    high: float


@dataclass(frozen=True)
class _Cell:
    """A leaf of a tree that is to give some parts, and its axes on which values may differ."""

    root: int
    node: int
    parts: int
    spans: Sequence[_Span]


Axes = Mapping[tuple[int, int], _Axis]
Buckets = dict[_Span, list[Bucket]]


def divide(
    rows: DataFrame, parts: Sequence[int], bounds: Sequence[Bound], units: Sequence[int]
) -> Division:
    """Divide each class into parts.

    Where there are more than 16 axes, each class is cut along the 16 on which it varies most.

    Parameters
    ----------
    rows : ``root``, the number of the class, and ``at``, an array of doubles without nulls.
    parts : by class, how many parts are wanted, 2 or more.
    bounds : by class, how many rows a part may hold.
    units : by axis, the unit that it is measured in: the root of the mean variance of its axes.
    """
    forest = Forest.of_roots(len(parts))
    spans, size_of = _spans(rows, len(units))
    axes: Axes = {(s.root, s.axis): _Axis(s.low, s.high - s.low) for s in spans}
    cells = [_Cell(i, i, n, [s for s in spans if s.root == i]) for i, n in enumerate(parts)]
    cells = [cell for cell in cells if cell.spans]
    while cells:
        found = _histograms(rows, forest, [s for cell in cells for s in cell.spans], axes)
        if len(forest.axis) == len(parts):
            axes = _weighed(found, axes, units)
            cells = [_along_the_widest(cell, found, axes) for cell in cells]
        _narrow(rows, forest, cells, bounds, axes, found)
        children = [
            child
            for cell in cells
            for child in _children(forest, cell, bounds[cell.root], axes, found, size_of)
        ]
        cells = [child for child in children if child.parts > 1 and child.spans]
    leaves = [forest.leaves(root) for root in range(len(parts))]
    return Division(forest, [[size_of[leaf] for leaf in own] for own in leaves])


def _spans(rows: DataFrame, axes: int) -> tuple[list[_Span], dict[int, int]]:
    """The axes on which a class's rows differ, and rows by class; one job."""
    table = (
        rows.select(ROOT, F.posexplode(AT).alias("axis", "x"))
        .groupBy(ROOT, "axis")
        .agg(F.min("x").alias("low"), F.max("x").alias("high"), F.count("x").alias("n"))
        .toArrow()
        .sort_by([(ROOT, "ascending"), ("axis", "ascending")])
        .to_pylist()
    )
    spans = [
        _Span(row[ROOT], row[ROOT], row["axis"], row["low"] + 0.0, row["high"] + 0.0)
        for row in table
        if row["low"] < row["high"]
    ]
    return spans, {row[ROOT]: row["n"] for row in table}


def _histograms(rows: DataFrame, forest: Forest, spans: Sequence[_Span], axes: Axes) -> Buckets:
    """The rows of each span by buckets of one width, empty ones left out; one job.

    Parameters
    ----------
    spans : those of one cell stand together.
    """
    first, last = [-1] * len(forest.axis), [-1] * len(forest.axis)
    for place, span in enumerate(spans):
        last[span.node] = place
        if first[span.node] < 0:
            first[span.node] = place
    bits = min(max(LINES_BITS - len(spans).bit_length(), LEAST_BITS), MOST_BITS)
    begin, end = F.get(listed(first, "int"), "cell"), F.get(listed(last, "int"), "cell")
    i, x, low, high = F.col("i"), F.col("x"), F.col("low"), F.col("high")
    table = (
        rows.select(AT, forest.leaf(F.col(ROOT), F.col(AT)).alias("cell"))
        .select(AT, F.explode(F.when(begin >= 0, F.sequence(begin, end))).alias("i"))
        .select(
            i,
            F.get(AT, F.get(listed([s.axis for s in spans], "int"), i)).alias("x"),
            F.get(listed([s.low for s in spans], "double"), i).alias("low"),
            F.get(listed([s.high for s in spans], "double"), i).alias("high"),
        )
        .where(x.between(low, high))
        .select(i, x, F.floor((x - low) / (high - low) * GRID).alias("place"))
        .groupBy(i, F.shiftright("place", GRID_BITS - bits).alias("bucket"))
        .agg(
            F.min(x).alias("low"),
            F.max(x).alias("high"),
            F.count(x).alias("n"),
            F.sum("place").alias("places"),
        )
        .toArrow()
        .sort_by([("i", "ascending"), ("bucket", "ascending")])
        .to_pylist()
    )
    found: Buckets = {span: [] for span in spans}
    for row in table:
        span, n = spans[row["i"]], row["n"]
        axis = axes[span.root, span.axis]
        start, stop = axis.unit(span.low), axis.unit(span.high)
        total = n * start + (stop - start) * (row["places"] / GRID)
        found[span].append(Bucket(row["low"] + 0.0, row["high"] + 0.0, n, total))
    return found


def _weighed(found: Buckets, axes: Axes, units: Sequence[int]) -> dict[tuple[int, int], _Axis]:
    """The axes with weights, such that squares are measured in the mean variance of their unit."""
    widest = {root: max(a.width for (r, _), a in axes.items() if r == root) for root, _ in axes}
    squares = {
        (span.root, span.axis): _square(axes[span.root, span.axis].width / widest[span.root])
        for span in found
    }
    of_unit: dict[tuple[int, int], list[float]] = {}
    for span, buckets in found.items():
        variance = squares[span.root, span.axis] * _variance(buckets)
        of_unit.setdefault((span.root, units[span.axis]), []).append(variance)
    mean = {unit: math.fsum(values) / len(values) for unit, values in of_unit.items()}
    return {
        (root, axis): replace(a, weight=squares[root, axis] / (mean[root, units[axis]] or 1.0))
        for (root, axis), a in axes.items()
    }


def _variance(buckets: Sequence[Bucket]) -> float:
    """The variance of the buckets' means, in units of the axis."""
    rows = sum(bucket.rows for bucket in buckets)
    mean = math.fsum(bucket.total for bucket in buckets) / rows
    return math.fsum(b.rows * _square(b.total / b.rows - mean) for b in buckets) / rows


def _square(number: float) -> float:
    # A power may differ in its last bit from machine to machine; a product does not.
    return number * number


def _along_the_widest(cell: _Cell, found: Buckets, axes: Axes) -> _Cell:
    """The cell of a whole class, with only those of its axes along which it may be cut."""
    if len(cell.spans) <= MOST_AXES:
        return cell
    spread = {s: axes[s.root, s.axis].weight * _variance(found[s]) for s in cell.spans}
    widest = sorted(cell.spans, key=lambda s: (-spread[s], s.axis))[:MOST_AXES]
    return replace(cell, spans=sorted(widest, key=lambda s: s.axis))


def _narrow(
    rows: DataFrame,
    forest: Forest,
    cells: Sequence[_Cell],
    bounds: Sequence[Bound],
    axes: Axes,
    found: Buckets,
) -> None:
    """Divide buckets further until each axis has a wanted cut, or none: a job for each round."""
    pending = [(cell, span) for cell in cells for span in cell.spans]
    while pending:
        inside: dict[_Span, tuple[_Span, int]] = {}
        for cell, span in pending:
            for place in unsettled(found[span], cell.parts, bounds[cell.root]):
                bucket = found[span][place]
                inside[replace(span, low=bucket.low, high=bucket.high)] = span, place
        finer = _histograms(rows, forest, list(inside), axes) if inside else {}
        # The last ones first, so that the places of those before them stay.
        for part, (span, place) in reversed(inside.items()):
            found[span][place : place + 1] = finer[part]
        again = {span for span, _ in inside.values()}
        pending = [(cell, span) for cell, span in pending if span in again]


def _children(
    forest: Forest,
    cell: _Cell,
    bound: Bound,
    axes: Axes,
    found: Buckets,
    size_of: dict[int, int],
) -> list[_Cell]:
    """The two sides of a cell's best cut; none where its rows cannot be told apart."""
    buckets = {span.axis: found[span] for span in cell.spans}
    weights = {axis: axes[cell.root, axis].weight for axis in buckets}
    cut = best_cut(buckets, weights, cell.parts, bound)
    if cut is None:
        return []
    below, above = forest.split(cell.node, cut.axis, cut.at)
    size_of[below], size_of[above] = cut.rows, size_of[cell.node] - cut.rows
    sides: tuple[list[_Span], list[_Span]] = ([], [])
    for axis, along in buckets.items():
        first, last = (cut.edge, cut.edge + 1) if axis == cut.axis else (-1, 0)
        for side, node, ends in (
            (sides[0], below, (along[0].low, along[first].high)),
            (sides[1], above, (along[last].low, along[-1].high)),
        ):
            if ends[0] < ends[1]:
                side.append(_Span(cell.root, node, axis, *ends))
    return [
        _Cell(cell.root, below, cut.parts, sides[0]),
        _Cell(cell.root, above, cell.parts - cut.parts, sides[1]),
    ]
