"""``minhash``: of texts that are nearly the same, keeps one."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from lakebalance.core.columns import column, require, require_kind
from lakebalance.core.components import AT_ONCE, NODE, TO, Scratch, components, writing
from lakebalance.core.index import INDEX, Index, IndexName
from lakebalance.core.registry import Method, MethodOptions
from lakebalance.core.shingles import Tokens
from lakebalance.core.sources import KEY
from lakebalance.prune.apart import apart
from lakebalance.prune.bands import Bands, choose_bands
from lakebalance.prune.candidates import BAND, SET, A, B, candidates, giants_of, pairs_of, stars
from lakebalance.prune.earlier import check_index, met, remembered, shingles_of
from lakebalance.prune.keep import KEEP, Keeps
from lakebalance.prune.near_pairs import connected, led, matches, verified
from lakebalance.prune.normalise import DIFFERENCES, Normalise
from lakebalance.prune.rank import RANK, Ranking, check_keep
from lakebalance.prune.texts import Shingling, described, joined, numbers, valid

# What a missed pair weighs against one that is looked at in vain.
VERIFIED, NOT_VERIFIED = 0.95, 0.5


class MinHash(MethodOptions):
    """Drop texts that are nearly the same as one that is kept, by the Jaccard index of shingles.

    Candidates are found by MinHash signatures and compared exactly; near-duplicates of
    near-duplicates are one cluster, of which one row stays, unless ``link`` says otherwise.
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
    link: Literal["connected", "neighbours"] = Field(
        "connected",
        description="connected: near-duplicates of near-duplicates are one cluster. neighbours: a "
        "row goes only if it is itself a near-duplicate of one that stays; rows are taken in the "
        "order of keep.",
    )
    keep: Keeps | None = Field(None, description=KEEP)
    index: IndexName | None = Field(None, description=f"{INDEX} With link: neighbours.")

    @model_validator(mode="after")
    def _both_or_none(self) -> MinHash:
        if (self.bands is None) != (self.rows is None):
            raise ValueError("write bands and rows, or neither")
        return self

    @model_validator(mode="after")
    def _neighbours_are_compared(self) -> MinHash:
        if self.link == "neighbours" and not self.verify:
            raise ValueError("link: neighbours compares texts; leave verify: false out")
        return self

    @model_validator(mode="after")
    def _is_the_same_in_batches(self) -> MinHash:
        if self.index is not None and self.link != "neighbours":
            raise ValueError(
                "index: a later batch could link rows that have been published; write "
                "link: neighbours besides"
            )
        check_index(self.index, self.keep)
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
    df: DataFrame,
    options: MinHash,
    place: str,
    scratch: Scratch | None = None,
    index: Index | None = None,
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
    index : what stayed in other batches, taken before all rows; see ``earlier``.

    Returns
    -------
    Frame ``dropped`` and ``kept`` (key hashes), ``rows`` bigint (how many rows of the dropped key
    go), ``left`` (how many stay: none, or one where rows are equal even in their key),
    ``method``, ``similarity`` (exact, of the two rows' texts: under the threshold where they
    are linked by others; null where nothing is verified and texts differ), ``cluster`` bigint (the
    same number for all rows of a cluster), and as of ``exact`` ``members``, ``stayed_by``, both
    rows' sources, and ``kept_run``.

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
    keep = writing(scratch)
    text = joined([valid(column(name)) for name in options.columns])
    name = None if index is None else index.name
    ranking = Ranking(df, options.keep, f"{place}.keep", options.columns, name)
    rows = keep(_rows(df, text, ranking, options, index), "signatures")
    rows = ranking.counted(rows, SET)
    own = rows
    if index is not None and index.known is not None:
        rows = rows.unionByName(met(rows, index.known, ranking, scratch))
    found = keep(_candidates(rows, ranking), "candidates")
    pairs = pairs_of(found).select(_set(A), _set(B))
    giant = giants_of(found).select(BAND, _set(SET))
    shingles = None
    if index is not None:
        shingles = keep(shingles_of(rows, _asked(found)), "shingles")
    elif options.verify:
        shingles = keep(_shingled(df, text, options, found), "shingles")
    if options.link == "neighbours" and shingles is not None:
        placed = apart(rows, pairs, giant, shingles, options.threshold, place, scratch)
        gone = matches(placed, shingles, ranking)
        return gone if index is None else remembered(own, gone, index, scratch)
    if shingles is None:
        edges = pairs.union(stars(giant))
    else:
        edges = verified(pairs, shingles, options.threshold)
        edges = edges.union(led(giant, shingles, options.threshold, place))
    ends = edges.select(F.col(A).alias(NODE), F.col(B).alias(TO))
    # There are no more edges than candidates, which are counted sooner.
    few = scratch is not None and found.count() <= AT_ONCE
    clusters = components(ends, place, None if few else scratch)
    return matches(connected(rows, clusters), shingles, ranking)


