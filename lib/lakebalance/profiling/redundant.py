"""Columns that hold the same as another."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakebalance.core.columns import kinds
from lakebalance.core.hashing import hash128
from lakebalance.profiling.kinds import family
from lakebalance.profiling.sample import Sample


def find_equal(df: DataFrame, sample: Sample) -> list[list[str]]:
    """Columns with the same value as another in every row; one Spark job, none where none is like.

    An integer is the same whatever its width; null is the same as null, NaN as NaN.

    Parameters
    ----------
    df : the table.
    sample : some of its rows, on which such columns are the same too.
    """
    first: dict[bytes, str] = {}
    kind, pairs = kinds(df), []
    for i, name in enumerate(sample.names):
        other = first.setdefault(sample.hashes[:, i].tobytes(), name)
        # A timestamp is hashed as its number.
        if other != name and family(kind[other]) == family(kind[name]):
            pairs.append((other, name))
    if not pairs:
        return []
    different = [
        F.count_if(hash128(df, [a], "same") != hash128(df, [b], "same")).alias(f"d{i}")
        for i, (a, b) in enumerate(pairs)
    ]
    counts = df.agg(*different).collect()[0]
    classes: dict[str, list[str]] = {}
    for (a, b), n in zip(pairs, counts, strict=True):
        if n == 0:
            classes.setdefault(a, [a]).append(b)
    return list(classes.values())
