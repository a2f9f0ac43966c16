"""Which sets are candidates for near-duplicates: those that share a band's hash, a bucket.

In a bucket of few sets, all pairs are candidates. In a giant one, as boilerplate makes, they would
be too many: there each set is compared with the bucket's leaders, see ``leaders``.
"""

from __future__ import annotations

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

SET, BAND = "set", "band"
A, B = "a", "b"
FEW = 32


def candidates(sets: DataFrame, few: int = FEW) -> DataFrame:
    """Pairs of sets that share a small bucket, and the members of giant ones.

    Parameters
    ----------
    sets : frame ``set`` (struct), each once, and ``bands``, an array of hashes.
    few : most sets of which all pairs are candidates.

    Returns
    -------
    Frame ``a``, ``b`` and ``band``: pairs of which a is the lesser, each once, where ``band`` is
    null; where ``b`` is null, a is a member of the giant bucket ``band``. A shuffle of a row a band
    of each set.
    """
    members = F.count(F.lit(1)).over(Window.partitionBy(BAND))
    banded = sets.select(SET, F.explode("bands").alias(BAND)).withColumn("members", members)
    small = banded.where((F.col("members") > 1) & (F.col("members") <= few))
    together = small.groupBy(BAND).agg(F.array_sort(F.collect_set(SET)).alias("sets"))
    first = together.select("sets", F.posexplode("sets").alias("at", A))
    pairs = first.select(A, F.explode(F.expr(f"slice(sets, at + 2, {few})")).alias(B)).distinct()
    giant = banded.where(F.col("members") > few).select(F.col(SET).alias(A), BAND)
    return pairs.unionByName(giant, allowMissingColumns=True)


def pairs_of(found: DataFrame) -> DataFrame:
    """The pairs among candidates: frame ``a`` and ``b``."""
    return found.where(F.col(BAND).isNull()).select(A, B)


def giants_of(found: DataFrame) -> DataFrame:
    """The members of giant buckets among candidates: frame ``band`` and ``set``."""
    return found.where(F.col(BAND).isNotNull()).select(BAND, F.col(A).alias(SET))


def stars(giant: DataFrame) -> DataFrame:
    """The pairs of a giant bucket's least set with each other one: frame ``a`` and ``b``."""
    least = F.min(SET).over(Window.partitionBy(BAND))
    linked = giant.select(least.alias(A), F.col(SET).alias(B))
    return linked.where(F.col(A) != F.col(B)).distinct()
