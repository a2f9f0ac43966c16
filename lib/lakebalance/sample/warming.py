"""Python workers that are there before they are needed."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
from pyspark.sql import SparkSession

# What tasks import as well, so that workers have it: this function's module is all they are sent.
from lakebalance.sample import tasks  # noqa: F401

WORKERS = 1


def warm(spark: SparkSession) -> None:
    """Let Spark start Python workers, which takes seconds in which Java can do other work.

    They wait for a minute for the tasks that make new rows. Where they do not start, those tasks
    will say why.
    """
    numbers = spark.range(0, WORKERS, 1, WORKERS)
    try:
        numbers.mapInArrow(_as_they_are, numbers.schema).write.format("noop").mode("append").save()
    except Exception:
        return


def _as_they_are(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    return batches
