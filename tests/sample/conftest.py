"""Rows as samplers get them."""

import numpy as np
import pyarrow as pa
import pytest
from pyspark.sql import functions as F

from lakebalance.sample.thresholds import GROUP, HASH


@pytest.fixture
def framed(spark):
    """A frame of columns, arrays or lists, with the four columns that samplers are given."""

    def frame(data, partitions=2):
        kinds = {name: values for name, values in data.items() if isinstance(values, pa.Array)}
        rows = pa.table({n: kinds.get(n, pa.array(np.asarray(v))) for n, v in data.items()})
        halves = {"hi": F.col("id"), "lo": F.lit(0)}
        key = F.struct(*[half.cast("bigint").alias(name) for name, half in halves.items()])
        given = [F.lit("s").alias("__lb_source"), key.alias("__lb_key")]
        given += [F.lit(0).cast("bigint").alias(GROUP), F.xxhash64("id").alias(HASH)]
        # Spread once: a sampler may start twenty jobs over the rows.
        spread = spark.createDataFrame(rows).repartition(partitions).localCheckpoint()
        return spread.select("*", *given)

    return frame
