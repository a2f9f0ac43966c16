"""``exact``: of rows that agree in some columns, keeps one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import Field, model_validator
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from lakebalance.core.columns import RESERVED, column, kinds, require
from lakebalance.core.components import Scratch, writing
from lakebalance.core.hashing import hash128
from lakebalance.core.index import INDEX, Index, IndexName
from lakebalance.core.registry import Method, MethodOptions
from lakebalance.core.sources import KEY
from lakebalance.prune.earlier import check_index
from lakebalance.prune.keep import KEEP, Keeps
from lakebalance.prune.matches import LEFT
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
    index: IndexName | None = Field(None, description=INDEX)

    @model_validator(mode="after")
    def _is_the_same_in_batches(self) -> Exact:
        check_index(self.index, self.keep)
        return self


def exact(
    df: DataFrame,
    options: Exact,
    place: str,
    scratch: Scratch | None = None,
    index: Index | None = None,
) -> DataFrame:
    """The matches among rows that agree in all compared columns (null agrees with null).

    Parameters
    ----------
    df : all rows, with ``__lb_key``.
    options : columns to compare and which row to keep.
    place : path in the recipe, for messages.
    scratch : writes a frame under a name and returns it as written; for the index alone.
    index : the contents that stayed in other batches: rows that have one of them go.

    Returns
    -------
    Frame ``dropped`` and ``kept`` (key hashes), ``rows`` bigint (how many rows of the dropped key
    go), ``left`` (how many stay: none, or one where rows are equal even in their key),
    ``method``, ``similarity``, ``members`` bigint (rows of the cluster, the kept one too),
    ``stayed_by`` (what tells the kept row from the dropped one), ``dropped_source`` and
    ``kept_source`` where rows have sources, and ``kept_run`` where there is an index: the run of
    the entry that stays. Two shuffles of narrow columns; two more for each ``short_of``.

    Raises
    ------
    RecipeError : a column is not there, or ``keep`` cannot put rows in order by it.
    """
    compared = _names(df, options)
    require(df, compared, f"{place}.columns")
    name = None if index is None else index.name
    ranking = Ranking(df, options.keep, f"{place}.keep", compared, name)
    given = df.select(KEY, ranking.column, *_compared(df, compared, options.normalise))
    narrow = given.select(hash128(given, compared, "exact").alias(CONTENT), RANK)
    narrow = ranking.counted(narrow, CONTENT)
    if index is not None:
        narrow = _with_entries(writing(scratch)(narrow, "contents"), ranking, index)
    clusters = (
        narrow.groupBy(CONTENT)
        .agg(F.count(F.lit(1)).alias("members"), F.min(RANK).alias("first"))
        .where(F.col("members") > 1)
    )
    rank, first = F.col(RANK), F.col("first")
    members = narrow.where(ranking.is_new(rank)).groupBy(CONTENT, RANK)
    # An entry of an index may have a row's key and is still another one.
    stays = (rank[KEY] == first[KEY]) & ranking.is_new(first)
    return (
        members.agg(F.count(F.lit(1)).alias("rows"))
        .join(clusters, CONTENT)
        .withColumn(LEFT, stays.cast("bigint"))
        .where(F.col("rows") > F.col(LEFT))
        .select(
            rank[KEY].alias("dropped"),
            first[KEY].alias("kept"),
            (F.col("rows") - F.col(LEFT)).alias("rows"),
            LEFT,
            F.lit("exact").alias("method"),
            F.lit(1.0).alias("similarity"),
            "members",
            *ranking.said(rank, first),
        )
    )


def _with_entries(narrow: DataFrame, ranking: Ranking, index: Index) -> DataFrame:
    """The contents of rows and of the index, after those that are new were written to it."""
    first = narrow.groupBy(CONTENT).agg(F.min(RANK).alias("first"))
    once = first.select(CONTENT, F.col(f"first.{KEY}").alias(KEY))
    if index.known is not None:
        once = once.join(index.known, CONTENT, "left_anti")
        known = index.known.select(CONTENT, ranking.of_entries(narrow))
        narrow = narrow.unionByName(known)
    if index.write is not None:
        index.write(once)
    return narrow


def made_with(options: Exact) -> dict[str, Any]:
    """What entries of an index depend on."""
    form = options.normalise
    return {
        "columns": options.columns,
        "normalise": None if form is None else form.model_dump(),
    }


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
    scratch=True,
    made_with=made_with,
)
