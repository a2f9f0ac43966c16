"""Which types widen to which, after Delta's type widening."""

import pytest
from pyspark.sql import types as T

from lakebalance.core.types import wider

INT, LONG, FLOAT, DOUBLE = T.IntegerType(), T.LongType(), T.FloatType(), T.DoubleType()
DATE, NTZ, ZONED, TEXT = T.DateType(), T.TimestampNTZType(), T.TimestampType(), T.StringType()


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        (INT, LONG, LONG),
        (T.ByteType(), T.ShortType(), T.ShortType()),
        (FLOAT, DOUBLE, DOUBLE),
        (INT, FLOAT, DOUBLE),
        (LONG, DOUBLE, None),  # would round above 2^53
        (T.DecimalType(5, 2), T.DecimalType(9, 4), T.DecimalType(9, 4)),
        (T.DecimalType(38, 0), T.DecimalType(38, 10), None),
        (INT, T.DecimalType(5, 2), T.DecimalType(12, 2)),
        (DATE, NTZ, NTZ),
        (DATE, ZONED, None),  # midnight depends on the session's time zone
        (TEXT, INT, None),
        (T.ArrayType(INT), T.ArrayType(INT, False), T.ArrayType(INT)),
    ],
)
def test_wider_is_symmetric_and_lossless(a, b, expected):
    assert wider(a, b) == expected
    if expected is None or expected in (a, b):
        assert (wider(b, a) is None) == (expected is None)
