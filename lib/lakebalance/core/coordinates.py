"""Columns as coordinates: to doubles for measuring and moving, and back to what they were."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from lakebalance.core.columns import column, kinds, require
from lakebalance.core.errors import RecipeError

NUMBERS = (
    T.ByteType,
    T.ShortType,
    T.IntegerType,
    T.LongType,
    T.FloatType,
    T.DoubleType,
    T.DecimalType,
)
LARGEST = 1e150  # its square is a double still, and sums of many such
# As Python's own dates and times are: days, and microseconds.
FIRST_DAY, LAST_DAY = -719_162.0, 2_932_896.0
FIRST_MICRO = -62_135_596_800_000_000.0
LAST_MICRO = math.nextafter(253_402_300_800_000_000.0, 0)
BITS: dict[type[T.DataType], int] = {
    T.ByteType: 8,
    T.ShortType: 16,
    T.IntegerType: 32,
    T.LongType: 64,
}
TIMES = (T.DateType, T.TimestampType, T.TimestampNTZType)


def check_features(df: DataFrame, names: Sequence[str], place: str, instead: str) -> None:
    """Raise where a column is not there or cannot be a coordinate.

    Parameters
    ----------
    names : columns of numbers, decimals, dates or timestamps.
    place : path in the recipe, for the message.
    instead : what to write instead, for the message.

    Raises
    ------
    RecipeError : with the column, its type, and what to do with it.
    """
    require(df, names, place)
    kind_of = kinds(df)
    for name in names:
        if not isinstance(kind_of[name], NUMBERS + TIMES):
            raise RecipeError(
                f'{place}: column "{name}" is {kind_of[name].simpleString()}, which is no number, '
                f"date or time; {instead}"
            )


def coordinate(df: DataFrame, name: str) -> Column:
    """A column as a double: dates as days, timestamps as microseconds; null and NaN as null."""
    value, kind = column(name), kinds(df)[name]
    if isinstance(kind, T.DateType):
        return F.unix_date(value).cast("double")
    if isinstance(kind, T.TimestampType | T.TimestampNTZType):
        return micros(value, kind).cast("double")
    double = value.cast("double")
    return F.when(~F.isnan(double), double)


def micros(value: Column, kind: T.DataType) -> Column:
    """A timestamp, with zone or without, as microseconds since 1970."""
    if isinstance(kind, T.TimestampType):
        return F.unix_micros(value)
    return F.timestamp_diff("MICROSECOND", _wall_epoch(), value)


def finite(value: Column) -> Column:
    """A double, or null where it is infinite."""
    return F.when(F.abs(value) < F.lit(math.inf), value)


def restored(value: Column, kind: T.DataType) -> Column:
    """A double as a value of a column's type again; whole types are rounded, decimals to scale.

    What is beyond the type's range becomes its least or greatest value; times keep to the years 1
    to 9999.

    Parameters
    ----------
    value : a column of doubles, null where there is none.
    kind : the type of the column that it becomes.
    """
    if isinstance(kind, T.FloatType | T.DoubleType):
        return value.cast(kind)
    if isinstance(kind, T.DecimalType):
        size = kind.precision - kind.scale
        most = min(10.0**size - 10.0**-kind.scale, math.nextafter(10.0**size, 0))
        return _within(value, -most, most).cast(T.DecimalType(38, kind.scale)).cast(kind)
    whole = F.round(value)
    if isinstance(kind, T.DateType):
        return F.date_from_unix_date(_within(whole, FIRST_DAY, LAST_DAY).cast("int"))
    if isinstance(kind, T.TimestampType | T.TimestampNTZType):
        at = _within(whole, FIRST_MICRO, LAST_MICRO).cast("bigint")
        if isinstance(kind, T.TimestampType):
            return F.timestamp_micros(at)
        return on_the_wall(at)
    limit = 2.0 ** (BITS[type(kind)] - 1)
    most = min(limit - 1, math.nextafter(limit, 0))  # no double is 2^63 - 1
    return _within(whole, -limit, most).cast(kind)


def _within(value: Column, least: float, most: float) -> Column:
    return F.when(value.isNotNull(), F.greatest(F.least(value, F.lit(most)), F.lit(least)))


def on_the_wall(micros: Column) -> Column:
    """Microseconds since 1970 as a time without zone."""
    return F.timestamp_add("MICROSECOND", micros, _wall_epoch())


def _wall_epoch() -> Column:
    return F.lit("1970-01-01 00:00:00").cast("timestamp_ntz")
