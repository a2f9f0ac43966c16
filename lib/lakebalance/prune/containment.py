"""``containment``: of lines or paragraphs that many texts share, keeps the first."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from lakebalance.core.columns import column, require_kind
from lakebalance.core.components import Scratch, writing
from lakebalance.core.hashing import mixed
from lakebalance.core.registry import Method, MethodOptions
from lakebalance.core.sources import KEY
from lakebalance.prune.keep import KEEP, Keeps
from lakebalance.prune.matches import LEFT
from lakebalance.prune.normalise import DIFFERENCES, Normalise
from lakebalance.prune.rank import RANK, Ranking, check_keep
from lakebalance.prune.texts import normalised, valid

UNIT, AT, SIZE, WHOLE, FIRST, OWNER = "unit", "at", "size", "whole", "first", "owner"
REST = "rest"  # whether a row has anything besides the units that are compared
CUT = "lines_removed"
GONE = "__lb_gone"
VISIBLE = r"(?U)\S"  # anything but white space of any script
# What parts units, and what is put between those that are left.
BETWEEN = {"line": ("\n", "\n"), "paragraph": (r"\n[ \t\r]*\n\s*", "\n\n")}


class Containment(MethodOptions):
    """Drop lines or paragraphs that another row has before, or rows that consist of such.

    Quotes, navigation, licences and footers are taken out of texts, or texts that are mostly
    quoted go as a whole (CCNet).
    """

    method: Literal["containment"]
    column: str = Field(min_length=1, description="Column of text.")
    unit: Literal["line", "paragraph"] = Field(
        "line", description="What texts are divided into: lines, or paragraphs between empty lines."
    )
    remove: Literal["units", "rows"] = Field(
        "units",
        description="What goes: the units, and rows of which none is left; or rows of which at "
        "least share is in rows that stay.",
    )
    share: float = Field(
        0.8, gt=0, le=1, description="Least share of a row's characters, where rows go."
    )
    min_chars: int = Field(
        20,
        ge=1,
        description="Shorter units are not compared, do not go, and do not count for share.",
    )
    normalise: Normalise | None = Field(
        Normalise(), description=f"{DIFFERENCES} null where all of them count."
    )
    keep: Keeps | None = Field(
        None, description=f"Which row has a unit first. {KEEP} Of a row, its first one stays."
    )


def containment(
    df: DataFrame, options: Containment, place: str, scratch: Scratch | None = None
) -> DataFrame:
    """The matches of rows whose lines or paragraphs other rows have before them.

    A unit stays where it is first: in the row that ``keep`` puts first, at its first place there.
    Where units go, a row goes with its last one. Where rows go, at least ``share`` of the
    characters of each are in rows that stay: those which would lose more because several rows that
    quote each other go at once are put back.

    Three shuffles of hashes, a line for each unit; tasks hold a batch of rows and no more.

    Parameters
    ----------
    df : all rows, with ``__lb_key``.
    options : the column, its units, and what goes.
    place : path in the recipe, for messages.
    scratch : writes a frame under a name and returns it as written, so that texts are divided once;
        None where nothing may be written.

    Returns
    -------
    Frame ``dropped`` and ``kept`` (key hashes; the row that has most of the characters), ``rows``
    bigint (how many rows of the dropped key go: 0 where only units do), ``left`` (how many stay),
    ``method``, ``similarity`` (share of the characters of its units that other rows have), and
    ``lines_removed``, the places of the units that go, from 0; null where the row does.

    Raises
    ------
    RecipeError : the column is not there or is no text.

    References
    ----------
    Wenzek et al., "CCNet: Extracting High Quality Monolingual Datasets from Web Crawl Data", 2020,
    section 3.1: paragraphs by hash, normalised. There, units are compared without digits and
    accents, and no row says which one it lost them to.
    """
    check_columns(df, options, place)
    ranking = Ranking(df, options.keep, f"{place}.keep", [options.column])
    keep = writing(scratch)
    units = keep(_units(df, options, ranking), "units")
    again = keep(_found_again(ranking.counted(units, UNIT)), "again")
    if options.remove == "rows":
        return _matches(_rows_to_drop(again, options), F.lit(True), ranking)
    return _matches(_lost(again), F.col("all"), ranking)


def _units(df: DataFrame, options: Containment, ranking: Ranking) -> DataFrame:
    """Each unit that is compared: hash, rank of its row, place, characters, and those of all."""
    divided = F.transform(
        _divided(valid(column(options.column)), options),
        lambda said, at: F.struct(
            at.alias(AT), F.char_length(F.trim(said)).cast("bigint").alias(SIZE), said.alias("said")
        ),
    )
    compared = F.lit(options.min_chars)
    long = F.filter(divided, lambda unit: unit[SIZE] >= compared)
    short = F.exists(divided, lambda unit: (unit[SIZE] < compared) & unit["said"].rlike(VISIBLE))
    whole = F.aggregate("units", F.lit(0).cast("bigint"), lambda sum_, unit: sum_ + unit[SIZE])
    rows = df.select(ranking.column, long.alias("units"), short.alias(REST))
    rows = rows.select(RANK, whole.alias(WHOLE), REST, F.inline("units"))
    said = F.col("said")
    if options.normalise is not None:
        said = normalised(said, options.normalise.form)
    rows = rows.select(RANK, AT, SIZE, WHOLE, REST, said.alias("said"))
    halves = [mixed(f"containment|{half}", [F.col("said")]).alias(half) for half in ("hi", "lo")]
    return rows.select(F.struct(*halves).alias(UNIT), RANK, AT, SIZE, WHOLE, REST)


def _divided(text: Column, options: Containment) -> Column:
    return F.split(text, BETWEEN[options.unit][0], -1)


def _found_again(units: DataFrame) -> DataFrame:
    """The units that are in several places, each with the first of them."""
    place = F.struct(RANK, AT)
    firsts = units.groupBy(UNIT).agg(F.count(F.lit(1)).alias("n"), F.min(place).alias(FIRST))
    return units.join(firsts.where(F.col("n") > 1).drop("n"), UNIT)


def _lost(again: DataFrame) -> DataFrame:
    """For each row, its units that are first elsewhere: their places and characters, who has most.

    Rows that share a key are equal: they count as ``twins`` of one.
    """
    elsewhere = again.where(F.struct(RANK, AT) != F.col(FIRST))
    owner = F.col(f"{FIRST}.{RANK}").alias(OWNER)
    places = F.collect_set(F.struct(AT, SIZE)).alias("places")
    of_each = elsewhere.groupBy(RANK, owner).agg(
        places,
        F.count(F.lit(1)).alias("n"),
        F.max(WHOLE).alias(WHOLE),
        F.max(REST).alias(REST),
    )
    sizes = F.aggregate("places", F.lit(0).cast("bigint"), lambda sum_, unit: sum_ + unit[SIZE])
    of_each = of_each.withColumn("chars", sizes)
    # Of those that have as many, the one that comes first.
    most = F.min(F.struct((-F.col("chars")).alias("fewer"), OWNER)).alias("most")
    whole = of_each.groupBy(RANK).agg(
        most,
        F.flatten(F.collect_list("places")).alias("places"),
        F.sum("n").alias("n"),
        F.sum("chars").alias("chars"),
        F.max(WHOLE).alias(WHOLE),
        F.max(REST).alias(REST),
    )
    twins = (F.col("n") / F.size("places")).cast("bigint").alias("twins")
    lost = (F.col("chars") / F.col(WHOLE)).alias("similarity")
    return whole.select(
        RANK,
        F.col(f"most.{OWNER}").alias(OWNER),
        F.array_sort(F.col(f"places.{AT}")).alias(CUT),
        ((F.col("chars") == F.col(WHOLE)) & ~F.col(REST)).alias("all"),
        twins,
        lost,
    )


def _rows_to_drop(again: DataFrame, options: Containment) -> DataFrame:
    """The rows of which enough is in rows that stay."""
    asked = F.col("similarity") >= F.lit(options.share)
    # What a row says twice itself is no reason why it should go, and none why others stay.
    elsewhere = again.where(F.col(RANK) != F.col(f"{FIRST}.{RANK}"))
    candidates = _lost(elsewhere).where(asked).select(RANK)
    stay = again.join(candidates, RANK, "left_anti")
    held = stay.groupBy(UNIT).agg(F.min(F.struct(RANK, AT)).alias(FIRST))
    of_candidates = again.drop(FIRST).join(candidates, RANK, "left_semi").join(held, UNIT)
    return _lost(of_candidates).where(asked)


def _matches(lost: DataFrame, goes: Column, ranking: Ranking) -> DataFrame:
    return lost.select(
        F.col(f"{RANK}.{KEY}").alias("dropped"),
        F.col(f"{OWNER}.{KEY}").alias("kept"),
        F.when(goes, F.col("twins")).otherwise(F.lit(0)).alias("rows"),
        F.when(goes, F.lit(0)).otherwise(F.col("twins")).alias(LEFT),
        F.lit("containment").alias("method"),
        "similarity",
        F.when(~goes, F.col(CUT)).alias(CUT),
        *ranking.said(F.col(RANK), F.col(OWNER)),
    )


def edit(df: DataFrame, options: Containment, matches: DataFrame) -> DataFrame:
    """The rows without the units that matches take out of them.

    Parameters
    ----------
    df : rows with ``__lb_key``.
    options : the column and its units.
    matches : what ``containment`` found.
    """
    if options.remove == "rows":
        return df
    cuts = matches.where(F.col(CUT).isNotNull())
    cuts = cuts.select(F.col("dropped").alias(KEY), F.col(CUT).alias(GONE))
    text = valid(column(options.column))
    left = F.filter(_divided(text, options), lambda _, at: ~F.array_contains(F.col(GONE), at))
    shorter = F.array_join(left, BETWEEN[options.unit][1])
    edited = F.when(F.col(GONE).isNotNull(), shorter).otherwise(column(options.column))
    columns = [edited.alias(n) if n == options.column else column(n) for n in df.columns]
    return df.join(cuts, KEY, "left").select(*columns)


def check_columns(df: DataFrame, options: Containment, place: str) -> None:
    """Raise where the column is not there or is no text, or ``keep`` cannot put rows in order.

    Raises
    ------
    RecipeError : with the column and what to write instead.
    """
    text = (T.StringType,)
    require_kind(df, options.column, text, f"{place}.column", "name a column of text")
    check_keep(df, options.keep, f"{place}.keep", [options.column])


METHOD = Method(
    "containment",
    Containment,
    containment,
    example="{method: containment, column: text, unit: line, min_chars: 40}",
    check_columns=check_columns,
    fate="quoted",
    scratch=True,
    edit=edit,
)
