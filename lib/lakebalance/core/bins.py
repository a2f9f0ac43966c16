"""Groups of columns that have none of their own: intervals, quantiles, periods, common values."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from lakebalance.core.columns import column, kinds, require, require_free
from lakebalance.core.confident_arrays import ConfidentLabels, find_confident_labels
from lakebalance.core.confident_labels import ConfidentLabel, find_confident_label
from lakebalance.core.coordinates import TIMES, check_features, coordinate, on_the_wall
from lakebalance.core.edges import Number, below, comparable, edge_of, shown
from lakebalance.core.errors import RecipeError
from lakebalance.core.periods import Period, period
from lakebalance.core.quantiles import quantiles
from lakebalance.core.sources import unite

NOT_A_NUMBER = "NaN"
DIGITS = 38  # the most that a decimal of Spark's has


class BinSpec(Protocol):
    """How a column is cut; ``recipe.made_groups.Bin`` is one."""

    @property
    def of(self) -> str: ...
    @property
    def edges(self) -> Sequence[int | float | str] | None: ...
    @property
    def quantiles(self) -> int | None: ...
    @property
    def top(self) -> int | None: ...
    @property
    def every(self) -> Period | None: ...
    @property
    def other(self) -> str: ...
    @property
    def score(self) -> str | None: ...
    @property
    def threshold(self) -> float: ...


@dataclass(frozen=True)
class Bins:
    """A column's groups: intervals by their edges, periods, or values that stand for themselves.

    ``edges`` are numbers, or days or microseconds since 1970.
    """

    name: str
    of: str
    edges: Sequence[Number] = ()
    labels: Sequence[str] = ()
    every: Period | None = None
    top: Sequence[str] | None = None
    other: str = "other"

    @property
    def columns(self) -> list[str]:
        """The columns that decide."""
        return [self.of]

    def group(self, df: DataFrame) -> Column:
        """The group of each row as a text; null stays null, NaN is a group of its own."""
        value = column(self.of)
        if self.top is not None:
            text = _text(value, kinds(df)[self.of])
            return F.when(text.isin(list(self.top)), text).when(text.isNotNull(), F.lit(self.other))
        kind = kinds(df)[self.of]
        if self.every is not None:
            return period(coordinate(df, self.of), kind, self.every)
        at = comparable(df, self.of)
        group = F.when(at.isNull(), F.lit(None).cast("string"))
        if isinstance(kind, T.FloatType | T.DoubleType):
            group = F.when(F.isnan(value), F.lit(NOT_A_NUMBER)).when(at.isNull(), F.lit(None))
        for edge, label in zip(self.edges, self.labels, strict=False):
            group = group.when(below(at, kind, edge), F.lit(label))
        return group.otherwise(F.lit(self.labels[-1]))


def find_bins(
    frames: Sequence[DataFrame], name: str, spec: BinSpec, place: str
) -> Bins | ConfidentLabel | ConfidentLabels:
    """Settle a column's groups; quantiles and the commonest values are found in the rows.

    Exact, and the same however the rows lie: quantiles by narrowing intervals until each holds one
    value, in two to seven Spark jobs over one column.

    Parameters
    ----------
    frames : frames of one schema, the rows.
    name : the name of the groups.
    spec : how the column is cut.
    place : path in the recipe, for messages.

    Raises
    ------
    RecipeError : the column is not there or cannot be cut so.
    """
    df = frames[0]
    require_free(df, name, place)
    require(df, [spec.of], f"{place}.of")
    if spec.score is not None:
        if isinstance(kinds(df)[spec.of], T.ArrayType):
            return find_confident_labels(frames, name, spec, spec.score, place)
        return find_confident_label(frames, name, spec, spec.score, place)
    if spec.top is not None:
        return _commonest(frames, name, spec, spec.top, place)
    check_features(df, [spec.of], f"{place}.of", "write top: 10, for its commonest values")
    kind = kinds(df)[spec.of]
    if spec.every is not None:
        if not isinstance(kind, TIMES):
            raise RecipeError(
                f'{place}.of: column "{spec.of}" is {kind.simpleString()}, which has no '
                f"{spec.every}; name a date or timestamp"
            )
        return Bins(name, spec.of, every=spec.every)
    if spec.edges is not None:
        edges = [edge_of(edge, kind, f"{place}.edges") for edge in spec.edges]
    else:
        # Of decimals of all digits there are, no difference can be told.
        full = isinstance(kind, T.DecimalType) and kind.precision == DIGITS
        value = coordinate if full else comparable
        at = [frame.select(value(frame, spec.of).alias("at")) for frame in frames]
        edges = quantiles(at, spec.quantiles or 1)
    if any(b <= a for a, b in itertools.pairwise(edges)):
        raise RecipeError(f"{place}.edges: {list(spec.edges or [])} do not rise from each to next")
    return Bins(name, spec.of, edges, interval_names(edges, kind))


def _commonest(
    frames: Sequence[DataFrame], name: str, spec: BinSpec, most: int, place: str
) -> Bins:
    if isinstance(kinds(frames[0])[spec.of], T.ArrayType | T.MapType | T.StructType):
        raise RecipeError(f'{place}.of: column "{spec.of}" is nested; name one of simple values')
    text = _text(column(spec.of), kinds(frames[0])[spec.of])
    values = unite([frame.select(text.alias("v")) for frame in frames])
    found = (
        values.where("v IS NOT NULL")
        .groupBy("v")
        .count()
        .orderBy(F.col("count").desc(), "v")
        .limit(most)
        .collect()
    )
    top = [row["v"] for row in found]
    if spec.other in top:
        raise RecipeError(
            f'{place}.other: "{spec.other}" is one of the commonest values itself; write another '
            "name for all others"
        )
    return Bins(name, spec.of, top=top, other=spec.other)


def _text(value: Column, kind: T.DataType) -> Column:
    """A value as a group's name: the same in any time zone, and one for both zeros."""
    if isinstance(kind, T.TimestampType):
        return on_the_wall(F.unix_micros(value)).cast("string")
    if isinstance(kind, T.FloatType | T.DoubleType):
        value = F.when(value == 0, F.lit(0.0).cast(kind)).otherwise(value)
    return value.cast("string")


def interval_names(coordinates: Sequence[Number], kind: T.DataType) -> list[str]:
    """Names of the intervals between edges, numbered so that they sort as their values do.

    Parameters
    ----------
    coordinates : the edges, rising.
    kind : the type of the column, for how an edge is shown.
    """
    edges = [shown(edge, kind) for edge in coordinates]
    if not edges:
        return ["1: all"]
    ranges = [
        f"below {edges[0]}",
        *[f"{a} to below {b}" for a, b in itertools.pairwise(edges)],
        f"{edges[-1]} and above",
    ]
    width = len(str(len(ranges)))
    return [f"{i:0{width}}: {text}" for i, text in enumerate(ranges, 1)]
