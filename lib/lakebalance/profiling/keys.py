"""Keys: minimal sets of columns that no two rows share, and that have no nulls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakebalance.core.hashing import hash128
from lakebalance.profiling.facts import ColumnFacts
from lakebalance.profiling.lattice import Set, is_unique, sets_of
from lakebalance.profiling.sample import Sample, threshold
from lakebalance.profiling.statistics import ERROR_OF_DISTINCT

# So many candidates are checked on all rows at once; there are seldom more.
MOST_CHECKED = 100
# Before all rows are shuffled, candidates are tried on those of about so many values of theirs.
FIRST_TRY = 20_000
SLACK = 1 + 6 * ERROR_OF_DISTINCT


@dataclass(frozen=True)
class Keys:
    """The keys found, the best first; ``complete`` unless some sets were too many to be tried.

    ``left_out`` are columns with nulls or NaN, which no key has.
    """

    found: list[list[str]]
    size: int
    complete: bool
    left_out: list[str]

    def to_dict(self) -> dict[str, Any]:
        """The keys as ``profile --json`` prints them."""
        return {
            "found": self.found,
            "most_columns": self.size,
            "complete": self.complete,
            "columns_with_nulls": self.left_out,
        }


def find_keys(df: DataFrame, facts: Sequence[ColumnFacts], sample: Sample, most: int) -> Keys:
    """Find all minimal keys of at most so many columns; at most two Spark jobs a size.

    A set is tried on the sample first; what is unique there is counted over all rows, exactly, by
    128-bit hashes. A set that is no key has supersets that may be one. A null says that a value is
    not known, so columns with nulls (or NaN) are in no key; nor are nested ones, as not all can be
    sorted.

    Parameters
    ----------
    df : the table.
    facts : its columns.
    sample : some of its rows.
    most : columns of a key.
    """
    rows = facts[0].rows
    left_out = [f.name for f in facts if f.nulls or f.nans]
    usable = [
        i for i, f in enumerate(facts) if f.filled == rows and not f.constant and f.kind != "nested"
    ]
    keys: list[Set] = []
    complete = True
    for size in range(1, most + 1):
        sets, whole = sets_of(usable, size, keys)
        enough = [s for s in sets if prod(facts[i].distinct * SLACK for i in s) >= rows]
        likely = [s for s in enough if is_unique(sample.codes, s)]
        # A key of columns with few values says more than one that has a number of each row.
        likely.sort(key=lambda s: (prod(facts[i].distinct for i in s), s))
        complete &= whole and len(likely) <= MOST_CHECKED
        checked = [[facts[i].name for i in s] for s in likely[:MOST_CHECKED]]
        unique = are_unique(df, checked, rows)
        keys += [s for s, held in zip(likely, unique, strict=False) if held]
    found = [[facts[i].name for i in key] for key in keys]
    return Keys(found, most, complete, left_out)


def are_unique(df: DataFrame, sets: Sequence[Sequence[str]], rows: int) -> list[bool]:
    """Whether no two rows agree in all columns of each set; one or two Spark jobs for all.

    Parameters
    ----------
    df : the table.
    sets : sets of its columns.
    rows : how many rows it has.
    """
    left = list(range(len(sets)))
    share = FIRST_TRY / rows if rows else 1.0
    if share < 0.5 and len(sets) > 1:
        repeated = _repeated(df, sets, left, share)
        left = [i for i in left if i not in repeated]
    if left:
        repeated = _repeated(df, sets, left, 1.0)
        left = [i for i in left if i not in repeated]
    return [i in left for i in range(len(sets))]


def _repeated(
    df: DataFrame, sets: Sequence[Sequence[str]], which: Sequence[int], share: float
) -> set[int]:
    """The sets of which some value stands in two rows, among a share of each set's values."""
    entries = [
        F.struct(F.lit(i).alias("i"), hash128(df, list(sets[i]), "unique").alias("h"))
        for i in which
    ]
    hashed = df.select(F.inline(F.array(*entries)))
    if share < 1:
        # By the value's own hash, so that rows that share it are all there or none.
        hashed = hashed.where(F.col("h.hi") < threshold(share))
    twice = hashed.groupBy("i", "h").agg(F.count(F.lit(1)).alias("n")).where("n > 1")
    return {row["i"] for row in twice.select("i").distinct().toArrow().to_pylist()}
