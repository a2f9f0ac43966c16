"""Says which type holds the values of two others without loss."""

from __future__ import annotations

from pyspark.sql import types as T

INTEGRAL_DIGITS: dict[type[T.DataType], int] = {
    T.ByteType: 3, T.ShortType: 5, T.IntegerType: 10, T.LongType: 20,
}  # fmt: skip
WIDTH = list(INTEGRAL_DIGITS)


def wider(a: T.DataType, b: T.DataType) -> T.DataType | None:
    """The type that holds all values of both; None where there is none.

    The rules are those of Delta's type widening, so that nothing is rounded and nothing depends on
    the session's time zone: no bigint to double, no date to timestamp with zone.

    Examples
    --------
    >>> wider(T.IntegerType(), T.LongType()), wider(T.LongType(), T.DoubleType())
    (LongType(), None)
    """
    if a == b or a.simpleString() == b.simpleString():
        return a
    return _ordered(a, b) or _ordered(b, a)


def _ordered(a: T.DataType, b: T.DataType) -> T.DataType | None:
    """The wider type where ``a`` is the narrower or simpler one."""
    if type(a) in WIDTH and type(b) in WIDTH:
        return max(a, b, key=lambda kind: WIDTH.index(type(kind)))
    if isinstance(a, T.FloatType) and isinstance(b, T.DoubleType):
        return b
    if isinstance(a, T.ByteType | T.ShortType | T.IntegerType) and isinstance(
        b, T.FloatType | T.DoubleType
    ):
        return T.DoubleType()
    if type(a) in WIDTH and isinstance(b, T.DecimalType):
        return _decimal(INTEGRAL_DIGITS[type(a)], 0, b)
    if isinstance(a, T.DecimalType) and isinstance(b, T.DecimalType):
        return _decimal(a.precision - a.scale, a.scale, b)
    if isinstance(a, T.DateType) and isinstance(b, T.TimestampNTZType):
        return b
    return None


def _decimal(digits: int, scale: int, other: T.DecimalType) -> T.DecimalType | None:
    scale_of_both = max(scale, other.scale)
    precision = max(digits, other.precision - other.scale) + scale_of_both
    return T.DecimalType(precision, scale_of_both) if precision <= 38 else None
