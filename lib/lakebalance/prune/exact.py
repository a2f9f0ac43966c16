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
from lakebalance.prune.keep import KEEP, Keeps
from lakebalance.prune.normalise import DIFFERENCES, Normalise
from lakebalance.prune.rank import RANK, Ranking, check_keep
from lakebalance.prune.texts import normalised

CONTENT = "__lb_content"


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
    keep: Keeps | None = Field(None, description=KEEP)


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
    go), ``method``, ``similarity``, ``members`` bigint (rows of the cluster, the kept one too),
    ``stayed_by`` (what tells the kept row from the dropped one), ``dropped_source`` and
    ``kept_source`` where rows have sources. Where rows are equal even in their key, ``dropped``
    equals ``kept``: one row of that key stays. Two shuffles of narrow columns; two more for each
    ``short_of``.

    Raises
    ------
    RecipeError : a column is not there, or ``keep`` cannot put rows in order by it.
    """
    compared = _names(df, options)
    require(df, compared, f"{place}.columns")
    ranking = Ranking(df, options.keep, f"{place}.keep", compared)
    given = df.select(KEY, ranking.column, *_compared(df, compared, options.normalise))
    narrow = given.select(hash128(given, compared, "exact").alias(CONTENT), RANK)
    narrow = ranking.counted(narrow, CONTENT)
    clusters = (
        narrow.groupBy(CONTENT)
        .agg(F.count(F.lit(1)).alias("members"), F.min(RANK).alias("first"))
        .where(F.col("members") > 1)
    )
    members = narrow.groupBy(CONTENT, RANK).agg(F.count(F.lit(1)).alias("rows"))
    mine, kept = F.col(f"{RANK}.{KEY}"), F.col(f"first.{KEY}")
    return (
        members.join(clusters, CONTENT)
        .where((mine != kept) | (F.col("rows") > 1))
        .select(
            mine.alias("dropped"),
            kept.alias("kept"),
            (F.col("rows") - (mine == kept).cast("bigint")).alias("rows"),
            F.lit("exact").alias("method"),
            F.lit(1.0).alias("similarity"),
            "members",
            *ranking.said(F.col(RANK), F.col("first")),
        )
    )


def check_columns(df: DataFrame, options: Exact, place: str) -> None:
    """Raise where a column is not there, or ``keep`` cannot put rows in order by it."""
    compared = _names(df, options)
    require(df, compared, f"{place}.columns")
    check_keep(df, options.keep, f"{place}.keep", compared)


def _names(df: DataFrame, options: Exact) -> list[str]:
    return options.columns or [c for c in df.columns if not c.startswith(RESERVED)]


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
    "exact",
    Exact,
    exact,
    example="{method: exact, columns: [text], keep: {first_by: created}}",
    check_columns=check_columns,
)
