"""``exact``: of rows that agree in some columns, keeps one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from lakebalance.core.columns import column, kinds, require
from lakebalance.core.hashing import hash128
from lakebalance.core.registry import Method, MethodOptions
from lakebalance.core.sources import KEY, RESERVED
from lakebalance.prune.keep import FirstBy, rank
from lakebalance.prune.normalise import DIFFERENCES, Normalise
from lakebalance.prune.texts import normalised

CONTENT, RANK = "__lb_content", "__lb_rank"


class Exact(MethodOptions):
    """Drop rows that are equal in the given columns to a row that is kept."""

    method: Literal["exact"]
    columns: list[str] | None = Field(
        None, min_length=1, description="Columns to compare; all of them where left out."
    )
    normalise: Normalise | None = Field(
        None,
        description=f"{DIFFERENCES} Where left out, all of them count; `{{}}` for defaults.",
    )
    keep: FirstBy | None = Field(
        None, description="Which row stays; the one of smallest key hash where left out."
    )


def exact(df: DataFrame, options: Exact, place: str) -> DataFrame:
    """The matches among rows that agree in all compared columns (null agrees with null).

    Parameters
    ----------
    df : all rows, with ``__lb_key``.
    options : columns to compare and which row to keep.
    place : path in the recipe, for messages.

    Returns
    -------
    Frame ``dropped`` and ``kept`` (key hashes), ``rows`` bigint (how many rows of the dropped key
    go), ``method``, ``similarity``. Where rows are equal even in their key, ``dropped`` equals
    ``kept``: one row of that key stays. Two shuffles of narrow columns.
    """
    compared = options.columns or [c for c in df.columns if not c.startswith(RESERVED)]
    require(df, compared, f"{place}.columns")
    order = rank(df, options.keep, place).alias(RANK)
    given = df.select(KEY, order, *_compared(df, compared, options.normalise))
    narrow = given.select(hash128(given, compared, "exact").alias(CONTENT), KEY, RANK)
    clusters = (
        narrow.groupBy(CONTENT)
        .agg(F.count(F.lit(1)).alias("members"), F.min(RANK).alias("first"))
        .where(F.col("members") > 1)
        .select(CONTENT, F.col(f"first.{KEY}").alias("kept"))
    )
    members = narrow.groupBy(CONTENT, KEY).agg(F.count(F.lit(1)).alias("rows"))
    same = F.col(KEY) == F.col("kept")
    return (
        members.join(clusters, CONTENT)
        .where(~same | (F.col("rows") > 1))
        .select(
            F.col(KEY).alias("dropped"),
            "kept",
            (F.col("rows") - same.cast("bigint")).alias("rows"),
            F.lit("exact").alias("method"),
            F.lit(1.0).alias("similarity"),
        )
    )


def _compared(df: DataFrame, names: Sequence[str], form: Normalise | None) -> list[Column]:
    """The columns to compare, texts in the form in which they are."""
    texts = {name for name, kind in kinds(df).items() if isinstance(kind, T.StringType)}
    return [
        column(name)
        if form is None or name not in texts
        else normalised(column(name), form.form).alias(name)
        for name in names
    ]


METHOD = Method(
    "exact", Exact, exact, example="{method: exact, columns: [text], keep: {first_by: created}}"
)
