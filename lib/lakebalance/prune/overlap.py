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
from lakebalance.prune.ngram_texts import rows_grams, shown, tests_grams
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
    grams = tests.select("number", F.explode("grams.hi").alias("hi"))
    place = F.col("hi").bitwiseAND(MOST_BITS - 1)
    one = F.lit(1).cast("bigint")
    marks = grams.groupBy(F.shiftright(place, 6).alias("word")).agg(
        F.bit_or(F.call_function("shiftleft", one, place.bitwiseAND(63).cast("int"))).alias("bits"),
        F.bit_or(F.call_function("shiftleft", one, F.col("number"))).alias("lengths"),
    )
    table = marks.toArrow()
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
        F.min(F.struct(KEY, COLUMN)).alias("first"),
    )
    hits = texts.select(TEXT, "members", F.explode("grams").alias(GRAM))
    parts = tests.select(TEST, SIZE, F.explode("grams").alias(GRAM))
    if search.boilerplate is not None:
        common = hits.groupBy(GRAM).agg(F.sum("members").alias("in"))
        common = common.where(F.col("in") > search.boilerplate)
        # The size is that of what is left.
        whole = Window.partitionBy(TEST)
        parts = parts.join(common, GRAM, "left_anti")
        parts = parts.withColumn(SIZE, F.count(F.lit(1)).over(whole))
    best = _best(texts, hits, parts, search)
    best = best.join(tests.select(TEST, WITNESS), TEST)
    return _shown(df, rows, best, tables, search.cut, known)


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


def _best(texts: DataFrame, hits: DataFrame, parts: DataFrame, search: Search) -> DataFrame:
    """Of each text the evaluation text of which it holds most, and the first n-gram of it."""
    hits = hits.select(TEXT, GRAM)
    if search.share is None:
        index = parts.groupBy(GRAM).agg(F.min(TEST).alias(TEST))
        counted = hits.join(index, GRAM).groupBy(TEXT, TEST).agg(F.count(F.lit(1)).alias("n"))
        most = F.min(F.struct(-F.col("n"), F.col(TEST))).alias("most")
        pairs = counted.groupBy(TEXT).agg(most).select(TEXT, f"most.{TEST}")
    else:
        pairs = hits.join(_rarest(parts, search.share), GRAM).select(TEXT, TEST).distinct()
    held = pairs.join(hits, TEXT).join(parts, [TEST, GRAM])
    told = held.groupBy(TEXT, TEST).agg(
        F.count(F.lit(1)).alias(SHARED), F.min(GRAM).alias(GRAM), F.any_value(SIZE).alias(SIZE)
    )
    told = told.withColumn("share", F.col(SHARED) / F.col(SIZE))
    similarity = F.lit(None).cast("double")
    if search.jaccard:
        told = told.join(texts.select(TEXT, "number"), TEXT)
        similarity = F.col(SHARED) / (F.col(SIZE) + F.col("number") - F.col(SHARED))
    told = told.withColumn("similarity", similarity)
    if search.share is not None:
        enough = F.col("similarity" if search.jaccard else "share")
        told = told.where(enough >= F.lit(search.share))
    names = [SHARED, "share", "similarity", GRAM]
    first = F.struct(-F.col(SHARED), -F.col("share"), F.col(TEST), *map(F.col, names))
    found = told.groupBy(TEXT).agg(F.min(first).alias("told")).select(TEXT, "told.*")
    return found.select(TEXT, TEST, *names).join(texts.select(TEXT, "first"), TEXT)


def _rarest(parts: DataFrame, share: float) -> DataFrame:
    """So many of the rarest n-grams of each evaluation text that one is in any share of them."""
    often = F.count(F.lit(1)).over(Window.partitionBy(GRAM))
    order = F.row_number().over(Window.partitionBy(TEST).orderBy("often", GRAM))
    placed = parts.withColumn("often", often).withColumn("place", order)
    # A little less, so that rounding makes them one too many at most, never one too few.
    least = F.ceil(F.lit(share * (1 - 1e-9)) * F.col(SIZE))
    return placed.where(F.col("place") <= F.col(SIZE) - least + 1).select(GRAM, TEST)


def _shown(
    df: DataFrame,
    rows: DataFrame,
    best: DataFrame,
    tables: Sequence[EvaluationTable],
    cut: Cut,
    known: Sought,
) -> DataFrame:
    """The rows of the texts found, where both have the n-gram as text, not by its hash alone."""
    names = columns_of(tables)

    def gram(texts: Column, salt: Column) -> Column:
        return shown(texts, F.col(GRAM), salt, cut, known.lengths)

    asked = best.select(TEXT, GRAM, F.col("first.*"))
    theirs = df.select(KEY, F.array(*[joined([name]) for name in names]).alias("texts"))
    theirs = theirs.join(asked, KEY)
    # Rows that share a key are equal.
    own = theirs.groupBy(TEXT).agg(
        F.any_value(KEY).alias(KEY), *[F.any_value(n).alias(n) for n in ("texts", GRAM, COLUMN)]
    )
    own = own.select(
        TEXT, gram(F.element_at("texts", F.col(COLUMN) + 1), F.col(COLUMN)).alias("ngram")
    )
    wanted = best.select(GRAM, WITNESS).distinct()
    looked_up = []
    for i, table in enumerate(tables):
        for name, columns in table.columns.items():
            at = F.struct(
                F.lit(i).alias(TABLE),
                table.pinned.key_hash.alias("key"),
                F.lit(names.index(name)).alias(COLUMN),
            )
            looked_up.append(table.pinned.df.select(at.alias(WITNESS), joined(columns).alias("t")))
    tests = unite(looked_up).join(wanted, WITNESS)
    tests = tests.groupBy(WITNESS, GRAM).agg(F.any_value("t").alias("t"))
    tests = tests.select(WITNESS, GRAM, gram(F.col("t"), F.col(f"{WITNESS}.{COLUMN}")).alias("as"))
    both = best.join(own, TEXT).join(tests, [WITNESS, GRAM]).where(F.col("ngram") == F.col("as"))
    counted = rows.groupBy(KEY, COLUMN, TEXT).agg(F.count(F.lit(1)).alias("rows"))
    told = [WITNESS, SHARED, "share", "similarity", "ngram"]
    return counted.join(both.select(TEXT, *told), TEXT).select(KEY, "rows", COLUMN, *told)