def _rows(
    df: DataFrame, text: Column, ranking: Ranking, options: MinHash, index: Index | None
) -> DataFrame:
    """Each row that has shingles: its key and rank, the hash of its set, and of its bands.

    For an index, the shingles as well, which are kept there.
    """
    kept = index is not None
    said = described(text, options.shingling, options.cut, with_numbers=kept)
    rows = df.select(ranking.column, said.alias("said"))
    same = F.struct("said.hi", "said.lo").alias(SET)
    more = ["said.numbers"] if kept else []
    return rows.where(F.col("said.hi").isNotNull()).select(RANK, same, "said.bands", *more)


def _candidates(rows: DataFrame, ranking: Ranking) -> DataFrame:
    """The candidates among sets, but for pairs of which both are in the index."""
    found = candidates(_sets(rows, ranking))
    if ranking.index is None:
        return found
    return found.where(F.col(BAND).isNotNull() | F.col(f"{A}.new") | F.col(f"{B}.new"))


def _sets(rows: DataFrame, ranking: Ranking) -> DataFrame:
    """Each set of shingles once, with the key of its first row, and the hashes of its bands."""
    once = rows.groupBy(SET).agg(F.min(RANK).alias("first"), F.any_value("bands").alias("bands"))
    new = [] if ranking.index is None else [ranking.is_new(F.col("first")).alias("new")]
    known = F.struct("set.hi", "set.lo", F.col(f"first.{KEY}").alias("key"), *new)
    return once.select(known.alias(SET), "bands")


def _set(name: str) -> Column:
    """A set without its key."""
    return F.struct(f"{name}.hi", f"{name}.lo").alias(name)


def _asked(found: DataFrame) -> DataFrame:
    """The sets that are to be compared, with the keys of their first rows."""
    asked = found.select(F.explode(F.array_compact(F.array(A, B))).alias(SET)).distinct()
    return asked.select(_set(SET), F.col("set.key").alias(KEY))


def _shingled(df: DataFrame, text: Column, options: MinHash, found: DataFrame) -> DataFrame:
    """The shingles of each set that is to be compared, from the text of its first row."""
    texts = df.select(KEY, text.alias("text")).join(_asked(found), KEY)
    # Rows that share a key are equal.
    texts = texts.groupBy(KEY, SET).agg(F.any_value("text").alias("text"))
    return texts.select(SET, numbers(F.col("text"), options.shingling).alias("numbers"))


def made_with(options: MinHash) -> dict[str, Any]:
    """What entries of an index depend on."""
    return {
        "columns": options.columns,
        "normalise": options.normalise.model_dump(),
        "tokens": options.tokens,
        "ngram": options.ngram,
        "threshold": options.threshold,
        "bands": options.cut.bands,
        "rows": options.cut.rows,
    }


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
    check_keep(df, options.keep, f"{place}.keep", options.columns)


METHOD = Method(
    "minhash",
    MinHash,
    minhash,
    example="{method: minhash, columns: [text], threshold: 0.8, keep: {first_by: created}}",
    check_columns=check_columns,
    fate="near-duplicate",
    scratch=True,
    made_with=made_with,
)
