"""Counts of columns' values in bins that are the same for all frames that are compared.

Bins are found in one frame, the reference. Counts are whole numbers, so those of parts of the rows
add up to those of all of them, however the rows lie.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F
from pyspark.sql import types as T

from lakebalance.core.bins import interval_names
from lakebalance.core.columns import column, kinds, require
from lakebalance.core.coordinates import NUMBERS, TIMES, coordinate
from lakebalance.core.counts import NESTED, count_groups, in_order
from lakebalance.core.errors import RecipeError
from lakebalance.core.hashing import INTEGRALS
from lakebalance.core.quantiles import quantiles_of_each
from lakebalance.core.sources import SOURCE, unite

NULL, NAN, OTHER, VALUE = "null", "NaN", "other", "="
COLUMN, BIN = "__lb_column", "__lb_bin"
CATEGORIES = (T.StringType, T.BooleanType)
FAMILIES: tuple[tuple[type[T.DataType], ...], ...] = (INTEGRALS, (T.FloatType, T.DoubleType))


@dataclass(frozen=True)
class Scale:
    """The bins of a column: null, parts between ``edges``, NaN; or null, ``values``, and others.

    ``names`` are those of the parts.
    """

    name: str
    edges: Sequence[float] = ()
    names: Sequence[str] = ()
    values: Sequence[str] | None = None

    @cached_property
    def bins(self) -> list[str]:
        """All bins in order: of numbers, null is the least and NaN the greatest, as in Spark."""
        if self.values is not None:
            return [NULL, *[VALUE + value for value in self.values], OTHER]
        return [NULL, *map(str, range(len(self.edges) + 1)), NAN]

    def shown(self, i: int) -> str:
        """What a bin is called, by its place in ``bins``."""
        if self.values is not None and 0 < i <= len(self.values):
            return f'"{self.values[i - 1]}"'
        if self.values is None and 0 < i <= len(self.names):
            return self.names[i - 1].partition(": ")[2]
        return "any other value" if self.bins[i] == OTHER else self.bins[i]

    def bin(self, df: DataFrame) -> Column:
        """The bin of each row, as ``bins`` calls it."""
        value, kind = column(self.name), kinds(df)[self.name]
        if self.values is not None:
            text = value.cast("string")
            known = F.when(text.isin(list(self.values)), F.concat(F.lit(VALUE), text))
            return F.when(value.isNull(), F.lit(NULL)).otherwise(F.coalesce(known, F.lit(OTHER)))
        found = F.when(value.isNull(), F.lit(NULL))
        if isinstance(kind, T.FloatType | T.DoubleType):
            found = found.when(F.isnan(value), F.lit(NAN))
        return found.otherwise(_part(coordinate(df, self.name), self.edges, 0))


def _part(at: Column, edges: Sequence[float], first: int) -> Column:
    """The number of the part, by halving: so few comparisons that many edges cost little."""
    if not edges:
        return F.lit(str(first))
    middle = len(edges) // 2
    below = _part(at, edges[:middle], first)
    return F.when(at < edges[middle], below).otherwise(
        _part(at, edges[middle + 1 :], first + middle + 1)
    )


def check_countable(df: DataFrame, names: Sequence[str], place: str) -> None:
    """Raise where a column is not there, or has values that have no bins.

    Raises
    ------
    RecipeError : with the column, its type, and what to write instead.
    """
    require(df, names, place)
    for name in names:
        kind = kinds(df)[name]
        if not isinstance(kind, NUMBERS + TIMES + CATEGORIES):
            raise RecipeError(
                f'{place}: column "{name}" is {kind.simpleString()}; name one of numbers, dates, '
                "timestamps, booleans or texts"
            )


def check_alike(
    new: DataFrame, old: DataFrame, names: Sequence[str], place: str, *, numbers: bool
) -> None:
    """Raise where the values of a column of both frames cannot be told to be the same.

    Parameters
    ----------
    names : columns that both have.
    place : path in the recipe, for messages.
    numbers : whether numbers of any two types are alike, as they are on one scale.

    Raises
    ------
    RecipeError : with both types.
    """
    families = (NUMBERS,) if numbers else FAMILIES
    for name in names:
        ours, theirs = kinds(new)[name], kinds(old)[name]
        alike = type(ours) is type(theirs) or any(
            isinstance(ours, family) and isinstance(theirs, family) for family in families
        )
        if not alike:
            raise RecipeError(
                f'{place}: column "{name}" is {ours.simpleString()}, and '
                f"{theirs.simpleString()} in what it is compared with; cast it in one of them"
            )
        if not numbers and isinstance(ours, NESTED):
            raise RecipeError(f'{place}: column "{name}" is nested; name one of simple values')


def is_ordered(df: DataFrame, name: str) -> bool:
    """Whether the bins of a column have an order that says something: not those of texts."""
    return not isinstance(kinds(df)[name], T.StringType)


def find_scales(df: DataFrame, names: Sequence[str], parts: int, top: int) -> list[Scale]:
    """The bins of columns, as one frame has them.

    One Spark job for all columns of categories; two to seven for all columns of numbers and times.

    Parameters
    ----------
    df : the rows.
    names : columns that ``check_countable`` takes.
    parts : how many parts of as many rows each numbers and times have; where there are no more
        values, each has a part of its own.
    top : how many of the commonest values texts are counted apart; ties by the value.
    """
    kind_of = kinds(df)
    measured = [name for name in names if not isinstance(kind_of[name], CATEGORIES)]
    edges = _edges(df, measured, parts)
    values = _commonest(df, [name for name in names if name not in edges], top)
    return [
        Scale(name, edges[name], interval_names(edges[name], kind_of[name]))
        if name in edges
        else Scale(name, values=values[name])
        for name in names
    ]


def _edges(df: DataFrame, names: Sequence[str], parts: int) -> dict[str, list[float]]:
    plain = [f"v{i}" for i in range(len(names))]
    columns = [coordinate(df, name).alias(own) for name, own in zip(names, plain, strict=True)]
    found = quantiles_of_each([df.select(*columns)], plain, parts, apart=True)
    return {name: found[own] for name, own in zip(names, plain, strict=True)}


def _commonest(df: DataFrame, names: Sequence[str], top: int) -> dict[str, list[str]]:
    """The commonest values of each column, in order of the values."""
    if not names:
        return {}
    entries = [
        F.struct(F.lit(i).alias("i"), column(name).cast("string").alias("v"))
        for i, name in enumerate(names)
    ]
    counted = df.select(F.inline(F.array(*entries))).where("v IS NOT NULL").groupBy("i", "v")
    first = Window.partitionBy("i").orderBy(F.col("n").desc(), "v")
    found = (
        counted.agg(F.count(F.lit(1)).alias("n"))
        .withColumn("rank", F.row_number().over(first))
        .where(F.col("rank") <= top)
        .select("i", "v")
        .toArrow()
        .to_pylist()
    )
    return {
        name: sorted(row["v"] for row in found if row["i"] == i) for i, name in enumerate(names)
    }


@dataclass(frozen=True)
class Counts:
    """Rows of one column in its bins, of a group, on both sides."""

    column: int
    new: list[int]
    old: list[int]


def binned(df: DataFrame, scales: Sequence[Scale], by: Sequence[str]) -> DataFrame:
    """Of each row the ``by`` columns and the bin of each scale: ``__lb_column``, ``__lb_bin``."""
    entries = [
        F.struct(F.lit(i).alias(COLUMN), scale.bin(df).alias(BIN)) for i, scale in enumerate(scales)
    ]
    return df.select(*map(column, by), F.inline(F.array(*entries)))


def count_both(
    new: Sequence[DataFrame], old: Sequence[DataFrame], scales: Sequence[Scale], by: Sequence[str]
) -> list[tuple[dict[str, Any], Counts]]:
    """Rows in the bins of two sides, by groups; one Spark job, which reads each side once.

    The driver holds as many numbers as there are groups times columns times bins.

    Parameters
    ----------
    new, old : the frames of both sides.
    scales : the bins of each column.
    by : the columns that make the groups, as ``count_groups`` tells them apart.

    Returns
    -------
    Groups with their values in order, each with its columns in order.
    """
    sides = {
        "new": unite([binned(frame, scales, by) for frame in new]),
        "old": unite([binned(frame, scales, by) for frame in old]),
    }
    tagged = [rows.withColumn(SOURCE, F.lit(side)) for side, rows in sides.items()]
    census = count_groups(tagged, [*by, COLUMN, BIN], list(sides))
    places = [{name: i for i, name in enumerate(scale.bins)} for scale in scales]
    found: dict[tuple[str, int], tuple[dict[str, Any], Counts]] = {}
    for group in census.groups:
        values: Mapping[str, Any] = group.values
        own, c = {name: values[name] for name in by}, values[COLUMN]
        none = [0] * len(scales[c].bins)
        entry = found.setdefault((repr(own), c), (own, Counts(c, none, list(none))))
        side = entry[1].new if group.source == "new" else entry[1].old
        side[places[c][values[BIN]]] += group.rows
    return sorted(found.values(), key=lambda entry: (in_order(entry[0]), entry[1].column))
