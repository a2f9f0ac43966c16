"""Takes the dropped rows of a matches table out of a frame."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from lakebalance.core.sources import KEY

# What tasks say of rows to drop; keys are in halves there, as Arrow compares no structs.
MATCH = (
    "hi bigint, lo bigint, near_hi bigint, near_lo bigint, rows bigint, left bigint, "
    "distance double"
)
LEFT = "left"
STAY, ORDER = "__lb_stay", "__lb_order"


def matches_from(found: DataFrame, method: str, more: Sequence[str] = ()) -> DataFrame:
    """What tasks say of rows to drop as a frame of matches.

    Parameters
    ----------
    found : a frame with the columns of ``MATCH``.
    method : the method's name.
    more : further columns, with the numbers that decided.

    Returns
    -------
    Frame ``dropped`` and ``neighbour`` (key hashes), ``rows`` bigint (how many rows of the dropped
    key go), ``left`` (how many stay: none, but where rows are equal even in their key),
    ``method``, ``distance`` to the neighbour.
    """
    keys = [
        F.struct(F.col(hi).alias("hi"), F.col(lo).alias("lo")).alias(name)
        for name, hi, lo in (("dropped", "hi", "lo"), ("neighbour", "near_hi", "near_lo"))
    ]
    return found.select(*keys, "rows", LEFT, F.lit(method).alias("method"), "distance", *more)


def without_neighbour(
    found: DataFrame, method: str, more: Sequence[str] = ("reason",)
) -> DataFrame:
    """Rows to drop in whose place no other row stands, as a frame of matches.

    Parameters
    ----------
    found : a frame with ``dropped``, ``rows`` and ``left``.
    method : the method's name.
    more : further columns: ``reason``, why they go, or the numbers that decided.

    Returns
    -------
    Frame ``dropped`` (key hash), ``neighbour``, which is null, ``rows``, ``left``, ``method`` and
    the further columns.
    """
    nobody = F.lit(None).cast("struct<hi: bigint, lo: bigint>")
    return found.select(
        "dropped",
        nobody.alias("neighbour"),
        "rows",
        LEFT,
        F.lit(method).alias("method"),
        *more,
    )


def of_keys(lines: DataFrame, stays: Column, told: Sequence[Column]) -> DataFrame:
    """A line for each key of which rows go; rows that share one are equal.

    Parameters
    ----------
    lines : frame with ``hi`` and ``lo``, a line for each row.
    stays : whether a row stays; may look at other lines.
    told : what else to say of a key.

    Returns
    -------
    Frame ``hi``, ``lo``, ``rows`` bigint (how many go), ``left`` (how many stay), and what is told.
    """
    counted = (
        lines.withColumn(STAY, stays)
        .groupBy("hi", "lo")
        .agg(F.count_if(~F.col(STAY)).alias("rows"), F.count_if(F.col(STAY)).alias(LEFT), *told)
    )
    return counted.where(F.col("rows") > 0)


def remove(df: DataFrame, matches: DataFrame, unique_keys: bool) -> DataFrame:
    """The rows that no match drops.

    Parameters
    ----------
    df : frame with ``__lb_key``.
    matches : frame with ``dropped``, a key hash, and either ``left``, how many rows of that key
        stay, or ``kept``, a key hash: a match of a key with itself leaves one of its rows.
    unique_keys : whether every row has a key of its own. Where not (keys are content hashes), rows
        of one key are equal, and it does not matter which of them stay.
    """
    stay = LEFT if LEFT in matches.columns else "CAST(dropped = kept AS bigint)"
    gone = matches.select(F.col("dropped").alias(KEY), F.expr(stay).alias(STAY))
    left = df.join(gone.where(F.col(STAY) == 0), KEY, "left_anti")
    if unique_keys:
        return left
    some = gone.where(F.col(STAY) > 0)
    order = F.row_number().over(Window.partitionBy(KEY).orderBy(KEY))
    first = left.join(some, KEY).withColumn(ORDER, order).where(F.col(ORDER) <= F.col(STAY))
    return left.join(some, KEY, "left_anti").unionByName(first.drop(STAY, ORDER))
