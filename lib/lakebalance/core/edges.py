"""Columns compared with edges: whole numbers, decimals and times to their last digit."""

from __future__ import annotations

import datetime as dt
import math
from decimal import ROUND_CEILING, Context, Decimal, InvalidOperation

import numpy as np
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from lakebalance.core.columns import column, kinds
from lakebalance.core.coordinates import BITS, micros
from lakebalance.core.counts import EPOCH
from lakebalance.core.errors import RecipeError

Number = int | float | Decimal
WHOLE = tuple(BITS)
ALL_DIGITS = Context(prec=100)
DAY, MICROSECOND = dt.timedelta(days=1), dt.timedelta(microseconds=1)


def comparable(df: DataFrame, name: str) -> Column:
    """A column as what edges are compared with; null and NaN as null.

    Whole numbers, dates (as days since 1970) and timestamps (as microseconds) are bigints, decimals
    are as they are, and doubles too: no digit is lost, as it would be beyond 2^53 in a double.

    Parameters
    ----------
    df : the rows.
    name : a column of numbers, decimals, dates or timestamps.
    """
    value, kind = column(name), kinds(df)[name]
    if isinstance(kind, T.DateType):
        return F.unix_date(value).cast("bigint")
    if isinstance(kind, T.TimestampType | T.TimestampNTZType):
        return micros(value, kind)
    if isinstance(kind, T.DecimalType):
        return value
    if isinstance(kind, WHOLE):
        return value.cast("bigint")
    double = value.cast("double")
    return F.when(~F.isnan(double), double)


def below(at: Column, kind: T.DataType, edge: Number) -> Column:
    """Whether what ``comparable`` gave is less than an edge.

    Parameters
    ----------
    at : of a column of this kind.
    kind : the column's type.
    edge : what ``edge_of`` gave.
    """
    if isinstance(kind, T.FloatType | T.DoubleType):
        return at < F.lit(float(edge))
    exact, decimal = _exactly(edge), isinstance(kind, T.DecimalType)
    digits, scale = (kind.precision, kind.scale) if isinstance(kind, T.DecimalType) else (0, 0)
    limit = Decimal(10) ** (digits - scale) if decimal else Decimal(2) ** 63
    if exact >= limit:
        return at.isNotNull()
    if exact <= -limit:
        return at.isNull() & at.isNotNull()
    # No value lies between an edge and the next one that a column of this kind can have.
    least = exact.quantize(Decimal(1).scaleb(-scale), ROUND_CEILING, ALL_DIGITS)
    return at < F.lit(str(least)).cast(kind if decimal else "bigint")


def _exactly(edge: Number) -> Decimal:
    """An edge as it is written, which a double is not."""
    return Decimal(repr(edge)) if isinstance(edge, float) else Decimal(edge)


def edge_of(edge: int | float | str, kind: T.DataType, place: str) -> Number:
    """An edge as a recipe has it: a number, or a time, in UTC if without zone.

    A date begins at midnight in UTC, so that a time within a day is an edge before the next day.

    Parameters
    ----------
    edge : a number, a text of a decimal, or an ISO date or time.
    kind : the type of the column.
    place : path in the recipe, for the message.

    Raises
    ------
    RecipeError : it is not what the values of a column of this kind are.

    Examples
    --------
    >>> edge_of("2024-01-31T12:00:00", T.DateType(), "split.starts")  # 2024-02-01
    19754
    >>> edge_of("0.10", T.DecimalType(38, 2), "split.starts")
    Decimal('0.10')
    """
    timed = isinstance(kind, T.DateType | T.TimestampType | T.TimestampNTZType)
    if not timed and isinstance(edge, int | float) and math.isfinite(edge):
        return edge
    try:
        if timed and isinstance(edge, str):
            moment = dt.datetime.fromisoformat(edge.replace("Z", "+00:00"))
            moment = moment if moment.tzinfo else moment.replace(tzinfo=dt.timezone.utc)
            return -((EPOCH - moment) // (DAY if isinstance(kind, T.DateType) else MICROSECOND))
        if isinstance(kind, T.DecimalType) and Decimal(edge).is_finite():
            return Decimal(edge)
    except (ValueError, InvalidOperation, OverflowError):
        pass
    wanted = "a date or time such as 2024-01-31" if timed else "a number"
    raise RecipeError(f"{place}: {edge!r} is not {wanted}, as the column's values are")


def shown(edge: Number, kind: T.DataType) -> str:
    """An edge as a name has it."""
    # Python's own dates end with the year 9999; NumPy's have no end.
    if isinstance(kind, T.DateType):
        return str(np.datetime64(int(edge), "D"))
    if isinstance(kind, T.TimestampType | T.TimestampNTZType):
        whole, part = divmod(int(edge), 10**6)
        text = str(np.datetime64(whole, "s")).replace("T", " ")
        return f"{text}.{part:06}" if part else text
    if isinstance(edge, Decimal):
        return f"{edge.normalize():f}"
    whole = isinstance(edge, int) or (edge.is_integer() and abs(edge) < 2**53)
    return str(int(edge)) if whole else repr(edge)
