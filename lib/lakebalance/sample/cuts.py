"""Exact places to cut groups in the order of their rows' hashes, as many cuts as wanted.

Like the thresholds of sampling: what lies between narrow bands around the cuts is only counted, and
what lies in them is ranked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial

from pyspark.sql import DataFrame
from pyspark.sql import Window as W
from pyspark.sql import functions as F

from lakebalance.core.small_tables import small_table
from lakebalance.core.sources import unite
from lakebalance.sample.thresholds import (
    GROUP,
    HASH,
    HIGHEST,
    LOWEST,
    Cut,
    band,
    in_bands,
    sigmas_for,
)

# Rows available in a group, and the number of rows that is to lie at or below the cut.
Wanted = tuple[int, int, int]
BELOW_ALL: Cut = (LOWEST, 0, True)


def find_cuts(
    frames: Sequence[DataFrame],
    wanted: Mapping[int, tuple[int, Iterable[int]]],
    sigmas: float | None = None,
) -> dict[int, dict[int, Cut]]:
    """For each group and number of rows, the hash at or below which exactly so many rows lie.

    One Spark job over the two columns, unless a band missed; none where nothing is to be found.

    Parameters
    ----------
    frames : frames with columns ``__lb_group`` and ``__lb_hash``, both bigint; together all rows.
    wanted : per group, rows available and the numbers of rows, from 0 to those available.
    sigmas : half width of the bands in standard deviations of a rank.

    Returns
    -------
    Per group and number a cut (last, at, whole): rows below ``last`` and ``at`` of those whose hash
    it is; ``whole`` says that these are all.

    Raises
    ------
    AuditError : a group does not hold the rows that were counted.
    """
    asked = [(group, n, k) for group, (n, ranks) in wanted.items() for k in sorted(set(ranks)) if k]
    open_ = dict(enumerate(asked))
    first = sigmas or sigmas_for(len(open_))
    hits = in_bands(partial(_locate, frames), open_, (first, 8 * first, float("inf")))
    found: dict[int, dict[int, Cut]] = {group: {0: BELOW_ALL} for group in wanted}
    for number, cut in hits.items():
        group, _, rank = open_[number]
        found[group][rank] = cut
    return found


def _locate(
    frames: Sequence[DataFrame], open_: Mapping[int, Wanted], sigmas: float
) -> dict[int, Cut]:
    spark, number_of = frames[0].sparkSession, {(g, k): i for i, (g, _, k) in open_.items()}
    pieces = small_table(spark, [GROUP, "low", "high", "ranked"], _pieces(open_, sigmas))
    here = F.when(F.col("ranked") == 1, F.col(HASH)).otherwise(F.col("low")).alias("here")
    inside = (F.col(HASH) >= F.col("low")) & (F.col(HASH) <= F.col("high"))
    placed = [
        rows.select(GROUP, HASH)
        .join(F.broadcast(pieces), GROUP)
        .where(inside)
        .select(GROUP, "ranked", here)
        for rows in frames
    ]
    counted = unite(placed).groupBy(GROUP, "ranked", "here").agg(F.count(F.lit(1)).alias("rows"))
    # A group's bands hold few of its rows, so that the largest group, too, fits one task.
    upto = F.sum("rows").over(W.partitionBy(GROUP).orderBy("here", "ranked"))
    ranks = small_table(spark, [GROUP, "rank"], [(g, k) for g, _, k in open_.values()])
    reached = (F.col("upto") >= F.col("rank")) & (F.col("upto") - F.col("rows") < F.col("rank"))
    hits = (
        counted.withColumn("upto", upto)
        .where("ranked = 1")
        .join(F.broadcast(ranks), GROUP)
        .where(reached)
        .select(GROUP, "rank", "here", "rows", (F.expr("rank - upto + rows")).alias("at"))
    )
    return {
        number_of[row[GROUP], row["rank"]]: (row["here"], row["at"], row["at"] == row["rows"])
        for row in hits.toArrow().to_pylist()
    }


def _pieces(open_: Mapping[int, Wanted], sigmas: float) -> list[tuple[int, int, int, int]]:
    """Each group's range of hashes in pieces: bands around the cuts, and what lies between."""
    bands: dict[int, list[tuple[int, int]]] = {}
    for group, available, rank in open_.values():
        bands.setdefault(group, []).append(band(available, rank, sigmas))
    pieces = []
    for group, own in bands.items():
        free = LOWEST
        for low, high in _merged(own):
            if free < low:
                pieces.append((group, free, low - 1, 0))
            pieces.append((group, low, high, 1))
            free = high + 1
        if free <= HIGHEST:
            pieces.append((group, free, HIGHEST, 0))
    return pieces


def _merged(bands: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Bands that do not overlap, rising."""
    merged: list[tuple[int, int]] = []
    for low, high in sorted(bands):
        if merged and low <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        else:
            merged.append((low, high))
    return merged
