"""``leakage``: drops rows for training that say what is in the rows held out, or the latter."""

from __future__ import annotations

from functools import reduce
from typing import Literal

from pydantic import Field, model_validator
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakebalance.core.columns import column, require
from lakebalance.core.components import Scratch
from lakebalance.core.coordinates import check_features, coordinate
from lakebalance.core.diagnostics import Diagnostic
from lakebalance.core.errors import RecipeError
from lakebalance.core.hashing import hash128
from lakebalance.core.registry import Method, MethodOptions
from lakebalance.core.shingles import Tokens
from lakebalance.core.sources import KEY, unite
from lakebalance.core.split import PART, TRAIN
from lakebalance.prune.matches import LEFT
from lakebalance.prune.minhash import MinHash, minhash
from lakebalance.prune.minhash import check_columns as check_texts
from lakebalance.prune.normalise import DIFFERENCES, Normalise

# The rows that go are on one side, those that they are compared with on the other; where a row has
# no part, as it has no time, it is on neither.
SIDE, GOES, STAYS = "__lb_side", 1, 0
ENTITY, AT = "__lb_entity", "__lb_at"
FIRST_REASONS = ("entity", "near-duplicate", "time")


class Leakage(MethodOptions):
    """Drop rows that are on one side of the split with what they tell about the other side.

    Of the same entity, with a text that is nearly the same, or of a time that comes too late.
    Needs a `split` with parts, each of which is compared with the rows for training.
    """

    method: Literal["leakage"]
    entity: list[str] | None = Field(
        None,
        min_length=1,
        description="Columns that identify whom rows are of: none is to be on both sides. A null "
        "is no entity.",
    )
    time: str | None = Field(
        None,
        description="Column of numbers, dates or timestamps: rows for training must come before "
        "those held out. With entity, before those of their own entity, whose past stays. A null "
        "or NaN is never late.",
    )
    columns: list[str] | None = Field(
        None,
        min_length=1,
        description="Columns of text, compared as one text, line after line, as by minhash.",
    )
    threshold: float = Field(
        0.8, gt=0, le=1, description="With columns: least Jaccard similarity of near-duplicates."
    )
    tokens: Tokens = Field(
        "words", description="With columns: what shingles are runs of, as by minhash."
    )
    ngram: int = Field(5, ge=1, le=100, description="With columns: tokens in a shingle.")
    normalise: Normalise = Field(Normalise(), description=DIFFERENCES)
    drop: Literal["train", "held_out"] = Field(
        "train", description="Which rows go: those for training, or those that are held out."
    )

    @model_validator(mode="after")
    def _something(self) -> Leakage:
        if self.entity is None and self.time is None and self.columns is None:
            raise ValueError("write entity, time or columns: what is to be on one side alone")
        return self

    @property
    def near(self) -> MinHash:
        """How near-duplicates are found; where a cluster has rows that stay, one of them does."""
        return MinHash.model_validate(
            {
                "method": "minhash",
                "columns": self.columns,
                "threshold": self.threshold,
                "tokens": self.tokens,
                "ngram": self.ngram,
                "normalise": self.normalise,
                "keep": {"first_by": SIDE},
            }
        )


def leakage(
    df: DataFrame, options: Leakage, place: str, scratch: Scratch | None = None
) -> DataFrame:
    """The rows of one side of the split that tell about rows of the other.

    A row's part is a function of the row, so that pruning knows it before rows are balanced, and
    taking rows out changes no other's part. A split ``by`` columns has all rows of their values on
    one side: entities that these columns are part of are never on both. A split by time has no row
    for training that comes late, unless entities or sources have clocks of their own.

    ``entity``: rows of an entity that is on the other side go. ``time``: rows for training that are
    not before the first row held out go; with ``entity`` only those that are not before the first
    one of their entity, so that its past may be learned from. Where rows held out go, it is those
    that are not after the last row for training. ``columns``: rows go that are in one cluster of
    near-duplicates with a row of the other side, as ``minhash`` finds clusters, with its limits:
    near-duplicates of near-duplicates are one cluster.

    A feature that was measured after the label is a matter of one row: an expectation that compares
    the two columns sets such rows aside.

    Parameters
    ----------
    df : all rows, with ``__lb_key`` and ``__lb_part``.
    options : what must not be on both sides, and which rows go.
    place : path in the recipe, for messages.
    scratch : writes a frame under a name and returns it as written; None where nothing may be
        written.

    Returns
    -------
    Frame ``dropped`` and ``neighbour`` (key hashes: the row, and the first one of the other side
    that it tells about), ``rows`` bigint (how many rows of the dropped key go), ``left`` (0),
    ``method``, ``reason`` (entity, near-duplicate or time; the first that holds), ``part`` (that is
    held out) and ``similarity`` (of near-duplicates, to the neighbour). Shuffles of keys for each
    reason; an entity's rows on the other side are one row in them, however many there are.

    Raises
    ------
    RecipeError : a column is not there or of another type, or the recipe has no split.

    References
    ----------
    Kapoor, Narayanan, "Leakage and the reproducibility crisis in machine-learning-based science",
    Patterns 2023: of its kinds of leakage duplicates on both sides, data of a later time, and rows
    that are not independent of each other.
    """
    check_columns(df, options, place)
    rows = _sided(df, options)
    found = []
    if options.time is not None:
        found.append(_late(rows, options))
    elif options.entity is not None:
        found.append(_of_entity(rows, options.entity))
    if options.columns is not None:
        found.append(_near(rows, options, place, scratch))
    order = F.array_position(F.array(*map(F.lit, FIRST_REASONS)), F.col("reason"))
    told = F.struct(order.alias("order"), "neighbour", "reason", "part", "similarity")
    first = unite(found).groupBy(KEY).agg(F.max("rows").alias("rows"), F.min(told).alias("told"))
    return first.select(
        F.col(KEY).alias("dropped"),
        F.col("told.neighbour"),
        F.col("rows"),
        F.lit(0).cast("bigint").alias(LEFT),
        F.lit("leakage").alias("method"),
        *[F.col(f"told.{name}") for name in ("reason", "part", "similarity")],
    )


