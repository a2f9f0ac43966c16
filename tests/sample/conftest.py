"""What the tests of samplers share."""

import pytest

from lakebalance.core.hashing import hash128, key_text


@pytest.fixture
def by_key(spark):
    """The rows of a source ``s`` with the key ``id``, by the text of their keys."""

    def rows(path):
        df = spark.read.format("delta").load(path)
        keyed = df.select("*", hash128(df, ["id"], "key", "s").alias("k")).collect()
        return {key_text((r["k"]["hi"], r["k"]["lo"])): r for r in keyed}

    return rows
