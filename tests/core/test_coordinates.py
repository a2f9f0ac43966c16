"""Columns as coordinates and back."""

import pytest
from pyspark.sql import functions as F
from pyspark.sql import types as T

from lakebalance.core.coordinates import restored


@pytest.mark.parametrize(
    ("kind", "least", "most"),
    [
        (T.ByteType(), -128, 127),
        (T.ShortType(), -(2**15), 2**15 - 1),
        (T.IntegerType(), -(2**31), 2**31 - 1),
        (T.LongType(), -(2**63), 2**63 - 1024),
        (T.DecimalType(4, 2), -99.99, 99.99),
    ],
)
def test_what_is_beyond_a_type_becomes_its_least_or_greatest_value(spark, kind, least, most):
    rows = spark.createDataFrame([(-1e30,), (1e30,), (3.4,), (None,)], "v double").coalesce(1)
    found = [row[0] for row in rows.select(restored(F.col("v"), kind)).collect()]
    assert [None if v is None else float(v) for v in found] == pytest.approx(
        [least, most, 3.4 if isinstance(kind, T.DecimalType) else 3, None]
    )
