"""``semantic``: of rows whose embeddings point the same way, keeps one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal

import numpy as np
import pyarrow as pa
from pydantic import Field
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F
from pyspark.sql import types as T

from lakebalance.core.columns import kinds
from lakebalance.core.components import Scratch, writing
from lakebalance.core.errors import RecipeError
from lakebalance.core.registry import Method
from lakebalance.core.sources import KEY
from lakebalance.prune.embedded import (
    AT,
    PART,
    PRODUCT,
    EmbeddedOptions,
    Kind,
    batches_of,
    check_embedding,
    counted,
    in_parts,
    kind_of,
)
from lakebalance.prune.keep import KEEP, Keeps
from lakebalance.prune.near_kept import Kept
from lakebalance.prune.rank import RANK, Ranking, check_keep

FIRST, SAID = "first", "__lb_said"
# Numbers of the rows that stay of one part, which its task holds twice.
MOST = 200_000_000
STAYED = {"far": "far from the middle of its part", "near": "near the middle of its part"}


class Semantic(EmbeddedOptions):
    """Drop rows whose embedding points nearly the same way as that of one that is kept (SemDeDup).

    Rows are compared within parts that k-means makes of them.
    """

    method: Literal["semantic"]
    epsilon: float = Field(
        0.05,
        ge=0,
        lt=2,
        description="A row goes whose cosine with one that stays is at least 1 - epsilon.",
    )
    max_rows: int = Field(
        50_000,
        ge=1000,
        description="Rows of a part, beyond which k-means divides it again.",
    )
    keep: Literal["far", "near"] | Keeps = Field(
        "far",
        description="Which row stays: the one far from, or near to, the middle of its part; or a "
        f"reason. {KEEP}",
    )


def semantic(
    df: DataFrame, options: Semantic, place: str, scratch: Scratch | None = None
) -> DataFrame:
    """The matches among rows whose embeddings point nearly the same way.

    Rows of a part are taken in the order of who is to stay; each goes that is near one that stays
    already, so that of every row that goes a row within ``epsilon`` is left. (The authors' code
    also drops a row for one that has itself been dropped, of which none may be left that is near.)
    Rows without an embedding, and those whose numbers are all 0, match nothing.

    A task holds the embeddings of the rows that stay of a part: at most ``max_rows`` of them, but
    where k-means cannot divide a part, as of rows that are almost equal, of which few stay.

    Parameters
    ----------
    df : all rows, with ``__lb_key``.
    options : the column, how near is near, and which row stays.
    place : path in the recipe, for messages.
    scratch : writes a frame under a name and returns it as written, so that nothing is done twice;
        None where nothing may be written.

    Returns
    -------
    Frame ``dropped`` and ``kept`` (key hashes), ``rows`` bigint (how many rows of the dropped key
    go), ``method``, ``similarity`` (cosine of the two, at least 1 - epsilon), ``cluster`` bigint
    (the same number for all rows dropped for one row), ``members``, ``stayed_by`` and the sources
    of both, as ``exact`` has them. Where rows are equal even in their key, ``dropped`` equals
    ``kept``: one row of that key stays.

    Raises
    ------
    RecipeError : the column is not there or holds no embeddings of one size and finite numbers.

    References
    ----------
    Abbas, Tirumala, Simig, Ganguli, Morcos, "SemDeDup: Data-efficient learning at web-scale through
    semantic deduplication", 2023, algorithm A.
    """
    check_columns(df, options, place)
    known = counted(df, options.column, f"{place}.column")
    reason = None if isinstance(options.keep, str) else options.keep
    ranking = Ranking(df, reason, f"{place}.keep")
    if not known.rows:
        ranked = df.select(ranking.column, F.lit(None).cast("double").alias("similarity"))
        nothing = ranked.withColumn(FIRST, F.col(RANK)).where(F.lit(False))
        return _matches(nothing, ranking, options)
    rows = in_parts(df, options, ranking.column, known, options.max_rows, writing(scratch))
    rows = ranking.counted(rows.withColumn(SAID, F.xxhash64(AT)), SAID)
    order = {"far": F.col(PRODUCT), "near": -F.col(PRODUCT)}.get(str(options.keep), F.lit(0))
    in_order = (
        rows.select(PART, RANK, AT, order.alias("order"))
        .repartition(PART)
        .sortWithinPartitions(PART, "order", RANK)
        .select(PART, RANK, AT)
    )
    ranks = kinds(in_order)[RANK]
    link = T.StructType().add(RANK, ranks).add(FIRST, ranks).add("similarity", "double")
    task = following(1 - options.epsilon, place, kind_of(df, options.column))
    return _matches(in_order.mapInArrow(task, link), ranking, options)


def following(
    least: float, place: str, kind: Kind, most: int = MOST
) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """The task that finds, for rows that come part by part in order, who goes for whom."""

    def follow(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        part, kept, keys = None, Kept(least), None
        for own, at in batches_of(batches, kind):
            number = own[PART][0].as_py()
            if number != part:
                part, kept, keys = number, Kept(least), None
            near, cosine = kept.take(at)
            if kept.numbers > most:
                raise RecipeError(
                    f"{place}: {len(kept):,} rows of one part stay, more than a task can hold; "
                    f"write a smaller {place}.max_rows, or more clusters"
                )
            stays = pa.array(near < 0)
            keys = pa.concat_arrays(
                [*([keys] if keys is not None else []), own[RANK].filter(stays)]
            )
            gone = np.flatnonzero(near >= 0)
            if len(gone):
                yield pa.RecordBatch.from_arrays(
                    [
                        own[RANK].take(pa.array(gone)),
                        keys.take(pa.array(near[gone])),
                        pa.array(cosine[gone]),
                    ],
                    [RANK, FIRST, "similarity"],
                )

    return follow


def _matches(links: DataFrame, ranking: Ranking, options: Semantic) -> DataFrame:
    """A row for each key that is dropped; rows that share a key are equal, and go for one row."""
    kept = F.col(f"{FIRST}.{KEY}")
    found = links.groupBy(RANK, FIRST).agg(
        F.count(F.lit(1)).alias("rows"), F.max("similarity").alias("similarity")
    )
    members = F.sum("rows").over(Window.partitionBy(kept)) + 1
    stayed_by, *sources = ranking.said(F.col(RANK), F.col(FIRST))
    if isinstance(options.keep, str):
        stayed_by = F.lit(STAYED[options.keep]).alias("stayed_by")
    return found.select(
        F.col(f"{RANK}.{KEY}").alias("dropped"),
        kept.alias("kept"),
        "rows",
        F.lit("semantic").alias("method"),
        "similarity",
        kept.getField("hi").alias("cluster"),
        members.alias("members"),
        stayed_by,
        *sources,
    )


def check_columns(df: DataFrame, options: Semantic, place: str) -> None:
    """Raise where a column is not there or holds no arrays of numbers.

    Raises
    ------
    RecipeError : with the column and what to write instead.
    """
    check_embedding(df, options.column, f"{place}.column")
    if not isinstance(options.keep, str):
        check_keep(df, options.keep, f"{place}.keep", [])


METHOD = Method(
    "semantic",
    Semantic,
    semantic,
    example="{method: semantic, column: embedding, epsilon: 0.05}",
    check_columns=check_columns,
    fate="semantic duplicate",
    scratch=True,
)
