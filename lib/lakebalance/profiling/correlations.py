"""How columns go together: Pearson's r of numbers, Cramér's V of columns with few values.

Sums are of whole numbers, so they are the same in any order of rows.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakebalance.core.columns import column, kinds
from lakebalance.core.coordinates import coordinate
from lakebalance.profiling.facts import ColumnFacts
from lakebalance.profiling.kinds import coordinate_of, hash_of

# Numbers are rounded to this part of half of the distance from least to greatest.
STEPS = 2**20
# Products of so many rows are summed in doubles without rounding; sums of so many fit in 64 bits.
EXACT_ROWS, MOST_ROWS = 4_096, 2**22
MOST_NUMBERS, MOST_CATEGORIES, MOST_VALUES = 100, 8, 20
SUMS = ("n", "a", "b", "aa", "bb", "ab")
SCHEMA = "i int, j int, " + ", ".join(f"{name} bigint" for name in SUMS)

Matrix = NDArray[np.int64]


def correlate(df: DataFrame, facts: Sequence[ColumnFacts]) -> list[dict[str, Any]]:
    """Measure pairs of columns, and add mean and standard deviation to the facts; two Spark jobs.

    Numbers and times (the first 100): Pearson's r over the rows in which both are there, rounded to
    1/2^20 of half of each one's range. Columns of 2 to 20 values (the first 8): Cramér's V, without
    correction, null being a value.

    Parameters
    ----------
    df : the table.
    facts : its columns; those of numbers are completed.

    Returns
    -------
    ``{"columns": [a, b], "measure", "value", "rows"}``, the strongest first.
    """
    found = [*_numbers(df, facts), *_categories(df, facts)]
    return sorted(found, key=lambda one: (-abs(one["value"]), one["columns"]))


def _numbers(df: DataFrame, facts: Sequence[ColumnFacts]) -> list[dict[str, Any]]:
    kind, spans = kinds(df), {}
    for f in facts:
        if f.kind in {"number", "time"} and f.low is not None:
            low, high = (coordinate_of(end, kind[f.name]) for end in (f.low, f.high))
            if math.isfinite(high - low) and low < high:
                spans[f.name] = (low, high)
    names = list(spans)[:MOST_NUMBERS]
    if not names:
        return []
    scaled = df.select(*[_scaled(df, n, *spans[n]).alias(f"z{i}") for i, n in enumerate(names)])
    sums = scaled.mapInArrow(_sums_of(len(names)), SCHEMA).groupBy("i", "j")
    wide = [F.sum(F.col(name).cast("decimal(38,0)")).alias(name) for name in SUMS]
    by_name = {f.name: f for f in facts}
    found = []
    for row in sums.agg(*wide).toArrow().to_pylist():
        n, a, b, aa, bb, ab = (int(row[name]) for name in SUMS)
        if row["i"] == row["j"]:
            _describe(by_name[names[row["i"]]], spans[names[row["i"]]], n, a, aa)
            continue
        spread = (n * aa - a * a) * (n * bb - b * b)
        if n > 1 and spread > 0:
            r = (n * ab - a * b) / math.sqrt(spread)
            found.append(_said([names[row["i"]], names[row["j"]]], "pearson", r, n))
    return found


def _said(names: list[str], measure: str, value: float, rows: int) -> dict[str, Any]:
    bounded = max(-1.0, min(1.0, value))
    return {"columns": names, "measure": measure, "value": bounded, "rows": rows}


def _scaled(df: DataFrame, name: str, low: float, high: float) -> Column:
    """A number as a whole one from -STEPS to STEPS; null where it is none."""
    middle, half = low / 2 + high / 2, high / 2 - low / 2
    return F.round((coordinate(df, name) - middle) / half * STEPS).cast("bigint")


def _describe(f: ColumnFacts, span: tuple[float, float], n: int, a: int, aa: int) -> None:
    if f.kind != "number" or not n:
        return
    low, high = span
    middle, half = low / 2 + high / 2, high / 2 - low / 2
    f.mean = middle + half * (a / n / STEPS)
    if n > 1:
        f.deviation = half * math.sqrt((n * aa - a * a) / (n * (n - 1))) / STEPS


def _sums_of(width: int) -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """What sums up the rows of a partition: of each pair, over rows in which both are there."""

    def summed(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        rows, totals = 0, [np.zeros((width, width), dtype=np.int64) for _ in range(4)]
        for batch in batches:
            for at in range(0, batch.num_rows, EXACT_ROWS):
                part = batch.slice(at, EXACT_ROWS)
                totals = [a + b for a, b in zip(totals, _products(part), strict=True)]
                rows += part.num_rows
                if rows >= MOST_ROWS:
                    yield _as_batch(totals)
                    rows, totals = 0, [np.zeros_like(total) for total in totals]
        if rows:
            yield _as_batch(totals)

    return summed


def _products(batch: pa.RecordBatch) -> list[Matrix]:
    """How many rows both are in; sums of the one, its squares, and products, over these."""
    there = np.column_stack([c.is_valid().to_numpy(zero_copy_only=False) for c in batch.columns])
    values = np.column_stack(
        [c.fill_null(0).to_numpy(zero_copy_only=False) for c in batch.columns]
    ).astype(np.float64)
    mask = there.astype(np.float64)
    products = (mask.T @ mask, values.T @ mask, (values * values).T @ mask, values.T @ values)
    return [product.astype(np.int64) for product in products]


def _as_batch(totals: Sequence[Matrix]) -> pa.RecordBatch:
    n, a, aa, ab = totals
    i, j = np.triu_indices(len(n))
    ones, squares = {"a": a[i, j], "b": a[j, i]}, {"aa": aa[i, j], "bb": aa[j, i]}
    columns = {"n": n[i, j], **ones, **squares, "ab": ab[i, j]}
    arrays = [pa.array(i.astype(np.int32)), pa.array(j.astype(np.int32))]
    return pa.RecordBatch.from_arrays(
        [*arrays, *[pa.array(columns[name]) for name in SUMS]], names=["i", "j", *SUMS]
    )


def _categories(df: DataFrame, facts: Sequence[ColumnFacts]) -> list[dict[str, Any]]:
    few = [
        f
        for f in facts
        if f.exact and 2 <= f.distinct <= MOST_VALUES and f.kind not in {"nested", "binary", "time"}
    ][:MOST_CATEGORIES]
    pairs = list(combinations([f.name for f in few], 2))
    if not pairs:
        return []
    kind = kinds(df)
    hashed = {f.name: hash_of(column(f.name), kind[f.name]) for f in few}
    entries = [
        F.struct(F.lit(p).alias("p"), hashed[a].alias("a"), hashed[b].alias("b"))
        for p, (a, b) in enumerate(pairs)
    ]
    counted = df.select(F.inline(F.array(*entries))).groupBy("p", "a", "b")
    tables: dict[int, dict[tuple[int, int], int]] = defaultdict(dict)
    for row in counted.agg(F.count(F.lit(1)).alias("n")).toArrow().to_pylist():
        tables[row["p"]][row["a"], row["b"]] = row["n"]
    return [
        _said(list(pairs[p]), "cramers_v", cramers_v(table), sum(table.values()))
        for p, table in sorted(tables.items())
    ]


def cramers_v(table: Mapping[tuple[int, int], int]) -> float:
    """Cramér's V of a table of counts by two values: 0 if they have nothing to do with each other.

    Examples
    --------
    >>> cramers_v({(0, 0): 5, (1, 1): 5}), cramers_v({(0, 0): 2, (0, 1): 2, (1, 0): 2, (1, 1): 2})
    (1.0, 0.0)
    """
    left: dict[int, int] = defaultdict(int)
    right: dict[int, int] = defaultdict(int)
    for (a, b), n in table.items():
        left[a] += n
        right[b] += n
    freedom = min(len(left), len(right)) - 1
    if freedom < 1:
        return 0.0
    # Chi-square over n is the sum of n_ab^2 / (n_a n_b), less 1; fsum does not depend on order.
    share = math.fsum(n * n / (left[a] * right[b]) for (a, b), n in table.items()) - 1
    return math.sqrt(max(share, 0.0) / freedom)
