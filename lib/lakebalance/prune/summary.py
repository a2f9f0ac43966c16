"""What the matches of a step say as a whole: sizes of clusters, sources, and the largest ones.

A cluster is a row that stays and the rows that go for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from lakebalance.core.columns import column
from lakebalance.core.hashing import is_one_of
from lakebalance.core.sources import KEY, SOURCE
from lakebalance.prune.texts import valid

LARGEST = 10
# The row that stays, and so many of those that go for it.
GONE_SHOWN = 2
CHARACTERS = 200
MOST_PAIRS = 1000
# What is kept of a row that stayed in an earlier batch has no text.
EARLIER = {"source": "an earlier batch", "text": ""}
SIZES, BETWEEN, TOP = "sizes", "between", "top"

Key = tuple[int, int]


def summarise(matches: DataFrame) -> dict[str, Any]:
    """Sum a step's matches up in one action; only what comes back reaches the driver.

    Parameters
    ----------
    matches : frame ``dropped`` and ``kept`` (key hashes) and ``rows``; with sources if it has
        ``dropped_source`` and ``kept_source``.

    Returns
    -------
    ``clusters``, ``rows`` (dropped), ``sizes``: per power of two ``from`` and ``to`` (rows of a
    cluster, the one that stays too), ``clusters`` and ``rows``; ``between``: rows dropped of a
    source whose kept row is of a source, most first, the first 1,000 pairs; ``largest``: ``key``
    (hash of the row that stays, in halves) and ``rows`` of up to ten clusters, largest first.
    """
    size = (F.sum("rows") + 1).alias("size")
    clusters = matches.groupBy("kept").agg(size)
    # Exact, which a logarithm of doubles is not.
    power = (F.char_length(F.bin("size")) - 1).alias("power")
    counted = clusters.groupBy(power).agg(
        F.count(F.lit(1)).alias("clusters"), F.sum("size").alias("rows")
    )
    top = clusters.orderBy(F.col("size").desc(), "kept").limit(LARGEST)
    parts = [
        counted.select(F.lit(SIZES).alias("part"), "power", "clusters", "rows"),
        top.select(F.lit(TOP).alias("part"), F.col("size").alias("rows"), "kept"),
    ]
    if "kept_source" in matches.columns:
        pairs = matches.groupBy("dropped_source", "kept_source").agg(F.sum("rows").alias("rows"))
        most = pairs.orderBy(F.col("rows").desc(), "dropped_source", "kept_source")
        parts.append(most.limit(MOST_PAIRS).withColumn("part", F.lit(BETWEEN)))
    whole = parts[0]
    for part in parts[1:]:
        whole = whole.unionByName(part, allowMissingColumns=True)
    found: dict[str, list[Any]] = {SIZES: [], BETWEEN: [], TOP: []}
    for row in whole.collect():
        found[row["part"]].append(row)
    return _said(found)


def _said(found: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
    sizes = [
        {
            "from": 2 ** row["power"],
            "to": 2 ** (row["power"] + 1) - 1,
            "clusters": row["clusters"],
            "rows": row["rows"],
        }
        for row in sorted(found[SIZES], key=lambda row: row["power"])
    ]
    clusters = sum(size["clusters"] for size in sizes)
    between = [
        {"dropped": row["dropped_source"], "kept": row["kept_source"], "rows": row["rows"]}
        for row in found[BETWEEN]
    ]
    top = [{"key": tuple(row["kept"]), "rows": row["rows"]} for row in found[TOP]]
    return {
        "clusters": clusters,
        "rows": sum(size["rows"] for size in sizes) - clusters,
        "sizes": sizes,
        "between": sorted(between, key=lambda b: (-b["rows"], b["dropped"], b["kept"])),
        "largest": sorted(top, key=lambda c: (-c["rows"], c["key"])),
    }


def excerpts(
    matches: DataFrame, rows: DataFrame, columns: Sequence[str], kept: Sequence[Key]
) -> list[dict[str, Any]]:
    """The beginnings of texts of some clusters: of the row that stays, and of two that go for it.

    Those that go are the ones least like it. Two actions: over the matches, of which at most two
    keys of each cluster reach the driver, and a scan of the texts, of which those rows' 200
    characters do.

    Parameters
    ----------
    matches : frame ``dropped``, ``kept`` and ``similarity``.
    rows : all rows with ``__lb_key``, ``__lb_source`` and the columns.
    columns : columns of text, put together as lines.
    kept : key hashes of the rows that stay.

    Returns
    -------
    Per cluster, in the order of ``kept``: ``kept`` (``source`` and ``text``) and ``dropped`` (a
    list of ``source``, ``text`` and ``similarity``). What is cut off a text leaves an ellipsis; a
    row of an earlier batch has no text.
    """
    if not kept:
        return []
    own = matches.where(is_one_of("kept", kept)).where(F.col("dropped") != F.col("kept"))
    least = Window.partitionBy("kept").orderBy(F.col("similarity").asc_nulls_last(), "dropped")
    turn = F.row_number().over(least).alias("turn")
    gone = own.select("kept", "dropped", "similarity", turn).where(F.col("turn") <= GONE_SHOWN)
    found: dict[Key, list[Any]] = {key: [] for key in kept}
    for row in sorted(gone.collect(), key=lambda row: row["turn"]):
        found[tuple(row["kept"])].append((tuple(row["dropped"]), row["similarity"]))
    keys = {*kept, *(key for gone in found.values() for key, _ in gone)}
    text = F.concat_ws("\n", *[valid(column(name)) for name in columns])
    said = rows.where(is_one_of(KEY, keys))
    said = said.select(KEY, SOURCE, F.substring(text, 1, CHARACTERS + 1).alias("text"))
    # Rows that share a key are equal, and there may be many of them.
    texts = {
        tuple(row[KEY]): {"source": row[SOURCE], "text": _clipped(row["text"])}
        for row in said.dropDuplicates([KEY]).collect()
    }
    return [
        {
            "kept": texts.get(key, EARLIER),
            "dropped": [texts[other] | {"similarity": similar} for other, similar in gone],
        }
        for key, gone in found.items()
    ]


def _clipped(text: str) -> str:
    return text if len(text) <= CHARACTERS else text[:CHARACTERS] + "…"