def _sided(df: DataFrame, options: Leakage) -> DataFrame:
    """The rows of both sides, with the side of each."""
    goes = F.col(PART) == TRAIN if options.drop == "train" else F.col(PART) != TRAIN
    return df.where(F.col(PART).isNotNull()).withColumn(SIDE, goes.cast("int"))


def _of_entity(rows: DataFrame, entity: list[str]) -> DataFrame:
    """Rows whose entity is on the other side, too."""
    known = _with_entity(rows, entity)
    other = known.where(F.col(SIDE) == STAYS).groupBy(ENTITY).agg(F.min(_row()).alias("other"))
    return _found(_keys(known, ENTITY).join(other, ENTITY), "entity")


def _late(rows: DataFrame, options: Leakage) -> DataFrame:
    """Rows for training that are not before those held out, or the latter that are not after."""
    assert options.time is not None
    # Turned round, rows that are held out are late as those for training are.
    at = coordinate(rows, options.time) * (1 if options.drop == "train" else -1)
    timed = rows.withColumn(AT, at).where(F.col(AT).isNotNull())
    if options.entity is None:
        timed = timed.withColumn(ENTITY, F.lit(0))
    else:
        timed = _with_entity(timed, options.entity)
    first = F.min(F.struct(AT, _row().alias("row"))).alias("first")
    other = timed.where(F.col(SIDE) == STAYS).groupBy(ENTITY).agg(first)
    # Of one line where there are no entities.
    mine = _keys(timed, ENTITY, AT).join(other if options.entity else F.broadcast(other), ENTITY)
    late = mine.where(F.col(AT) >= F.col(f"first.{AT}")).withColumn("other", F.col("first.row"))
    return _found(late, "entity" if options.entity else "time")


def _near(rows: DataFrame, options: Leakage, place: str, scratch: Scratch | None) -> DataFrame:
    """Rows in a cluster of near-duplicates with a row of the other side."""
    matches = minhash(rows, options.near, place, scratch)
    pairs = matches.select(F.col("dropped").alias(KEY), "kept", "similarity")
    stay = rows.where(F.col(SIDE) == STAYS).select(F.col(KEY).alias("kept"), _row().alias("other"))
    # The row that is kept is of the other side wherever its cluster has one.
    near = pairs.join(_keys(rows), KEY).join(stay.distinct(), "kept")
    return _found(near, "near-duplicate", F.col("similarity"))


def _with_entity(rows: DataFrame, entity: list[str]) -> DataFrame:
    known = reduce(lambda a, b: a & b, [column(name).isNotNull() for name in entity])
    return rows.where(known).withColumn(ENTITY, hash128(rows, entity, "leakage"))


def _row() -> Column:
    return F.struct(KEY, PART)


def _keys(rows: DataFrame, *more: str) -> DataFrame:
    """The keys of the rows that may go, each once; rows that share one are equal."""
    mine = rows.where(F.col(SIDE) == GOES).groupBy(KEY, PART, *more)
    return mine.agg(F.count(F.lit(1)).alias("rows"))


def _found(rows: DataFrame, reason: str, similarity: Column | None = None) -> DataFrame:
    """What keys are dropped for; the part is that of the row, or of its neighbour."""
    similar = F.lit(None).cast("double") if similarity is None else similarity
    part = F.when(F.col(PART) == TRAIN, F.col(f"other.{PART}")).otherwise(F.col(PART))
    return rows.select(
        KEY,
        F.col(f"other.{KEY}").alias("neighbour"),
        "rows",
        F.lit(reason).alias("reason"),
        part.alias("part"),
        similar.alias("similarity"),
    )


def check_columns(df: DataFrame, options: Leakage, place: str) -> None:
    """Raise where there is no split, or a column is not there or of another type.

    Parameters
    ----------
    df : the rows.
    options, place : as of ``leakage``.

    Raises
    ------
    RecipeError : with what to write instead.
    """
    if PART not in df.columns:
        raise RecipeError(
            f"{place}: there are no two sides to compare; write split: {{shares: {{test: 0.2}}}}"
        )
    require(df, options.entity or [], f"{place}.entity")
    if options.time is not None:
        check_features(df, [options.time], f"{place}.time", "name a column that says when")
    if options.columns is not None:
        check_texts(df.withColumn(SIDE, F.lit(0)), options.near, place)


def summarise(matches: DataFrame, options: Leakage, place: str) -> list[Diagnostic]:
    """How many rows were dropped for which reason and part, in one job.

    Parameters
    ----------
    matches : as ``leakage`` made them.
    options, place : as of ``leakage``.
    """
    counted = matches.groupBy("reason", "part").agg(F.sum("rows").alias("rows"))
    lines = [[*row] for row in counted.orderBy("reason", "part").collect()]
    gone = "for training" if options.drop == "train" else "held out"
    return [
        Diagnostic(
            f"{place}: rows {gone} that were dropped, as they tell about the other side",
            ["reason", "part held out", "rows dropped"],
            lines,
            "A row counts for the first reason that holds.",
        )
    ]


METHOD = Method(
    "leakage",
    Leakage,
    leakage,
    example="{method: leakage, entity: [patient], columns: [report], threshold: 0.8}",
    check_columns=check_columns,
    summarise=summarise,
    fate="leaked",
    scratch=True,
    sides=True,
)
