"""``exact``: of rows that agree in some columns, keeps one."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakebalance.core.columns import column, require
from lakebalance.core.hashing import hash64
from lakebalance.core.registry import Method, MethodOptions

COPY = "__lb_content"


class FirstBy(MethodOptions):
    """Keep the row that comes first by a column; nulls come last."""

    first_by: str


class Exact(MethodOptions):
    """Drop rows that are equal in the given columns to a row that is kept."""

    method: Literal["exact"]
    columns: list[str] | None = Field(
        None, min_length=1, description="Columns to compare; all of them where left out."
    )
    keep: FirstBy | None = Field(
        None, description="Which row stays; the one of smallest key hash where left out."
    )


def exact(df: DataFrame, options: Exact, key: list[str], place: str) -> DataFrame:
    """The matches among rows that agree in all compared columns (null agrees with null).

    Parameters
    ----------
    df : all rows, with the columns that make a row's ``key``.
    options : columns to compare and which row to keep.
    key : the columns that identify a row.
    place : path in the recipe, for messages.

    Returns
    -------
    Frame ``dropped`` bigint (key hash), ``kept`` bigint. Where rows are equal even in their key,
    ``dropped`` equals ``kept``: one row of that key stays. One shuffle of narrow columns.
    """
    compared = options.columns or [c for c in df.columns if not c.startswith("__lb_")]
    require(df, compared, f"{place}.columns")
    if options.keep is not None:
        require(df, [options.keep.first_by], f"{place}.keep.first_by")
        order = column(options.keep.first_by)
    else:
        order = F.lit(0)
    rank = F.struct(order.isNull(), order, F.col("__lb_key"))
    narrow = df.select(hash64(df, compared, "exact").alias(COPY), "__lb_key", rank.alias("rank"))
    clusters = (
        narrow.groupBy(COPY)
        .agg(F.count(F.lit(1)).alias("rows"), F.min("rank").alias("first"))
        .where(F.col("rows") > 1)
        .select(COPY, F.col("first.__lb_key").alias("kept"))
    )
    members = narrow.groupBy(COPY, "__lb_key").agg(F.count(F.lit(1)).alias("rows"))
    return (
        members.join(clusters, COPY)
        .where((F.col("__lb_key") != F.col("kept")) | (F.col("rows") > 1))
        .select(F.col("__lb_key").alias("dropped"), "kept")
    )


METHOD = Method("exact", Exact, exact)
