"""Rows, nulls, distinct values, extremes and lengths of any number of columns in one pass."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from lakebalance.core.columns import column, kinds
from lakebalance.core.sources import unite
from lakebalance.profiling.facts import ColumnFacts
from lakebalance.profiling.kinds import as_text, from_text, hash_of, is_nan, kind_of, ordered

# More columns in one aggregation make code that Java does not compile. Each part of the columns is
# read by itself, so together they read the table once.
AT_ONCE = 16
# Of more columns, the plan alone would take minutes: their values are turned into rows.
MOST_AS_COLUMNS = 64
ERROR_OF_DISTINCT = 0.05
"""Relative standard deviation of distinct counts that are not exact (HyperLogLog++)."""


NOTHING: dict[str, Any] = {
    **dict.fromkeys(("rows", "nulls", "nans", "distinct"), 0),
    **dict.fromkeys(("low", "high", "shortest", "longest")),
}


def statistics(df: DataFrame, names: Sequence[str]) -> list[ColumnFacts]:
    """What one pass over the columns finds; a Spark job for 16 columns, and one for all.

    Of more than 64 columns, a shuffle for each type that they have.

    Parameters
    ----------
    df : the table.
    names : its columns, at least one.

    Returns
    -------
    The columns in order; distinct values of more than a few are estimated.
    """
    frames = _as_columns(df, names) if len(names) <= MOST_AS_COLUMNS else _as_rows(df, names)
    found = {row["i"]: row for row in unite(frames).toArrow().to_pylist()}
    kind = kinds(df)
    return [_facts(found.get(i, NOTHING), name, kind[name]) for i, name in enumerate(names)]


def _as_columns(df: DataFrame, names: Sequence[str]) -> list[DataFrame]:
    """Frames in which each column has aggregates of its own; nothing is shuffled."""
    parts = [names[at : at + AT_ONCE] for at in range(0, len(names), AT_ONCE)]
    return [_measured(df, part, i * AT_ONCE) for i, part in enumerate(parts)]


def _as_rows(df: DataFrame, names: Sequence[str]) -> list[DataFrame]:
    """Frames that group the values of all columns of one type by the column."""
    kind = kinds(df)
    of_type: dict[str, list[int]] = {}
    for i, name in enumerate(names):
        of_type.setdefault(kind[name].json(), []).append(i)
    frames = []
    for places in of_type.values():
        cells = [F.struct(F.lit(i).alias("i"), column(names[i]).alias("value")) for i in places]
        values = df.select(F.inline(F.array(*cells)))
        measures = _measures(F.col("value"), kind[names[places[0]]])
        frames.append(values.groupBy("i").agg(*measures))
    return frames


def _measured(df: DataFrame, names: Sequence[str], first: int) -> DataFrame:
    """Columns ``i``, ``rows`` and so on; a row a column."""
    kind = kinds(df)
    entries = [
        F.struct(F.lit(first + i).alias("i"), *_measures(column(name), kind[name]))
        for i, name in enumerate(names)
    ]
    return (
        df.select(*map(column, names)).agg(F.array(*entries).alias("all")).select(F.inline("all"))
    )


def _measures(value: Column, type_: T.DataType) -> list[Column]:
    kind = kind_of(type_)
    none = F.lit(None)
    low = high = shortest = longest = none
    if kind != "nested":
        low, high = (as_text(f(ordered(value, type_)), type_) for f in (F.min, F.max))
    if kind in {"text", "binary"}:
        shortest, longest = F.min(F.length(value)), F.max(F.length(value))
    if kind == "nested" and isinstance(type_, T.ArrayType | T.MapType):
        size = F.when(value.isNotNull(), F.size(value))
        shortest, longest = F.min(size), F.max(size)
    hashed = F.when(value.isNotNull(), hash_of(value, type_))
    return [
        F.count(F.lit(1)).alias("rows"),
        F.count_if(value.isNull()).alias("nulls"),
        F.count_if(is_nan(value, type_)).alias("nans"),
        F.approx_count_distinct(hashed, ERROR_OF_DISTINCT).alias("distinct"),
        low.cast("string").alias("low"),
        high.cast("string").alias("high"),
        shortest.cast("bigint").alias("shortest"),
        longest.cast("bigint").alias("longest"),
    ]


def _facts(row: dict[str, Any], name: str, type_: T.DataType) -> ColumnFacts:
    return ColumnFacts(
        name,
        type_.simpleString(),
        kind_of(type_),
        row["rows"],
        row["nulls"],
        row["nans"],
        row["distinct"],
        exact=row["nulls"] == row["rows"],
        low=from_text(row["low"], type_),
        high=from_text(row["high"], type_),
        shortest=row["shortest"],
        longest=row["longest"],
    )
