"""``minhash``: of texts that are nearly the same, keeps one."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator
from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F
from pyspark.sql import types as T

from lakebalance.core.columns import column, require, require_kind
from lakebalance.core.components import AT_ONCE, NODE, TO, Scratch, components
from lakebalance.core.registry import Method, MethodOptions
from lakebalance.core.shingles import Tokens
from lakebalance.core.sources import KEY
from lakebalance.prune.bands import Bands, choose_bands
from lakebalance.prune.candidates import BAND, SET, A, B, candidates, giants_of, pairs_of, stars
from lakebalance.prune.keep import FirstBy, rank
from lakebalance.prune.leaders import FOUND, following
from lakebalance.prune.normalise import DIFFERENCES, Normalise
from lakebalance.prune.texts import Shingling, described, numbers, similarity, valid

# What a missed pair weighs against one that is looked at in vain.
VERIFIED, NOT_VERIFIED = 0.95, 0.5


class MinHash(MethodOptions):
    """Drop texts that are nearly the same as one that is kept, by the Jaccard index of shingles.

    Candidates are found by MinHash signatures and compared exactly; near-duplicates of
    near-duplicates are one cluster, of which one row stays.
    """

    method: Literal["minhash"]
    columns: list[str] = Field(
        min_length=1, description="Columns of text, compared as one text, line after line."
    )
    threshold: float = Field(
        0.8, gt=0, le=1, description="Least Jaccard similarity of near-duplicates."
    )
    tokens: Tokens = Field(
        "words",
        description="What shingles are runs of: words, which are letters, marks and digits of any "
        "script, or characters, for languages without spaces.",
    )
    ngram: int = Field(
        5,
        ge=1,
        le=100,
        description="Tokens in a shingle. A text of fewer is a shingle of its own.",
    )
    normalise: Normalise = Field(Normalise(), description=DIFFERENCES)
    num_perm: int = Field(
        128, ge=1, le=4096, description="Most values of a signature, for bands that are chosen."
    )
    bands: int | None = Field(
        None, ge=1, le=4096, description="Bands of a signature; with rows, in place of num_perm."
    )
    rows: int | None = Field(None, ge=1, le=4096, description="Values in a band.")
    verify: bool = Field(
        True,
        description="Compare candidates exactly; without, texts that share a band are taken for "
        "near-duplicates.",
    )
    keep: FirstBy | None = Field(
        None, description="Which row stays; the one of smallest key hash where left out."
    )

    @model_validator(mode="after")
    def _both_or_none(self) -> MinHash:
        if (self.bands is None) != (self.rows is None):
            raise ValueError("write bands and rows, or neither")
        return self

    @property
    def cut(self) -> Bands:
        """The bands that are written, or that suit the threshold best."""
        if self.bands is not None and self.rows is not None:
            return Bands(self.bands, self.rows)
        weight = VERIFIED if self.verify else NOT_VERIFIED
        return choose_bands(self.threshold, self.num_perm, weight)

    @property
    def shingling(self) -> Shingling:
        """How texts become sets."""
        return Shingling(self.normalise.form, self.tokens, self.ngram)


def minhash(
    df: DataFrame, options: MinHash, place: str, scratch: Scratch | None = None
) -> DataFrame:
    """The matches among rows whose texts are near-duplicates.

    Texts of equal sets of shingles are put together first, so that copies cost little, however
    many. Of the others, those that share a band are candidates: all pairs of a bucket of up to 32,
    see ``candidates``; in a larger one each is compared with the bucket's leaders, see ``leaders``.
    A pair of similarity s is found with chance 1 - (1 - s^rows)^bands. Empty texts match nothing.

    Parameters
    ----------
    df : all rows, with ``__lb_key``.
    options : columns, shingles, bands and which row to keep.
    place : path in the recipe, for messages.
    scratch : writes a frame under a name and returns it as written, so that nothing is done twice;
        None where nothing may be written.

    Returns
    -------
    Frame ``dropped`` and ``kept`` (key hashes), ``rows`` bigint (how many rows of the dropped key
    go), ``method``, ``similarity`` (exact, of the two rows' texts: under the threshold where they
    are linked by others; null where nothing is verified and texts differ), ``cluster`` bigint (the
    same number for all rows of a cluster). Where rows are equal even in their key, ``dropped``
    equals ``kept``: one row of that key stays.

    Raises
    ------
    RecipeError : a column is not there or is no text, or, from a task, a bucket holds too many
        texts that are unlike each other.

    References
    ----------
    Broder, "On the resemblance and containment of documents", 1997; bands as in Leskovec,
    Rajaraman, Ullman, "Mining of Massive Datasets", chapter 3.
    """
    check_columns(df, options, place)
    keep = scratch or (lambda frame, _: frame)
    text = _text(df, options.columns)
    rows = _rows(df, text, options, place)
    rows = keep(rows, "signatures")
    found = keep(candidates(_sets(rows)), "candidates")
    pairs = pairs_of(found).select(_set(A), _set(B))
    giant = giants_of(found).select(BAND, _set(SET))
    if not options.verify:
        edges, compared = pairs.union(stars(giant)), None
    else:
        compared = keep(_shingled(df, text, options, found), "shingles")
        edges = _verified(pairs, compared, options).union(_led(giant, compared, options, place))
    ends = edges.select(F.col(A).alias(NODE), F.col(B).alias(TO))
    # There are no more edges than candidates, which are counted sooner.
    few = scratch is not None and found.count() <= AT_ONCE
    clusters = components(ends, place, None if few else scratch)
    return _matches(rows, clusters, compared)


def _text(df: DataFrame, names: list[str]) -> Column:
    texts = [valid(column(name)) for name in names]
    return texts[0] if len(texts) == 1 else F.concat_ws("\n", *texts)


def _rows(df: DataFrame, text: Column, options: MinHash, place: str) -> DataFrame:
    """Each row that has shingles: its key and rank, the hash of its set, and of its bands."""
    said = described(text, options.shingling, options.cut)
    rows = df.select(KEY, rank(df, options.keep, place).alias("rank"), said.alias("said"))
    same = F.struct("said.hi", "said.lo").alias(SET)
    return rows.where(F.col("said.hi").isNotNull()).select(KEY, "rank", same, "said.bands")


def _sets(rows: DataFrame) -> DataFrame:
    """Each set of shingles once, with the key of its first row, and the hashes of its bands."""
    once = rows.groupBy(SET).agg(F.min("rank").alias("first"), F.any_value("bands").alias("bands"))
    known = F.struct("set.hi", "set.lo", F.col(f"first.{KEY}").alias("key"))
    return once.select(known.alias(SET), "bands")


def _set(name: str) -> Column:
    """A set without its key."""
    return F.struct(f"{name}.hi", f"{name}.lo").alias(name)


def _shingled(df: DataFrame, text: Column, options: MinHash, found: DataFrame) -> DataFrame:
    """The shingles of each set that is to be compared, from the text of its first row."""
    asked = found.select(F.explode(F.array_compact(F.array(A, B))).alias(SET)).distinct()
    keys = asked.select(_set(SET), F.col("set.key").alias(KEY))
    texts = df.select(KEY, text.alias("text")).join(keys, KEY)
    # Rows that share a key are equal.
    texts = texts.groupBy(KEY, SET).agg(F.any_value("text").alias("text"))
    return texts.select(SET, numbers(F.col("text"), options.shingling).alias("numbers"))


def _compared(
    pairs: DataFrame, compared: DataFrame, one: str, other: str, how: str = "inner"
) -> DataFrame:
    """The pairs with a column of their similarity: nought where a side has no set."""
    for name in (one, other):
        side = compared.select(F.col(SET).alias(name), F.col("numbers").alias(f"of_{name}"))
        pairs = pairs.join(side, name, how)
    similar = similarity(F.col(f"of_{one}"), F.col(f"of_{other}"))
    return pairs.withColumn("similarity", similar)


def _verified(pairs: DataFrame, compared: DataFrame, options: MinHash) -> DataFrame:
    near = F.col("similarity") >= F.lit(options.threshold)
    return _compared(pairs, compared, A, B).where(near).select(A, B)


def _led(giant: DataFrame, compared: DataFrame, options: MinHash, place: str) -> DataFrame:
    """The links of giant buckets' sets to their leaders."""
    members = giant.join(compared, SET).select(BAND, "set.hi", "set.lo", "numbers")
    in_order = members.repartition(BAND).sortWithinPartitions(BAND, "hi", "lo")
    links = in_order.mapInArrow(following(options.threshold, place), FOUND)
    ends = [
        F.struct(F.col(f"{end}_hi").alias("hi"), F.col(f"{end}_lo").alias("lo")).alias(end)
        for end in (A, B)
    ]
    return links.select(*ends)


