"""``near_miss``: keeps the rows of large groups that lie near to the smallest one."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Literal

import numpy as np
import pyarrow as pa
from pydantic import Field
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from lakebalance.core.counts import GroupCount
from lakebalance.core.errors import RecipeError
from lakebalance.core.exact_neighbours import nearest_to
from lakebalance.core.neighbours import Floats, Ints, squared
from lakebalance.core.registry import Method
from lakebalance.prune.matches import MATCH, matches_from, of_keys
from lakebalance.prune.neighbourhoods import (
    ASKED_IN_A_TASK,
    CHUNK,
    check_rows,
    coordinates,
    in_order,
    measured_in,
    points,
    twins,
)
from lakebalance.prune.options import ShrinkingOptions
from lakebalance.prune.survey import (
    Survey,
    check_columns,
    named,
    shrinking,
    smallest_of,
    staying,
    surveyed,
)
from lakebalance.prune.units import Units

# What tasks say of a row: the nearest row of the smallest group, and the sum of distances that
# decides. ``of`` is a row of the smallest group which this one is near to, as version 3 asks.
LINE = (
    "hi bigint, lo bigint, twin bigint, group bigint, near_hi bigint, near_lo bigint, "
    "distance double, total double, of_hi bigint, of_lo bigint, of_twin bigint, of_far double"
)
ROW = ("hi", "lo", "twin")
PAIRS = 2**22


class NearMiss(ShrinkingOptions):
    """Keep the rows of a group that are near to the smallest group, as many as are asked for."""

    method: Literal["near_miss"]
    version: Literal[1, 2, 3] = Field(
        1,
        description="Which rows stay: 1, those nearest to their nearest rows of the smallest "
        "group; 2, nearest to their farthest ones; 3, of the rows nearest to each row of the "
        "smallest group, those farthest from their nearest ones, which may be fewer than asked.",
    )
    n_neighbors: int = Field(
        3, ge=1, le=100, description="Rows of the smallest group that distances are averaged over."
    )
    n_neighbors_ver3: int = Field(
        3, ge=1, le=100, description="With version 3: rows near to each row of the smallest group."
    )


def near_miss(df: DataFrame, options: NearMiss, place: str) -> DataFrame:
    """The matches of rows that are not among those near to the smallest group.

    Groups of no more rows than are to stay lose none. The smallest group is sent to every task;
    those of other groups are divided among them, so that they may be of any size. Equal distances
    are told apart by the key hash.

    Parameters
    ----------
    df : the rows for training, with ``__lb_key``.
    options : groups, features, scaling, version, neighbours, how many rows stay.
    place : path in the recipe, for messages.

    Returns
    -------
    Frame ``dropped`` and ``neighbour`` (key hashes; the nearest row of the smallest group),
    ``rows``, ``left``, ``method``, ``distance`` to it, and ``mean_distance``, which decided.

    Raises
    ------
    RecipeError : there is one group, a feature has no value, the smallest group has fewer rows than
        neighbours are asked for, is to lose rows, or is too large for a task.

    References
    ----------
    Zhang, Mani, "kNN Approach to Unbalanced Data Distributions: A Case Study Involving Information
    Extraction", 2003.
    """
    survey = surveyed(df, options, place)
    groups = survey.groups
    lose = _measurable(survey, options, place) if groups else []
    mean = (F.col("total") / F.lit(float(options.n_neighbors))).alias("mean_distance")
    if not lose:
        none = df.sparkSession.createDataFrame([], f"{MATCH}, total double")
        return matches_from(none.select("*", mean), options.method, ["mean_distance"])
    smallest = smallest_of(groups)
    units = measured_in(df, options, place, survey)
    asked = sum(group.rows for group in lose)
    # Never more copies of the smallest group than there are rows that are asked about.
    tasks = math.ceil(asked / max(ASKED_IN_A_TASK, smallest.rows))
    pool = F.col("group") == smallest.id
    chunks = F.when(pool, F.sequence(F.lit(0), F.lit(tasks - 1))).otherwise(
        F.array(F.pmod(F.col("hi"), F.lit(tasks)).cast("int"))
    )
    wanted = points(df, options, survey.places).where(
        pool | F.col("group").isin([group.id for group in lose])
    )
    spread = wanted.withColumn(CHUNK, F.explode(chunks))
    task = measuring(options, units, smallest.id)
    lines = spread.groupBy(CHUNK).applyInArrow(task, LINE)
    dropped = _dropped(lines, options, staying(groups, options))
    return matches_from(dropped.select("*", mean), options.method, ["mean_distance"])


def _measurable(survey: Survey, options: NearMiss, place: str) -> list[GroupCount]:
    """The groups that have more rows than are to stay; the smallest one is fit to measure by."""
    groups = survey.groups
    smallest = smallest_of(groups)
    name = named(smallest.values)
    lose = shrinking(groups, options, place)
    if not lose:
        return []
    if smallest in lose:
        raise RecipeError(
            f"{place}.rows: the smallest group, {name}, has {smallest.rows:,} rows and would keep "
            f"{options.rows:,}, but distances to it decide; leave it out of {place}."
            f"sampling_strategy, or write {place}.rows: {smallest.rows}"
        )
    if smallest.rows < options.n_neighbors:
        raise RecipeError(
            f"{place}: the smallest group, {name}, has {smallest.rows:,} rows, but distances are "
            f"averaged over {options.n_neighbors:,}; write {place}.n_neighbors: {smallest.rows}"
        )
    what = f"rows of the smallest group, {name},"
    check_rows(smallest.rows, survey.places.width, options, place, what)
    return lose


def _dropped(lines: DataFrame, options: NearMiss, rows: int) -> DataFrame:
    """The lines of rows that do not stay, one for each key, with the columns of ``MATCH``."""
    total, candidate = F.col("total"), F.lit(True)
    if options.version == 3:
        lines, total, candidate = _candidates(lines, options), -total, F.col("candidate")
    order = Window.partitionBy("group").orderBy((~candidate).cast("int"), total, *ROW)
    stays = candidate & (F.row_number().over(order) <= rows)
    one = [F.any_value(n).alias(n) for n in ("near_hi", "near_lo", "distance", "total")]
    return of_keys(lines, stays, one)


def _candidates(lines: DataFrame, options: NearMiss) -> DataFrame:
    """One line a row again: whether it is among the nearest to a row of the smallest group."""
    # Rows that no task found near to any are by themselves, so that no task gets all of them.
    of = [F.coalesce(F.col(f"of_{name}"), F.col(name)) for name in ROW]
    order = Window.partitionBy("group", *of).orderBy("of_far", *ROW)
    near = F.col("of_hi").isNotNull() & (F.row_number().over(order) <= options.n_neighbors_ver3)
    values = [F.any_value(n).alias(n) for n in ("near_hi", "near_lo", "distance", "total")]
    rows = lines.withColumn("candidate", near).groupBy("group", *ROW)
    return rows.agg(*values, F.max("candidate").alias("candidate"))


def measuring(
    options: NearMiss, units: Units, smallest: int
) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """The task that measures how far some rows are from those of the smallest group."""

    def make(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        table = in_order(batches)
        hi, lo, group = (table[name].to_numpy() for name in ("hi", "lo", "group"))
        at = units.place(coordinates(table, len(units.unit)))
        pool, asked = np.flatnonzero(group == smallest), np.flatnonzero(group != smallest)
        if not len(asked):
            return
        farthest = options.version == 2
        measure = _by_farthest if farthest else _by_nearest
        near, far, total = measure(at[pool], at[asked], options.n_neighbors)
        row, of, of_far = np.arange(len(asked)), np.full(len(asked), -1), np.zeros(len(asked))
        if options.version == 3:
            row, of, of_far = _nearest_of_each(at, group, pool, asked, options.n_neighbors_ver3)
        twin = twins(hi, lo)
        line, other = asked[row], np.where(of < 0, 0, pool[of])
        nobody = of < 0
        yield pa.RecordBatch.from_pydict(
            {
                "hi": hi[line],
                "lo": lo[line],
                "twin": twin[line],
                "group": group[line],
                "near_hi": hi[pool[near[row]]],
                "near_lo": lo[pool[near[row]]],
                "distance": far[row],
                "total": total[row],
                "of_hi": pa.array(hi[other], mask=nobody),
                "of_lo": pa.array(lo[other], mask=nobody),
                "of_twin": pa.array(twin[other], mask=nobody),
                "of_far": of_far,
            }
        )

    return make


def _by_nearest(pool: Floats, asked: Floats, k: int) -> tuple[Ints, Floats, Floats]:
    """The nearest of a pool to some points, its distance, and the sum of the k least ones."""
    near, far = nearest_to(pool, asked, k)
    return near[:, 0], far[:, 0], _sum(far)


def _by_farthest(pool: Floats, asked: Floats, k: int) -> tuple[Ints, Floats, Floats]:
    """The nearest of a pool to some points, its distance, and the sum of the k greatest ones."""
    near, least, total = np.empty(len(asked), np.int64), np.empty(len(asked)), np.empty(len(asked))
    size = max(PAIRS // len(pool), 1)
    for start in range(0, len(asked), size):
        part = slice(start, start + size)
        far = np.sqrt(squared(asked[part, None, :], pool[None, :, :]))
        near[part], least[part] = far.argmin(axis=1), far.min(axis=1)
        total[part] = _sum(np.sort(np.partition(far, len(pool) - k, axis=1)[:, len(pool) - k :]))
    return near, least, total


def _sum(far: Floats) -> Floats:
    """The sums of rows, one column after the other, so that they are the same on any machine."""
    total = np.zeros(len(far))
    for column in far.T:
        total = total + column
    return total


def _nearest_of_each(
    at: Floats, group: Ints, pool: Ints, asked: Ints, k: int
) -> tuple[Ints, Ints, Floats]:
    """For each row of a pool those of each group nearest to it, as lines.

    Returns
    -------
    Which of the asked rows a line is about, the row of the pool, and their distance; -1 and 0 for
    rows that are near to none.
    """
    rows, of, distances = [], [], []
    for one in np.unique(group[asked]):
        members = np.flatnonzero(group[asked] == one)
        found, far = nearest_to(at[asked[members]], at[pool], min(k, len(members)))
        rows.append(members[found.ravel()])
        of.append(np.repeat(np.arange(len(pool)), found.shape[1]))
        distances.append(far.ravel())
    alone = np.setdiff1d(np.arange(len(asked)), np.concatenate(rows))
    return (
        np.concatenate([*rows, alone]),
        np.concatenate([*of, np.full(len(alone), -1)]),
        np.concatenate([*distances, np.zeros(len(alone))]),
    )


METHOD = Method(
    "near_miss",
    NearMiss,
    near_miss,
    example="{method: near_miss, by: [label], features: [x, y], version: 1}",
    check_columns=check_columns,
    fate="undersampled",
    training_only=True,
)
