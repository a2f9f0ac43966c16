"""``medoids``: keeps the rows of large groups that stand for the others."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Literal

import numpy as np
import pyarrow as pa
from pydantic import Field
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakebalance.core.counts import GroupCount
from lakebalance.core.errors import RecipeError
from lakebalance.core.exact_neighbours import nearest_to
from lakebalance.core.registry import Method
from lakebalance.core.small_tables import small_table
from lakebalance.prune.matches import MATCH, matches_from
from lakebalance.prune.neighbourhoods import (
    CHUNK,
    Dropped,
    coordinates,
    dropped_batch,
    in_order,
    measured_in,
    points,
)
from lakebalance.prune.options import ShrinkingOptions
from lakebalance.prune.representatives import representatives
from lakebalance.prune.survey import check_columns, named, shrinking, staying, surveyed
from lakebalance.prune.units import Units

CHUNKS = "__lb_chunks"
Part = tuple[int, int]


class Medoids(ShrinkingOptions):
    """Keep rows of a group that stand for the others, each of a cluster, as many as are asked for.

    Where cluster centroids would make rows up, these are rows of the table.
    """

    method: Literal["medoids"]
    max_iter: int = Field(
        10, ge=0, le=300, description="How often clusters are moved at most; 0 for cuts alone."
    )
    max_rows: int = Field(
        100_000,
        gt=0,
        description="About how many rows of a group are clustered together, in one task; larger "
        "groups are divided by key hash, and rows stand for those of their own part.",
    )


def medoids(df: DataFrame, options: Medoids, place: str) -> DataFrame:
    """The matches of rows that others of their group stand for.

    Of a group, exactly the rows asked for stay: one of each cluster, the nearest to its middle.
    Clusters begin as parts cut where rows vary most and are moved by k-means; nothing is by chance.

    Parameters
    ----------
    df : the rows for training, with ``__lb_key``.
    options : groups, features, scaling, how many rows stay.
    place : path in the recipe, for messages.

    Returns
    -------
    Frame ``dropped`` and ``neighbour`` (key hashes; the nearest row of the group that stays and
    was clustered with it), ``rows``, ``left``, ``method``, ``distance`` to it.

    Raises
    ------
    RecipeError : there is one group, a feature has no value, or fewer rows are to stay than a group
        must be divided into parts.

    References
    ----------
    Lin, Tsai, Hu, Jhang, "Clustering-based undersampling in class-imbalanced data", 2017, with the
    nearest neighbours of centres.
    """
    survey = surveyed(df, options, place)
    groups = survey.groups
    lose = shrinking(groups, options, place) if groups else []
    if not lose:
        return matches_from(df.sparkSession.createDataFrame([], MATCH), options.method)
    rows = staying(groups, options)
    units = measured_in(df, options, place, survey)
    chunks = {group.id: _chunks(group, rows, options, place) for group in lose}
    table = small_table(df.sparkSession, ["group", CHUNKS], list(chunks.items()))
    spread = points(df, options, survey.places).join(F.broadcast(table), "group")
    spread = spread.withColumn(CHUNK, F.pmod(F.col("hi"), F.col(CHUNKS))).drop(CHUNKS)
    counts = spread.groupBy("group", CHUNK).count().toArrow().to_pylist()
    found = {(line["group"], line[CHUNK]): line["count"] for line in counts}
    task = choosing(options, units, targets(found, rows))
    return matches_from(spread.groupBy("group", CHUNK).applyInArrow(task, MATCH), options.method)


def _chunks(group: GroupCount, rows: int, options: Medoids, place: str) -> int:
    """Into how many parts a group is divided."""
    chunks = math.ceil(group.rows / options.max_rows)
    if chunks > rows:
        raise RecipeError(
            f"{place}: group {named(group.values)} has {group.rows:,} rows, of which {rows:,} are "
            f"to stay, fewer than the {chunks:,} parts of {options.max_rows:,} that it is divided "
            f"into; write a larger {place}.rows, or {place}.max_rows: "
            f"{math.ceil(group.rows / rows)}"
        )
    return chunks


def targets(counts: Mapping[Part, int], rows: int) -> dict[Part, int]:
    """How many rows stay of each part, so that exactly ``rows`` stay of each group.

    Parameters
    ----------
    counts : rows by group and part; each group has at least ``rows``, and at most so many parts.

    Examples
    --------
    >>> targets({(7, 0): 40, (7, 1): 1, (7, 2): 59}, 10)
    {(7, 0): 3, (7, 1): 1, (7, 2): 6}
    """
    shares = {}
    for group in dict.fromkeys(group for group, _ in sorted(counts)):
        parts = [part for part in sorted(counts) if part[0] == group]
        # One each, so that no part is without; the rest by how many more each has.
        more, total, before = rows - len(parts), sum(counts[p] - 1 for p in parts), 0
        for part in parts:
            upto = before + counts[part] - 1
            share = more * upto // total - more * before // total if total else 0
            shares[part], before = 1 + share, upto
    return shares


def choosing(
    options: Medoids, units: Units, wanted: Mapping[Part, int]
) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """The task that chooses the rows that stay of a part of a group."""

    def make(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        table = in_order(batches)
        at = units.place(coordinates(table, len(units.unit)))
        count = wanted[table["group"][0].as_py(), table[CHUNK][0].as_py()]
        stay = representatives(at, count, options.max_iter)
        rows = np.setdiff1d(np.arange(len(at)), stay)
        near, far = nearest_to(at[stay], at[rows], 1)
        dropped = Dropped(rows, stay[near[:, 0]], far[:, 0])
        yield dropped_batch(table["hi"].to_numpy(), table["lo"].to_numpy(), dropped)

    return make


METHOD = Method(
    "medoids",
    Medoids,
    medoids,
    example="{method: medoids, by: [label], features: [x, y], rows: 1000}",
    check_columns=check_columns,
    fate="undersampled",
    training_only=True,
)