def _matches(rows: DataFrame, found: DataFrame, compared: DataFrame | None) -> DataFrame:
    """What is dropped of each cluster, from the least set of each set that has near-duplicates."""
    linked = found.select(F.col(NODE).alias(SET), F.col(TO).alias("least"))
    placed = rows.select(KEY, "rank", SET).join(linked, SET, "left")
    placed = placed.withColumn("least", F.coalesce("least", SET))
    whole = Window.partitionBy("least")
    seen = placed.select(
        KEY,
        SET,
        "least",
        F.count(F.lit(1)).over(whole).alias("members"),
        F.min(F.struct("rank", SET)).over(whole).alias("first"),
    ).where(F.col("members") > 1)
    kept, to = F.col(f"first.rank.{KEY}").alias("kept"), F.col("first.set").alias("to")
    members = seen.groupBy("least", SET, KEY, kept, to).agg(F.count(F.lit(1)).alias("rows"))
    same = F.col(KEY) == F.col("kept")
    dropped = members.where(~same | (F.col("rows") > 1))
    apart = F.col(SET) != F.col("to")
    measured = F.when(~apart, F.lit(1.0))
    if compared is not None:
        sides = [F.when(apart, F.col(name)) for name in (SET, "to")]
        dropped = dropped.select("*", sides[0].alias("mine"), sides[1].alias("theirs"))
        dropped = _compared(dropped, compared, "mine", "theirs", "left")
        measured = measured.otherwise(F.col("similarity"))
    return dropped.select(
        F.col(KEY).alias("dropped"),
        "kept",
        (F.col("rows") - same.cast("bigint")).alias("rows"),
        F.lit("minhash").alias("method"),
        measured.alias("similarity"),
        F.col("least.hi").alias("cluster"),
    )


def check_columns(df: DataFrame, options: MinHash, place: str) -> None:
    """Raise where a column is not there or is no text.

    Parameters
    ----------
    df : the rows.
    options : the columns.
    place : path in the recipe, for messages.

    Raises
    ------
    RecipeError : with the column and what to write instead.
    """
    require(df, options.columns, f"{place}.columns")
    for name in options.columns:
        require_kind(df, name, (T.StringType,), f"{place}.columns", "name columns of text")
    if options.keep is not None:
        require(df, [options.keep.first_by], f"{place}.keep.first_by")


METHOD = Method(
    "minhash",
    MinHash,
    minhash,
    example="{method: minhash, columns: [text], threshold: 0.8, keep: {first_by: created}}",
    check_columns=check_columns,
    fate="near-duplicate",
    scratch=True,
)
