"""Sums over all rows that are the same however the rows lie: in whole numbers on a fixed grid.

A sum of doubles depends on the order in which they come. Here each number is rounded to a grid that
follows from a bound known beforehand, and what lies on the grid is added as whole numbers, which
have no order. Products of two columns are made by matrix multiplication of numbers of 20 bits: of
8,192 rows no partial sum is over 2^53, so that the product is exact whatever order BLAS takes.

After Ozaki et al., "Error-free transformations of matrix multiplication by using fast routines of
matrix multiplication and its applications", 2012.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

Floats = NDArray[np.float64]
Key = tuple[str, int]
Work = Callable[["Tally", pa.RecordBatch], None]

CHUNK = 2**13
SUM_BITS, PRODUCT_BITS = 49, 20
HALF = np.int64(32)
SCHEMA = (
    "what string, arm int, place int, text string, hi bigint, lo bigint, least double, most double"
)


def exponents(bounds: Any) -> NDArray[np.int64]:
    """The least e for each bound such that no number within it is over 2^e.

    Examples
    --------
    >>> exponents([1.0, 1.5, 0.25, 0.0]).tolist()
    [0, 1, -2, 0]
    """
    mantissa, exponent = np.frexp(np.asarray(bounds, dtype=np.float64))
    powers: NDArray[np.int64] = np.where(mantissa == 0.5, exponent - 1, exponent).astype(np.int64)
    return powers


def _on_grid(values: Floats, bounds: Any, bits: int) -> Floats:
    scaled = np.rint(np.ldexp(values, bits - exponents(bounds)))
    if scaled.size and not np.abs(scaled).max() <= 2.0**bits:
        raise ValueError("a number is not within the bound that its sum was made for")
    return scaled


@dataclass
class Tally:
    """What one task has added up."""

    sums: dict[Key, NDArray[np.int64]] = field(default_factory=dict)
    spans: dict[Key, Floats] = field(default_factory=dict)
    counts: dict[tuple[str, int, int], Counter[str | None]] = field(default_factory=dict)

    def add(self, what: str, arm: int, values: Floats, bounds: Any) -> None:
        """Add the rows of a matrix of at most ``CHUNK`` rows, column by column.

        Raises
        ------
        ValueError : a value is over its column's bound.
        """
        self._keep((what, arm), _on_grid(values, bounds, SUM_BITS).astype(np.int64).sum(axis=0))

    def products(self, what: str, arm: int, values: Floats, bounds: Any) -> None:
        """Add the products of all pairs of columns, each value rounded to 2^-20 of its bound."""
        whole = _on_grid(values, bounds, PRODUCT_BITS)
        upper = np.triu_indices(whole.shape[1])
        self._keep((what, arm), (whole.T @ whole)[upper].astype(np.int64))

    def span(self, what: str, arm: int, values: Floats) -> None:
        """Keep each column's least and greatest value, NaN aside."""
        if len(values):
            with np.errstate(all="ignore"):
                both = np.stack([np.fmin.reduce(values), np.fmax.reduce(values)])
            known = self.spans.setdefault((what, arm), both)
            known[0], known[1] = np.fmin(known[0], both[0]), np.fmax(known[1], both[1])

    def count(self, what: str, arm: int, place: int, values: Mapping[str | None, int]) -> None:
        """Count values."""
        self.counts.setdefault((what, arm, place), Counter()).update(values)

    def _keep(self, key: Key, sums: NDArray[np.int64]) -> None:
        # Two halves, so that no number of rows makes them overflow.
        both = np.stack([sums >> HALF, sums & np.int64(2**32 - 1)])
        self.sums[key] = self.sums[key] + both if key in self.sums else both

    def batch(self) -> pa.RecordBatch:
        """All of it as rows of ``SCHEMA``."""
        rows: list[tuple[Any, ...]] = []
        for (what, arm), (hi, lo) in self.sums.items():
            rows += [
                (what, arm, i, None, h, low, None, None)
                for i, (h, low) in enumerate(zip(hi.tolist(), lo.tolist(), strict=True))
            ]
        for (what, arm), (least, most) in self.spans.items():
            rows += [
                (what, arm, i, None, 0, 0, a, b)
                for i, (a, b) in enumerate(zip(least.tolist(), most.tolist(), strict=True))
                if not np.isnan(a)
            ]
        for (what, arm, place), counter in self.counts.items():
            rows += [(what, arm, place, text, 0, n, None, None) for text, n in counter.items()]
        kinds = [pa.string(), pa.int32(), pa.int32(), pa.string(), pa.int64(), pa.int64()]
        kinds += [pa.float64(), pa.float64()]
        columns = zip(*rows, strict=True) if rows else [()] * len(kinds)
        arrays = [pa.array(c, kind) for c, kind in zip(columns, kinds, strict=True)]
        names = [part.split()[0] for part in SCHEMA.split(", ")]
        return pa.RecordBatch.from_arrays(arrays, names=names)


