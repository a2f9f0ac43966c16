"""Inclusions: columns whose values are nearly all among those of another table's column."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from lakebalance.core.columns import column, kinds
from lakebalance.core.hashing import hash128
from lakebalance.core.sources import unite
from lakebalance.profiling.facts import ColumnFacts
from lakebalance.profiling.kinds import coordinate_of, family, is_nan
from lakebalance.profiling.statistics import ERROR_OF_DISTINCT

# From this share of a column's values on, an inclusion is said.
LEAST_SHARE = 0.9
# Into a column that has each value once: a foreign key with many values that are nowhere.
LEAST_OF_UNIQUE = 0.5
# So many pairs are counted; columns with most values come first, as they say most.
MOST_PAIRS = 400
# A column of one or two values is in many others by chance.
LEAST_VALUES = 3


@dataclass(frozen=True)
class Side:
    """A table as inclusions need it: its rows and its columns' facts."""

    name: str
    df: DataFrame
    facts: Sequence[ColumnFacts]


@dataclass(frozen=True)
class Place:
    """A column of one of several tables."""

    side: int
    column: int


def find_inclusions(sides: Sequence[Side]) -> tuple[list[dict[str, Any]], bool]:
    """Find columns whose values are among those of a column of another table; one Spark job.

    Pairs are cut by type, by least and greatest value, and by numbers of distinct values; what is
    left is counted over all rows by 128-bit hashes of the distinct values. Null and NaN are no
    values. Columns of one or two values are left out.

    Parameters
    ----------
    sides : two tables or more.

    Returns
    -------
    ``{"from": {"table", "column"}, "to": {"table", "column"}, "values", "contained", "share",
    "unique"}``, those into unique columns first, and whether all pairs were counted. ``unique``
    says that each value of the other column stands in one row, as a foreign key wants it.
    """
    pairs = _pairs(sides)
    complete, pairs = len(pairs) <= MOST_PAIRS, pairs[:MOST_PAIRS]
    if not pairs:
        return [], True
    places = sorted({p for pair in pairs for p in pair}, key=lambda p: (p.side, p.column))
    number = {place: i for i, place in enumerate(places)}
    used = sorted({place.side for place in places})
    values = unite([_values(sides[s], s, number) for s in used])
    holders = values.groupBy("h").agg(F.collect_set("i").alias("in"))

    def held(place: Place) -> Any:
        return F.array_contains("in", number[place])

    told = [F.count_if(held(place)).alias(f"n{i}") for i, place in enumerate(places)]
    told += [F.count_if(held(a) & held(b)).alias(f"c{i}") for i, (a, b) in enumerate(pairs)]
    counts = holders.agg(*told).collect()[0]
    found = [
        _said(sides, a, b, counts[f"n{number[a]}"], counts[f"c{i}"], counts[f"n{number[b]}"])
        for i, (a, b) in enumerate(pairs)
    ]
    least = {True: LEAST_OF_UNIQUE, False: LEAST_SHARE}
    kept = [one for one in found if one["values"] and one["share"] >= least[one["unique"]]]
    kept.sort(key=lambda one: (not one["unique"], -one["share"], -one["values"]))
    return kept, complete


def _said(
    sides: Sequence[Side], a: Place, b: Place, values: int, contained: int, others: int
) -> dict[str, Any]:
    holder = sides[b.side].facts[b.column]
    return {
        "from": _named(sides, a),
        "to": _named(sides, b),
        "values": values,
        "contained": contained,
        "share": contained / values if values else 0.0,
        "unique": others == holder.filled,
    }


def _named(sides: Sequence[Side], place: Place) -> dict[str, str]:
    side = sides[place.side]
    return {"table": side.name, "column": side.facts[place.column].name}


def _values(side: Side, s: int, number: dict[Place, int]) -> DataFrame:
    """Columns ``i`` and ``h``: the place and the hash of each value that is there."""
    kind = kinds(side.df)
    entries = []
    for place, i in number.items():
        if place.side == s:
            name = side.facts[place.column].name
            there = column(name).isNotNull() & ~is_nan(column(name), kind[name])
            hashed = hash128(side.df, [name], "included")
            entries.append(F.struct(F.lit(i).alias("i"), F.when(there, hashed).alias("h")))
    rows = side.df.select(F.inline(F.array(*entries)))
    return rows.where("h IS NOT NULL").distinct()


def _pairs(sides: Sequence[Side]) -> list[tuple[Place, Place]]:
    """Pairs of columns of two tables that may include each other, by what is known of them."""
    places = [
        Place(s, c)
        for s, side in enumerate(sides)
        for c, f in enumerate(side.facts)
        if f.distinct >= LEAST_VALUES and f.kind not in {"nested", "boolean"}
    ]
    kind_of = [kinds(side.df) for side in sides]
    told = {p: (f := sides[p.side].facts[p.column], kind_of[p.side][f.name]) for p in places}
    apart = [(a, b) for a in places for b in places if a.side != b.side]
    found = [(a, b) for a, b in apart if _may_include(told[a], told[b])]
    return sorted(
        found, key=lambda p: (-sides[p[0].side].facts[p[0].column].distinct, p[0].side, p[0].column)
    )


def _may_include(a: tuple[ColumnFacts, T.DataType], b: tuple[ColumnFacts, T.DataType]) -> bool:
    """Whether nearly all values of a may be among those of b."""
    (inner, ours), (outer, theirs) = a, b
    if family(ours) != family(theirs):
        return False
    most = outer.distinct if outer.exact else outer.distinct * (1 + 6 * ERROR_OF_DISTINCT)
    least = inner.distinct if inner.exact else inner.distinct * (1 - 6 * ERROR_OF_DISTINCT)
    if least * LEAST_OF_UNIQUE > most:
        return False
    if inner.kind in {"number", "time"}:
        # All outside of each other: a value or two beyond the ends may still be few of many.
        return coordinate_of(inner.low, ours) <= coordinate_of(outer.high, theirs) and (
            coordinate_of(inner.high, ours) >= coordinate_of(outer.low, theirs)
        )
    return bool(inner.low <= outer.high and inner.high >= outer.low)
