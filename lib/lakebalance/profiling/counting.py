"""Values, patterns of texts, and histograms of any number of columns, counted in one Spark job."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F
from pyspark.sql import types as T

from lakebalance.core.columns import column, kinds
from lakebalance.core.coordinates import NUMBERS, coordinate
from lakebalance.core.sources import unite
from lakebalance.profiling.facts import ColumnFacts
from lakebalance.profiling.kinds import (
    as_key,
    at_coordinate,
    coordinate_of,
    from_text,
    hash_of,
)
from lakebalance.profiling.patterns import pattern_of

# Of columns with more values, those are counted that a sample shows to be common.
MOST_COUNTED = 10_000
TOP = 20
BINS = 20
AT_ONCE = 16
VALUE, PATTERN, BIN = "v", "p", "b"


def count(
    df: DataFrame,
    facts: Sequence[ColumnFacts],
    common: Mapping[str, Sequence[int]],
    *,
    exact: bool = False,
) -> None:
    """Add to the facts what counting finds: top values, exact distinct, patterns, histograms.

    One Spark job over all columns; rows are shuffled once they are counted within a partition.

    Parameters
    ----------
    df : the table.
    facts : its columns, as ``statistics`` found them; they are completed.
    common : hashes of values that a sample shows to be common, by column.
    exact : count all values of all columns.
    """
    told = [f for f in facts if f.filled + f.nans]
    parts = [told[at : at + AT_ONCE] for at in range(0, len(told), AT_ONCE)]
    if not parts:
        return
    values = (
        unite([_entries(df, part, facts, common, exact) for part in parts])
        .where("key IS NOT NULL")
        .groupBy("i", "what", "key")
        .agg(F.count(F.lit(1)).alias("n"))
    )
    counted = _further(values, df, facts, exact)
    of = Window.partitionBy("i", "what")
    ranked = counted.select(
        "*",
        F.row_number().over(of.orderBy(F.col("n").desc(), "key")).alias("rank"),
        F.count(F.lit(1)).over(of).alias("keys"),
        F.min("n").over(of).alias("fewest"),
    ).where(F.col("rank") <= F.when(F.col("what") == BIN, BINS).otherwise(TOP))
    found: dict[tuple[int, str], list[dict[str, Any]]] = defaultdict(list)
    for row in sorted(ranked.toArrow().to_pylist(), key=lambda row: row["rank"]):
        found[row["i"], row["what"]].append(row)
    kind = kinds(df)
    for i, f in enumerate(facts):
        _take(f, kind[f.name], found, i, whole=_whole(f, exact))


def _entries(
    df: DataFrame,
    part: Sequence[ColumnFacts],
    facts: Sequence[ColumnFacts],
    common: Mapping[str, Sequence[int]],
    exact: bool,
) -> DataFrame:
    """Columns ``i``, ``what``, ``key``: a row for each row and each thing counted of it."""
    kind, place = kinds(df), {f.name: i for i, f in enumerate(facts)}
    entries = []
    for f in part:
        value, type_ = column(f.name), kind[f.name]
        keys = [(VALUE, _value(value, type_, f, common.get(f.name, ()), exact))]
        if f.kind == "text" and not _whole(f, exact):
            keys.append((PATTERN, pattern_of(value)))
        bounds = _bounds(f, type_)
        if bounds is not None and not (_whole(f, exact) and _speaks(type_)):
            low, high = map(F.lit, bounds)
            keys.append((BIN, _bin(coordinate(df, f.name), low, high)))
        entries += [
            F.struct(F.lit(place[f.name]).alias("i"), F.lit(w).alias("what"), k.alias("key"))
            for w, k in keys
        ]
    return df.select(F.inline(F.array(*entries)))


def _whole(f: ColumnFacts, exact: bool) -> bool:
    """Whether all values of a column are counted."""
    return exact or f.distinct <= MOST_COUNTED


def _speaks(type_: T.DataType) -> bool:
    """Whether the text of a value is its coordinate."""
    return isinstance(type_, (*NUMBERS, T.TimestampType))


def _further(
    values: DataFrame, df: DataFrame, facts: Sequence[ColumnFacts], exact: bool
) -> DataFrame:
    """What follows from counted values: patterns and bins of columns whose values are all counted.

    There are fewer values than rows, and less to work out.
    """
    kind = kinds(df)
    whole = [_whole(f, exact) for f in facts]
    spans = [
        _bounds(f, kind[f.name]) if all_of_it and _speaks(kind[f.name]) else None
        for f, all_of_it in zip(facts, whole, strict=True)
    ]
    texts = [f.kind == "text" and all_of_it for f, all_of_it in zip(facts, whole, strict=True)]
    low, high = (
        F.array(*[F.lit(span[end] if span else None).cast("double") for span in spans])[F.col("i")]
        for end in (0, 1)
    )
    number = F.col("key").try_cast("double")
    of_values = F.col("what") == VALUE
    derived = {
        PATTERN: F.when(F.array(*map(F.lit, texts))[F.col("i")], pattern_of(F.col("key"))),
        BIN: _bin(F.when(~F.isnan(number), number), low, high),
    }
    entries = [F.struct("what", "key")]
    entries += [
        F.struct(F.lit(what).alias("what"), F.when(of_values, key).alias("key"))
        for what, key in derived.items()
    ]
    return (
        values.select("i", "n", F.inline(F.array(*entries)))
        .where("key IS NOT NULL")
        .groupBy("i", "what", "key")
        .agg(F.sum("n").alias("n"))
    )


def _value(
    value: Column, type_: T.DataType, f: ColumnFacts, common: Sequence[int], exact: bool
) -> Column:
    hashed = hash_of(value, type_)
    key = as_key(value, type_)
    if _whole(f, exact):
        return key
    return F.when(hashed.isin(list(common)), key) if common else F.lit(None).cast("string")


def _bounds(f: ColumnFacts, type_: T.DataType) -> tuple[float, float] | None:
    if f.kind not in {"number", "time"} or f.low is None:
        return None
    low, high = coordinate_of(f.low, type_), coordinate_of(f.high, type_)
    return (low, high) if math.isfinite(high - low) and low < high else None


def _bin(at: Column, low: Column, high: Column) -> Column:
    place = F.floor((at - low) / (high - low) * BINS)
    inside = F.greatest(F.least(place, F.lit(BINS - 1)), F.lit(0))
    return F.when(at.isNotNull() & low.isNotNull(), inside).cast("string")


def _take(
    f: ColumnFacts,
    type_: T.DataType,
    found: Mapping[tuple[int, str], list[dict[str, Any]]],
    i: int,
    *,
    whole: bool,
) -> None:
    values = found.get((i, VALUE), [])
    if whole:
        f.distinct, f.exact = (values[0]["keys"] if values else 0), True
        f.rarest = values[0]["fewest"] if values else None
    if f.kind != "nested":
        f.top = [_counted(f, "value", from_text(row["key"], type_), row["n"]) for row in values]
    patterns = found.get((i, PATTERN), [])
    f.patterns = [_counted(f, "pattern", row["key"], row["n"]) for row in patterns]
    bounds = _bounds(f, type_)
    if bounds is None:
        return
    low, high = bounds
    rows = {int(row["key"]): row["n"] for row in found.get((i, BIN), [])}
    edges = [low + (high - low) * j / BINS for j in range(BINS)] + [high]
    f.histogram = [
        {
            "from": at_coordinate(edges[j], type_),
            "to": at_coordinate(edges[j + 1], type_),
            "rows": rows.get(j, 0),
        }
        for j in range(BINS)
    ]


def _counted(f: ColumnFacts, what: str, key: Any, n: int) -> dict[str, Any]:
    return {what: key, "rows": n, "share": n / f.rows}