@dataclass(frozen=True)
class Sums:
    """What all tasks have added up together."""

    whole: Mapping[Key, Mapping[int, int]]
    spans: Mapping[Key, Mapping[int, tuple[float, float]]]
    counts: Mapping[tuple[str, int, int], Mapping[str | None, int]]

    def numbers(self, what: str, arm: int, bounds: Any) -> Floats:
        """The sums of a matrix's columns; ``bounds`` are those that they were added with."""
        powers = exponents(bounds) - SUM_BITS
        known = self.whole.get((what, arm), {})
        return np.array([np.ldexp(float(known.get(i, 0)), p) for i, p in enumerate(powers)])

    def matrix(self, what: str, arm: int, bounds: Any) -> Floats:
        """The sums of products of a matrix's columns."""
        powers = exponents(bounds) - PRODUCT_BITS
        known, sums = self.whole.get((what, arm), {}), np.zeros((len(powers), len(powers)))
        for i, (a, b) in enumerate(zip(*np.triu_indices(len(powers)), strict=True)):
            sums[a, b] = sums[b, a] = float(known.get(i, 0))
        return np.asarray(np.ldexp(sums, powers[:, None] + powers[None, :]))

    def span(self, what: str, arm: int, place: int = 0) -> tuple[float, float] | None:
        """The least and greatest value of a column; None where it has none."""
        return self.spans.get((what, arm), {}).get(place)

    def counted(self, what: str, arm: int, place: int = 0) -> Mapping[str | None, int]:
        """How often each value was counted."""
        return self.counts.get((what, arm, place), {})


def summed(rows: DataFrame, work: Work) -> Sums:
    """Add up what ``work`` finds in each chunk of rows, in one pass over them.

    Parameters
    ----------
    rows : the rows, of no more columns than ``work`` needs.
    work : adds a batch of at most ``CHUNK`` rows to a tally; runs in tasks.

    Returns
    -------
    The sums: the same for any partitions, batches and order of rows.
    """

    def task(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        tally = Tally()
        for batch in batches:
            for start in range(0, batch.num_rows, CHUNK):
                work(tally, batch.slice(start, CHUNK))
        yield tally.batch()

    parts = rows.mapInArrow(task, SCHEMA).groupBy("what", "arm", "place", "text")
    table = parts.agg(
        F.sum("hi").alias("hi"),
        F.sum("lo").alias("lo"),
        F.min("least").alias("least"),
        F.max("most").alias("most"),
    ).toArrow()
    whole: dict[Key, dict[int, int]] = {}
    spans: dict[Key, dict[int, tuple[float, float]]] = {}
    counts: dict[tuple[str, int, int], dict[str | None, int]] = {}
    for row in table.to_pylist():
        what, arm, place = row["what"], row["arm"], row["place"]
        total = row["hi"] * 2**32 + row["lo"]
        if row["least"] is not None:
            spans.setdefault((what, arm), {})[place] = (row["least"], row["most"])
        elif what.startswith("count"):
            counts.setdefault((what, arm, place), {})[row["text"]] = total
        else:
            whole.setdefault((what, arm), {})[place] = total
    return Sums(whole, spans, counts)
