"""Takes the dropped rows of a matches table out of a frame."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakebalance.core.sources import KEY


def remove(df: DataFrame, matches: DataFrame, unique_keys: bool) -> DataFrame:
    """The rows that no match drops.

    Parameters
    ----------
    df : frame with ``__lb_key``.
    matches : frame with ``dropped`` and ``kept``, both key hashes.
    unique_keys : whether every row has a key of its own. Where not (keys are content hashes),
        a match of a key with itself leaves one of its equal rows.
    """
    others = matches.where("dropped <> kept").select(F.col("dropped").alias(KEY))
    left = df.join(others, KEY, "left_anti")
    if unique_keys:
        return left
    same = matches.where("dropped = kept").select(F.col("dropped").alias(KEY))
    once = left.join(same, KEY, "left_semi").dropDuplicates([KEY])
    return left.join(same, KEY, "left_anti").unionByName(once)
