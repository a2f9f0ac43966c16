"""Which texts of rows hold n-grams of evaluation texts, and of which one most.

Rows are read once: a filter of the n-grams that are looked for goes to each task, so that only rows
that have such n-grams are shuffled, as these alone. An n-gram in a million rows stands for one of
the evaluation texts that have it, or, where a share of a text is asked for, for those of which it
is among the rarest: of any n-grams that make up a share s of m, one is among the m - ⌈s m⌉ + 1 that
are the rarest in evaluation texts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from lakebalance.core.columns import column
from lakebalance.core.components import Scratch
from lakebalance.core.evaluation import EvaluationTable
from lakebalance.core.hashing import mixed
from lakebalance.core.ngrams import MOST_BITS, Cut, Filter
from lakebalance.core.sources import KEY, unite
from lakebalance.prune.ngram_texts import rows_grams, tests_grams
from lakebalance.prune.texts import valid

# What is looked for: a set of n-grams, the first row that has it, and how many there are.
TEST, WITNESS, SIZE = "test", "witness", "size"
# Where it may be found: rows of equal n-grams are one text.
TEXT, GRAM = "text", "gram"
TABLE, COLUMN, SHARED = "table", "column", "shared"


@dataclass(frozen=True)
class Search:
    """What counts as an overlap: ``share`` of an evaluation text's n-grams, or one if None.

    With ``jaccard`` as much of those of both texts together. N-grams in more rows than
    ``boilerplate`` do not count.
    """

    cut: Cut
    share: float | None = None
    jaccard: bool = False
    boilerplate: int | None = None


@dataclass(frozen=True)
class Sought:
    """The n-grams that are looked for, as marks, and how many tokens they have."""

    marks: Filter
    lengths: frozenset[int]


def columns_of(tables: Sequence[EvaluationTable]) -> list[str]:
    """The columns of the rows that evaluation tables are compared with, each once."""
    return list(dict.fromkeys(name for table in tables for name in table.columns))


def joined(names: Sequence[str]) -> Column:
    """The texts of some columns, line after line; a list of texts is as many lines."""
    return valid(F.concat_ws("\n", *map(column, names)))


def tests_of(tables: Sequence[EvaluationTable], cut: Cut) -> DataFrame:
    """The texts of evaluation tables: ``table`` and ``column`` by number, key, tokens, n-grams."""
    names = columns_of(tables)
    found = []
    for i, table in enumerate(tables):
        for name, own in table.columns.items():
            salt = names.index(name)
            found.append(
                table.pinned.df.select(
                    F.lit(i).alias(TABLE),
                    F.lit(salt).alias(COLUMN),
                    table.pinned.key_hash.alias("key"),
                    tests_grams(joined(own), cut, salt).alias("said"),
                )
            )
    return unite(found).select(TABLE, COLUMN, "key", "said.number", "said.grams")


def sought(tests: DataFrame) -> Sought:
    """The marks of all n-grams of evaluation texts; a job that returns at most 2^21 numbers.

    Parameters
    ----------
    tests : as ``tests_of`` makes them.
    """
    grams = tests.select("number", F.explode("grams").alias(GRAM))
    halves = [F.col(f"{GRAM}.{half}") for half in ("hi", "lo")]
    marks = F.array(*[F.shiftrightunsigned(half, n) for half in halves for n in (0, 32)])
    place = F.col("mark").bitwiseAND(MOST_BITS - 1)
    one = F.lit(1).cast("bigint")
    words = (
        grams.select("number", F.explode(marks).alias("mark"))
        .groupBy(F.shiftright(place, 6).alias("word"))
        .agg(
            F.bit_or(F.call_function("shiftleft", one, place.bitwiseAND(63).cast("int"))).alias(
                "bits"
            ),
            F.bit_or(F.call_function("shiftleft", one, F.col("number"))).alias("lengths"),
        )
    )
    table = words.toArrow()
    lengths = int(np.bitwise_or.reduce(table["lengths"].to_numpy(), initial=0))
    bits = table["bits"].to_numpy().view(np.uint64)
    return Sought(
        Filter.of(table["word"].to_numpy(), bits),
        frozenset(n for n in range(64) if lengths >> n & 1),
    )


def overlaps(
    df: DataFrame,
    tables: Sequence[EvaluationTable],
    search: Search,
    known: Sought,
    keep: Scratch,
) -> DataFrame:
    """Each row's evaluation text of which it holds most, where that is enough.

    Parameters
    ----------
    df : rows, with ``__lb_key``.
    tables : what they are compared with.
    search : what is enough.
    known : what is looked for.
    keep : returns a frame as written under a name, so that nothing is done twice, or as it is.

    Returns
    -------
    Frame ``__lb_key``, ``rows`` of that key, ``column`` by number, ``witness`` (the evaluation
    text's table by number and key), ``shared`` (n-grams), ``share`` (of the evaluation text's),
    ``similarity`` (Jaccard; null without ``jaccard``), ``ngram`` (one that both have).
    """
    rows = keep(_rows(df, columns_of(tables), search, known), "rows")
    tests = keep(_sets(tests_of(tables, search.cut)), "tests")
    texts = rows.groupBy(TEXT).agg(
        F.count(F.lit(1)).alias("members"),
        F.any_value("number").alias("number"),
        F.any_value("grams").alias("grams"),
    )
    hits = texts.select(TEXT, "members", "number", F.explode("grams").alias("held"))
    hits = hits.select(TEXT, "members", "number", F.struct("held.hi", "held.lo").alias(GRAM))
    parts = tests.select(TEST, WITNESS, SIZE, F.explode("grams").alias(GRAM))
    if search.boilerplate is not None:
        common = hits.groupBy(GRAM).agg(F.sum("members").alias("in"))
        common = common.where(F.col("in") > search.boilerplate)
        # The size is that of what is left.
        whole = Window.partitionBy(TEST)
        parts = parts.join(common, GRAM, "left_anti")
        parts = parts.withColumn(SIZE, F.count(F.lit(1)).over(whole))
    best = _best(hits, parts, search)
    hi, lo = F.col(f"{GRAM}.hi"), F.col(f"{GRAM}.lo")
    held = F.filter("grams", lambda own: (own.getField("hi") == hi) & (own.getField("lo") == lo))
    told = [WITNESS, SHARED, "share", "similarity", "ngram"]
    # Rows that share a key are equal.
    return (
        rows.join(best, TEXT)
        .withColumn("ngram", F.element_at(held, 1).getField("said"))
        .groupBy(KEY, COLUMN)
        .agg(F.count(F.lit(1)).alias("rows"), *[F.any_value(name).alias(name) for name in told])
    )


def _rows(df: DataFrame, names: Sequence[str], search: Search, known: Sought) -> DataFrame:
    """The texts of rows that have n-grams which may be looked for."""
    cut, counted = search.cut, search.jaccard
    said = [
        rows_grams(joined([name]), cut, i, known.lengths, known.marks, counted).alias(f"said{i}")
        for i, name in enumerate(names)
    ]
    each = [
        F.struct(F.lit(i).alias(COLUMN), F.col(f"said{i}.number"), F.col(f"said{i}.grams"))
        for i in range(len(names))
    ]
    texts = df.select(KEY, *said).select(KEY, F.inline(F.array(*each)))
    content = ["number", "grams"]
    halves = [mixed(f"text|{half}", [*map(F.col, content)]).alias(half) for half in ("hi", "lo")]
    return texts.where(F.size("grams") > 0).select(
        KEY, COLUMN, F.struct(*halves).alias(TEXT), *content
    )


def _sets(tests: DataFrame) -> DataFrame:
    """Each set of n-grams of evaluation texts once, with the first text that has it."""
    halves = [mixed(f"test|{half}", [F.col("grams")]).alias(half) for half in ("hi", "lo")]
    told = tests.where(F.size("grams") > 0).select(
        F.struct(*halves).alias(TEST), F.struct(TABLE, "key", COLUMN).alias(WITNESS), "grams"
    )
    once = told.groupBy(TEST).agg(
        F.min(WITNESS).alias(WITNESS), F.any_value("grams").alias("grams")
    )
    return once.select("*", F.size("grams").cast("bigint").alias(SIZE))


def _best(hits: DataFrame, parts: DataFrame, search: Search) -> DataFrame:
    """Of each text the evaluation text of which it holds most, and the first n-gram of it."""
    held = F.collect_set(GRAM).alias("held")
    number = F.any_value("number").alias("number")
    if search.share is None:
        index = parts.groupBy(GRAM).agg(F.min(TEST).alias(TEST))
        # Of those with as many the least.
        most = F.mode(TEST, True).alias(TEST)
        pairs = hits.join(index, GRAM).groupBy(TEXT).agg(held, number, most)
    else:
        several = F.collect_set(TEST).alias("tests")
        index = _rarest(parts, search.share)
        pairs = hits.join(index, GRAM, "left").groupBy(TEXT).agg(held, number, several)
        pairs = pairs.select("*", F.explode("tests").alias(TEST))
    pairs = pairs.select(TEXT, TEST, "number", F.explode("held").alias(GRAM))
    told = (
        pairs.join(parts, [TEST, GRAM])
        .groupBy(TEXT, TEST)
        .agg(
            F.count(F.lit(1)).alias(SHARED),
            F.min(GRAM).alias(GRAM),
            *[F.any_value(name).alias(name) for name in (SIZE, WITNESS, "number")],
        )
    )
    share = F.col(SHARED) / F.col(SIZE)
    jaccard = F.col(SHARED) / (F.col(SIZE) + F.col("number") - F.col(SHARED))
    told = told.withColumns(
        {
            "share": share,
            "similarity": jaccard if search.jaccard else F.lit(None).cast("double"),
        }
    )
    if search.share is not None:
        told = told.where(F.col("similarity" if search.jaccard else "share") >= search.share)
    names = [WITNESS, SHARED, "share", "similarity", GRAM]
    order = [-F.col(SHARED), -F.col("share"), F.col(TEST)]
    first = F.min(F.struct(*order, *map(F.col, names))).alias("told")
    return told.groupBy(TEXT).agg(first).select(TEXT, *[f"told.{name}" for name in names])


def _rarest(parts: DataFrame, share: float) -> DataFrame:
    """So many of the rarest n-grams of each evaluation text that one is in any share of them."""
    often = F.count(F.lit(1)).over(Window.partitionBy(GRAM))
    order = F.row_number().over(Window.partitionBy(TEST).orderBy("often", GRAM))
    placed = parts.withColumn("often", often).withColumn("place", order)
    # A little less, so that rounding makes them one too many at most, never one too few.
    least = F.ceil(F.lit(share * (1 - 1e-9)) * F.col(SIZE))
    return placed.where(F.col("place") <= F.col(SIZE) - least + 1).select(GRAM, TEST)
