"""Means and deviations of places, the same however the rows lie.

A sum of doubles depends on the order in which they come. Here each number is put on a grid of 2^30
steps between its least and greatest value, and what lies on the grid is added exactly.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakebalance.core.neighbours import Floats
from lakebalance.core.places import Places, matrix

STEPS = 2**30
SPAN = "axis int, least double, most double"
SUMS = "axis int, n bigint, total bigint, high bigint, low bigint"
Task = Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]


@dataclass(frozen=True)
class Units:
    """Where distances are measured from, and in which units, by number of a place."""

    middle: Floats
    unit: Floats

    def place(self, at: Floats) -> Floats:
        """Coordinates in these units; a gap is in the middle."""
        placed: Floats = np.where(np.isnan(at), 0.0, (at - self.middle) / self.unit)
        return placed


def units_of(df: DataFrame, places: Places, scale: str) -> tuple[Units, bool]:
    """The mean of each number, what it is divided by, and whether any number differs in rows.

    Parameters
    ----------
    df : rows, each number with a value in at least one of them.
    places : the columns that make a row's place.
    scale : ``standard`` for units of standard deviations, see ``Places.in_units``; ``none`` for
        those of the columns.

    Returns
    -------
    The units, exact but for a step of 2^-30 of a number's range; and False where all are constant.
    Two jobs, in which tasks put out a line a number for each batch.
    """
    at = df.select(places.of(df).alias("at"))
    least, half = _spans(at, places.width)
    found = _sums(at, least, half)
    middle, deviation = least.copy(), np.zeros(places.width)
    for i, (n, total, squares) in found.items():
        middle[i] = least[i] + 2 * half[i] * (total / n / STEPS)
        # In whole numbers up to the root, so that nothing is lost where the mean is large.
        spread = math.sqrt(n * squares - total * total) / n / STEPS
        deviation[i] = 2 * half[i] * spread
    unit = places.in_units(deviation) if scale == "standard" else np.ones(places.width)
    return Units(middle, unit), bool(half.any())


def _spans(at: DataFrame, width: int) -> tuple[Floats, Floats]:
    """Least value of each number, and half its range; 0 of one that no row has."""

    def span(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            if len(batch):
                held = matrix(batch["at"], width)
                ends = [np.fmin.reduce(held), np.fmax.reduce(held)]
                there = np.flatnonzero(~np.isnan(ends[0]))
                yield _lines(SPAN, there, [end[there] for end in ends])

    ends = at.mapInArrow(span, SPAN).groupBy("axis")
    found = ends.agg(F.min("least").alias("least"), F.max("most").alias("most")).toArrow()
    least, most = np.zeros(width), np.zeros(width)
    axes = found["axis"].to_numpy()
    least[axes], most[axes] = found["least"].to_numpy(), found["most"].to_numpy()
    # Halved, as the range of very large numbers may be larger than any.
    return least, most / 2 - least / 2


def _sums(at: DataFrame, least: Floats, half: Floats) -> dict[int, tuple[int, int, int]]:
    """Of each number: how many rows have it, and the sums of its steps and of their squares."""
    size = np.where(half > 0, half, 1.0)

    def add(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            if len(batch):
                held = matrix(batch["at"], len(least))
                there = ~np.isnan(held)
                share = (held / 2 - least / 2) / size
                steps = np.rint(np.where(there, share, 0.0) * STEPS).astype(np.int64)
                squares = steps * steps
                # In two halves, as the squares of a batch are too many for one whole number.
                sums = [steps, squares >> 30, squares & (STEPS - 1)]
                yield _lines(
                    SUMS,
                    np.arange(len(least)),
                    [there.sum(axis=0), *[part.sum(axis=0) for part in sums]],
                )

    names = ["n", "total", "high", "low"]
    added = at.mapInArrow(add, SUMS).groupBy("axis").agg(*[F.sum(n).alias(n) for n in names])
    return {
        line["axis"]: (line["n"], line["total"], line["high"] * STEPS + line["low"])
        for line in added.toArrow().to_pylist()
        if line["n"]
    }


def _lines(schema: str, axes: np.ndarray, values: list[np.ndarray]) -> pa.RecordBatch:
    names = [field.split()[0] for field in schema.split(", ")]
    arrays = [pa.array(axes.astype(np.int32)), *map(pa.array, values)]
    return pa.RecordBatch.from_arrays(arrays, names)
