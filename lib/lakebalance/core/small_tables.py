"""Numbers of groups as frames to broadcast."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession


def small_table(
    spark: SparkSession, names: Sequence[str], rows: Sequence[tuple[int | bool | float, ...]]
) -> DataFrame:
    """Numbers per group as a frame to broadcast; integers and flags become bigint.

    By Arrow, as 100,000 rows sent one by one would take longer than the job that reads them.
    """
    columns = list(zip(*rows, strict=True)) or [()] * len(names)
    arrays = [
        pa.array(values, pa.float64())
        if values and isinstance(values[0], float)
        else pa.array([int(value) for value in values], pa.int64())
        for values in columns
    ]
    return spark.createDataFrame(pa.table(dict(zip(names, arrays, strict=True))))
