"""Measures over all rows how far some columns settle another, and shows the rows that break it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from lakebalance.core.columns import column, kinds
from lakebalance.core.hashing import hash128, salted
from lakebalance.profiling.kinds import as_key, from_text
from lakebalance.profiling.lattice import Set
from lakebalance.profiling.sample import threshold

Pair = tuple[Set, int]
MOST_CLUSTERS = 10
MOST_VALUES = 5


@dataclass(frozen=True)
class Measured:
    """Rows; those that disagree with most of their left side; and those that share it at all.

    ``groups`` are the different left sides, ``broken`` those with several values on the right.
    """

    rows: int
    disagreeing: int
    shared: int
    groups: int
    broken: int


def measure(
    df: DataFrame, names: Sequence[str], pairs: Sequence[Pair], share: float
) -> dict[Pair, Measured]:
    """Count over all rows of a share of each left side's values; one Spark job for all pairs.

    Parameters
    ----------
    df : the table.
    names : its columns, which the pairs name by their places.
    pairs : left and right sides.
    share : of the left sides' values, chosen by their hash; 1 for all.

    Returns
    -------
    By pair; a pair of which no row was chosen is missing.
    """
    found = (
        _groups(df, names, pairs, share)
        .groupBy("p")
        .agg(
            F.sum("rows").alias("rows"),
            F.sum(F.col("rows") - F.col("most")).alias("wrong"),
            F.sum(F.when(F.col("rows") > 1, F.col("rows")).otherwise(0)).alias("shared"),
            F.count(F.lit(1)).alias("groups"),
            F.count_if(F.col("values") > 1).alias("broken"),
        )
    )
    return {
        pairs[row["p"]]: Measured(
            row["rows"], row["wrong"], row["shared"], row["groups"], row["broken"]
        )
        for row in found.toArrow().to_pylist()
    }


def _groups(df: DataFrame, names: Sequence[str], pairs: Sequence[Pair], share: float) -> DataFrame:
    """Columns ``p``, ``k`` (hash of the left side), ``rows``, ``most``, ``values``."""
    lefts = sorted({left for left, _ in pairs})
    used = sorted({i for left, right in pairs for i in (*left, right)})
    hashed = df.select(*[hash128(df, [names[i]], "value").alias(f"h{i}") for i in used])
    keys = [F.struct(F.lit(x).alias("x"), _joint(left).alias("k")) for x, left in enumerate(lefts)]
    rows = hashed.select("*", F.inline(F.array(*keys)))
    if share < 1:
        rows = rows.where(F.col("k.hi") < threshold(share))
    rights = reduce(
        lambda chosen, x: chosen.when(F.col("x") == x, _rights(lefts[x], pairs)),
        range(1, len(lefts)),
        F.when(F.col("x") == 0, _rights(lefts[0], pairs)),
    )
    counted = (
        rows.select("k", F.inline(rights)).groupBy("p", "k", "a").agg(F.count(F.lit(1)).alias("n"))
    )
    return counted.groupBy("p", "k").agg(
        F.sum("n").alias("rows"), F.max("n").alias("most"), F.count(F.lit(1)).alias("values")
    )


def _joint(left: Set) -> Column:
    """The hash of several columns, of their hashes."""
    if len(left) == 1:
        return F.col(f"h{left[0]}")
    halves = [
        salted(f"joint|{half}", [F.col(f"h{i}.{half}") for i in left]).alias(half)
        for half in ("hi", "lo")
    ]
    return F.struct(*halves)


def _rights(left: Set, pairs: Sequence[Pair]) -> Column:
    entries = [
        F.struct(F.lit(p).alias("p"), F.col(f"h{right}.hi").alias("a"))
        for p, (own, right) in enumerate(pairs)
        if own == left
    ]
    return F.array(*entries)


def explain(
    df: DataFrame, names: Sequence[str], pairs: Sequence[Pair]
) -> list[list[dict[str, Any]]]:
    """The left sides with most rows that disagree, of each pair; two Spark jobs for all.

    Parameters
    ----------
    df, names, pairs : as of ``measure``.

    Returns
    -------
    Of each pair at most ten ``{"group", "rows", "disagreeing", "values": [{"value", "rows"}],
    "different_values", "repair", "majority"}``, the worst first; ``values`` are the commonest,
    ``repair`` the first of them, ``majority`` says whether no other has as many rows.
    """
    wrong = F.col("rows") - F.col("most")
    worst = Window.partitionBy("p").orderBy(wrong.desc(), "k")
    groups = (
        _groups(df, names, pairs, 1.0)
        .where("values > 1")
        .withColumn("rank", F.row_number().over(worst))
        .where(F.col("rank") <= MOST_CLUSTERS)
        .toArrow()
        .to_pylist()
    )
    wanted: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for group in sorted(groups, key=lambda g: g["rank"]):
        wanted[group["p"]].append(group)
    counts = _counts(df, names, pairs, wanted)
    return [
        [_cluster(df, names, pair, group, counts[p, _key(group["k"])]) for group in wanted[p]]
        for p, pair in enumerate(pairs)
    ]


def _key(k: Mapping[str, int]) -> tuple[int, int]:
    return k["hi"], k["lo"]


def _counts(
    df: DataFrame,
    names: Sequence[str],
    pairs: Sequence[Pair],
    wanted: Mapping[int, Sequence[Mapping[str, Any]]],
) -> dict[tuple[int, tuple[int, int]], list[dict[str, Any]]]:
    """The commonest values on the right of some left sides, with the values on the left."""
    kind = kinds(df)
    used = sorted({i for left, right in pairs for i in (*left, right)})
    text = {i: as_key(column(names[i]), kind[names[i]]) for i in used}
    hashed = df.select(
        *[hash128(df, [names[i]], "value").alias(f"h{i}") for i in used],
        *[text[i].alias(f"t{i}") for i in used],
    )
    entries = []
    for p, (left, right) in enumerate(pairs):
        if not wanted.get(p):
            continue
        key = _joint(left)
        ours = key.getField("hi").isin([group["k"]["hi"] for group in wanted[p]])
        entry = F.struct(
            F.lit(p).alias("p"),
            key.alias("k"),
            F.array(*[F.col(f"t{i}") for i in left]).alias("left"),
            F.col(f"t{right}").alias("value"),
        )
        entries.append(F.when(ours, entry))
    by_count = Window.partitionBy("p", "k").orderBy(F.col("rows").desc(), "value")
    found = (
        hashed.select(F.inline(F.array(*entries)))
        .where("p IS NOT NULL")
        .groupBy("p", "k", "left", "value")
        .agg(F.count(F.lit(1)).alias("rows"))
        .withColumn("rank", F.row_number().over(by_count))
        .where(F.col("rank") <= MOST_VALUES)
        .toArrow()
        .to_pylist()
    )
    by_group: dict[tuple[int, tuple[int, int]], list[dict[str, Any]]] = defaultdict(list)
    for row in sorted(found, key=lambda row: row["rank"]):
        by_group[row["p"], _key(row["k"])].append(row)
    return by_group


def _cluster(
    df: DataFrame,
    names: Sequence[str],
    pair: Pair,
    group: Mapping[str, Any],
    counts: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    kind = kinds(df)
    left, right = pair
    values = [
        {"value": from_text(row["value"], kind[names[right]]), "rows": row["rows"]}
        for row in counts
    ]
    return {
        "group": {
            names[i]: from_text(text, kind[names[i]])
            for i, text in zip(left, counts[0]["left"], strict=True)
        },
        "rows": group["rows"],
        "disagreeing": group["rows"] - group["most"],
        "values": values,
        "different_values": group["values"],
        "repair": values[0]["value"],
        "majority": len(values) < 2 or values[0]["rows"] > values[1]["rows"],
    }
