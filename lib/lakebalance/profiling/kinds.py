"""What can be measured of a column, by its type, and its values as texts, alike in any session."""

from __future__ import annotations

import datetime as dt
import math
from decimal import Decimal
from typing import Any, Literal

from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql import types as T

from lakebalance.core.coordinates import NUMBERS, TIMES
from lakebalance.core.hashing import INTEGRALS, canonical, salted
from lakebalance.core.json_values import json_value, python_value
from lakebalance.core.quantiles import LARGEST

Kind = Literal["number", "time", "text", "boolean", "binary", "nested"]
EPOCH = dt.datetime(1970, 1, 1)
MICROSECOND = dt.timedelta(microseconds=1)
# So much of a text is looked at; longer ones are told apart by a hash at their end.
MOST_CHARACTERS = 200
CUT = "…#"


def kind_of(type_: T.DataType) -> Kind:
    """What a column holds, of which its statistics follow.

    Examples
    --------
    >>> kind_of(T.DecimalType(9, 2)), kind_of(T.DateType()), kind_of(T.ArrayType(T.LongType()))
    ('number', 'time', 'nested')
    """
    if isinstance(type_, NUMBERS):
        return "number"
    if isinstance(type_, TIMES):
        return "time"
    if isinstance(type_, T.StringType):
        return "text"
    if isinstance(type_, T.BooleanType):
        return "boolean"
    return "binary" if isinstance(type_, T.BinaryType) else "nested"


def family(type_: T.DataType) -> str:
    """Types in which equal values have one hash: integers of any width, floats, decimals.

    Examples
    --------
    >>> family(T.ShortType()), family(T.DecimalType(5, 2)), family(T.TimestampNTZType())
    ('integer', 'decimal', 'timestamp_ntz')
    """
    if isinstance(type_, INTEGRALS):
        return "integer"
    return "float" if has_nan(type_) else type_.typeName()


def has_nan(type_: T.DataType) -> bool:
    """Whether a column of a type may hold NaN."""
    return isinstance(type_, T.FloatType | T.DoubleType)


def is_nan(value: Column, type_: T.DataType) -> Column:
    """Whether a value is NaN; never null."""
    if not has_nan(type_):
        return F.lit(False)
    return F.coalesce(F.isnan(value), F.lit(False))


def hash_of(value: Column, type_: T.DataType) -> Column:
    """A 64-bit hash of one value in canonical form; null has one too, NaN has one."""
    return salted("profile", [value.isNull(), canonical(value, type_, sized=True)])


def ordered(value: Column, type_: T.DataType) -> Column:
    """A value as its minimum and maximum are taken: no NaN, no -0.0, long texts by their start."""
    if has_nan(type_):
        return F.when(~F.isnan(value), value + F.lit(0.0).cast(type_))
    if isinstance(type_, T.StringType | T.BinaryType):
        return F.substring(value, 1, MOST_CHARACTERS)
    return value


def as_text(value: Column, type_: T.DataType) -> Column:
    """A value as a text that does not depend on the session; null for null."""
    if isinstance(type_, T.TimestampType):
        return F.unix_micros(value).cast("string")
    if has_nan(type_):
        return (value + F.lit(0.0).cast(type_)).cast("string")
    if isinstance(type_, T.BinaryType):
        return F.hex(value)
    return value.cast("string")


def as_key(value: Column, type_: T.DataType) -> Column:
    """A text by which values are counted: different ones differ, long ones are cut.

    A nested value has none to show; its hash stands for it.
    """
    if kind_of(type_) == "nested":
        return F.when(value.isNotNull(), F.hex(hash_of(value, type_)))
    text = as_text(value, type_)
    if kind_of(type_) not in {"text", "binary"}:
        return text
    hashed = F.hex(hash_of(value, type_))
    cut = F.concat(F.substring(text, 1, MOST_CHARACTERS), F.lit(CUT), hashed)
    return F.when(F.length(text) > MOST_CHARACTERS, cut).otherwise(text)


def from_text(text: str | None, type_: T.DataType) -> Any:
    """A value as Python and JSON hold it, of what ``as_text`` or ``as_key`` wrote.

    Examples
    --------
    >>> from_text("0", T.TimestampType()), from_text("-7", T.LongType())
    ('1970-01-01T00:00:00+00:00', -7)
    >>> from_text("Infinity", T.DoubleType())
    {'float': 'Infinity'}
    """
    if text is None:
        return None
    if isinstance(type_, T.TimestampType):
        return moment(int(text), type_)
    if isinstance(type_, T.TimestampNTZType):
        whole, dot, fraction = text.replace(" ", "T").partition(".")
        return f"{whole}.{fraction:0<6}" if dot else whole
    if isinstance(type_, INTEGRALS):
        return int(text)
    if has_nan(type_):
        return json_value(float(text))
    if isinstance(type_, T.BooleanType):
        return text == "true"
    if CUT in text and len(text) > MOST_CHARACTERS:
        return text[:MOST_CHARACTERS] + "…"
    return text


def moment(micros: float, type_: T.DataType) -> str:
    """Microseconds since 1970, or days of a date, as a text of ISO 8601.

    Examples
    --------
    >>> moment(1.5e6, T.TimestampNTZType()), moment(365, T.DateType())
    ('1970-01-01T00:00:01.500000', '1971-01-01')
    """
    try:
        if isinstance(type_, T.DateType):
            return (EPOCH + dt.timedelta(days=int(micros))).date().isoformat()
        at = EPOCH + int(micros) * MICROSECOND
    except OverflowError:  # years that Python does not know
        return f"{int(micros)} since 1970-01-01"
    zone = "+00:00" if isinstance(type_, T.TimestampType) else ""
    return at.isoformat() + zone


def at_coordinate(at: int | float | Decimal, type_: T.DataType) -> Any:
    """What stands at a coordinate on a column's axis, as JSON holds it.

    Quantiles are searched between the greatest doubles, which stand for infinite values.
    """
    if isinstance(type_, TIMES):
        return moment(float(at) if isinstance(at, Decimal) else at, type_)
    if isinstance(at, Decimal):
        return f"{at:f}"
    if isinstance(type_, INTEGRALS) and at == int(at):
        return int(at)
    # One zero, whichever was met.
    return json_value(at + 0.0 if abs(at) < LARGEST else math.copysign(math.inf, at))


def coordinate_of(value: Any, type_: T.DataType) -> float:
    """The coordinate of a minimum or maximum, as ``core.coordinates`` has it.

    Examples
    --------
    >>> coordinate_of("1970-01-02", T.DateType()), coordinate_of("0.5", T.DecimalType(3, 1))
    (1.0, 0.5)
    """
    value = python_value(value)
    if isinstance(type_, TIMES):
        try:
            at = dt.datetime.fromisoformat(value).replace(tzinfo=None)
        except ValueError:
            return math.nan
        if isinstance(type_, T.DateType):
            return float((at - EPOCH).days)
        return float((at - EPOCH) // MICROSECOND)
    return float(Decimal(value)) if isinstance(value, str) else float(value)
