"""``prototypes``: drops the rows that are most like the middle of their cluster."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field, model_validator
from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from lakebalance.core.components import Scratch, writing
from lakebalance.core.directions import scale_for
from lakebalance.core.errors import RecipeError
from lakebalance.core.registry import Method
from lakebalance.core.sources import KEY
from lakebalance.prune.embedded import (
    PRODUCT,
    EmbeddedOptions,
    check_embedding,
    counted,
    in_parts,
)
from lakebalance.prune.matches import without_neighbour

# Products are whole numbers up to 2^24: looked at by so many at once, then one by one.
COARSE = 4096
# Keys by their upper bits, so that of many rows at one product a few are put in order.
BITS = 12


class Prototypes(EmbeddedOptions):
    """Drop the rows whose embeddings are nearest to the middle of their cluster, the easiest ones.

    After duplicates have gone, it keeps what is various (SSL prototypes; with ``semantic`` before
    it, D4).
    """

    method: Literal["prototypes"]
    share: float | None = Field(
        None, gt=0, lt=1, description="Share of the rows with an embedding that stays."
    )
    rows: int | None = Field(
        None, gt=0, description="Rows with an embedding that stay; in place of share."
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> Prototypes:
        if (self.share is None) == (self.rows is None):
            raise ValueError("write share or rows, one of the two")
        return self

    def staying(self, rows: int) -> int:
        """How many of so many rows stay."""
        return min(self.rows, rows) if self.rows is not None else round((self.share or 0) * rows)


def prototypes(
    df: DataFrame, options: Prototypes, place: str, scratch: Scratch | None = None
) -> DataFrame:
    """The matches of the rows that are nearest to the centroids of their clusters.

    Exactly as many rows stay as are asked for, those of the least cosine with their centroid; of
    equally near rows, those of the greatest key hashes. Rows without an embedding, and those whose
    numbers are all 0, stay besides. Beside the jobs of k-means, three that count.

    Parameters
    ----------
    df : the rows for training, with ``__lb_key``.
    options : the column, how many rows stay, how many clusters.
    place : path in the recipe, for messages.
    scratch : writes a frame under a name and returns it as written; None where nothing may be
        written.

    Returns
    -------
    Frame ``dropped`` (key hash), ``neighbour`` (null: no row stands in its place), ``rows``
    bigint, ``left`` (how many rows of that key stay), ``method``, ``reason``.

    Raises
    ------
    RecipeError : the column is not there or holds no embeddings of one size and finite numbers, or
        more rows are to stay than there are.

    References
    ----------
    Sorscher, Geirhos, Shekhar, Ganguli, Morcos, "Beyond neural scaling laws: beating power law
    scaling via data pruning", 2022; after removing duplicates: Tirumala, Simig, Aghajanyan, Morcos,
    "D4: Improving LLM pretraining via document de-duplication and diversification", 2023.
    """
    check_columns(df, options, place)
    known = counted(df, options.column, f"{place}.column")
    if options.rows is not None and options.rows > known.rows:
        raise RecipeError(
            f"{place}.rows: {options.rows:,} rows are to stay, and {known.rows:,} have an "
            f"embedding; write rows: {known.rows} or fewer, or leave the method out"
        )
    go = known.rows - options.staying(known.rows)
    if not go:
        none = "dropped struct<hi: bigint, lo: bigint>, rows bigint, left bigint, reason string"
        return without_neighbour(df.sparkSession.createDataFrame([], none), options.method)
    rows = in_parts(df, options, F.struct(KEY), known, known.rows, writing(scratch))
    scale = scale_for(known.size) ** 2
    keys = rows.groupBy(KEY).agg(
        F.max(PRODUCT).cast("int").alias(PRODUCT), F.count(F.lit(1)).alias("members")
    )
    gone = _nearest(keys, go)
    cosine = F.format_number(F.col(PRODUCT) / scale, 4)
    found = gone.select(
        F.col(KEY).alias("dropped"),
        "rows",
        (F.col("members") - F.col("rows")).alias("left"),
        F.concat(F.lit("cosine "), cosine, F.lit(" with the middle of its cluster")).alias(
            "reason"
        ),
    )
    return without_neighbour(found, options.method)


def _nearest(keys: DataFrame, go: int) -> DataFrame:
    """The keys of the ``go`` rows of greatest product, and how many rows of each go."""
    upper = F.shiftright(F.col(f"{KEY}.hi"), 64 - BITS)
    steps: list[Column] = [-F.floor(F.col(PRODUCT) / COARSE), -F.col(PRODUCT), upper]
    whole, at = F.lit(False), F.lit(True)
    for step in steps:
        counts = keys.where(at).groupBy(step.alias("step")).agg(F.sum("members").alias("rows"))
        cut, go = _cut({line["step"]: line["rows"] for line in counts.toArrow().to_pylist()}, go)
        whole, at = whole | (at & (step < F.lit(cut))), at & (step == F.lit(cut))
    before = Window.orderBy(KEY).rowsBetween(Window.unboundedPreceding, -1)
    left = F.lit(go) - F.coalesce(F.sum("members").over(before), F.lit(0))
    some = keys.where(at).withColumn("rows", F.least("members", left)).where(F.col("rows") > 0)
    return keys.where(whole).withColumn("rows", F.col("members")).union(some)


def _cut(counts: Mapping[int, int], go: int) -> tuple[int, int]:
    """The step in which the last rows go, and how many of it do.

    Examples
    --------
    >>> _cut({5: 10, -2: 3, 1: 4}, 5)
    (1, 2)
    """
    for step in sorted(counts):
        if counts[step] >= go:
            return step, go
        go -= counts[step]
    raise AssertionError("fewer rows than are to go")


def check_columns(df: DataFrame, options: Prototypes, place: str) -> None:
    """Raise where a column is not there or holds no arrays of numbers.

    Raises
    ------
    RecipeError : with the column and what to write instead.
    """
    check_embedding(df, options.column, f"{place}.column")


METHOD = Method(
    "prototypes",
    Prototypes,
    prototypes,
    example="{method: prototypes, column: embedding, share: 0.8}",
    check_columns=check_columns,
    fate="undersampled",
    training_only=True,
    scratch=True,
)
