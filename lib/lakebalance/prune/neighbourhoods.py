"""Rows dropped for their nearest neighbours: each task sees all points and decides about some."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakebalance.core.counts import GroupCount, group_id
from lakebalance.core.errors import RecipeError
from lakebalance.core.neighbours import Floats, Ints, centred, mib_for
from lakebalance.core.places import Places, matrix
from lakebalance.core.sources import KEY
from lakebalance.prune.matches import MATCH, matches_from
from lakebalance.prune.options import CleaningOptions, PlaceOptions
from lakebalance.prune.survey import Survey, losing, of_all_sources, surveyed
from lakebalance.prune.units import Units, units_of

CHUNK = "__lb_chunk"
ASKED_IN_A_TASK = 50_000
Task = Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]


@dataclass(frozen=True)
class Points:
    """All rows in the order of their keys: places, and groups by their number in order.

    ``asked`` are the positions of the rows that a task decides about.
    """

    at: Floats
    group: Ints
    asked: Ints


@dataclass(frozen=True)
class Dropped:
    """Positions of rows to drop, of the neighbour that each is dropped for, and its distance."""

    rows: Ints
    neighbours: Ints
    distances: Floats


Decide = Callable[[Points, Any], Dropped]


def dropped_for_neighbours(
    df: DataFrame, options: CleaningOptions, place: str, decide: Decide, needed: int
) -> DataFrame:
    """The matches of rows that their neighbours among all rows decide against.

    Parameters
    ----------
    df : all rows that may be neighbours, with ``__lb_key``.
    options : groups, features, scaling, which groups may lose rows.
    place : path in the recipe, for messages.
    decide : finds the rows to drop among those that a task is asked about.
    needed : rows that there must be at least.

    Returns
    -------
    A frame of matches, see ``matches_from``.

    Raises
    ------
    RecipeError : there are too few rows or groups, or too many rows for a task.
    """
    survey = surveyed(df, options, place)
    groups, rows = survey.groups, survey.rows
    _check_neighbours(rows, place, needed)
    check_rows(rows, survey.places.width, options, place)
    lose = losing(groups, options, place) if groups else []
    tasks = max(math.ceil(sum(group.rows for group in lose) / ASKED_IN_A_TASK), 1)
    task = deciding(decide, options, place, survey, lose, tasks)
    chunk = F.explode(F.sequence(F.lit(0), F.lit(tasks - 1))) if tasks > 1 else F.lit(0)
    spread = points(df, options, survey.places).withColumn(CHUNK, chunk)
    return matches_from(spread.groupBy(CHUNK).applyInArrow(task, MATCH), options.method)


def points(df: DataFrame, options: PlaceOptions, places: Places) -> DataFrame:
    """Key, group and coordinates of each row."""
    key = [F.col(f"{KEY}.{half}").alias(half) for half in ("hi", "lo")]
    pooled = of_all_sources(df)
    at = places.of(pooled).alias("at")
    return pooled.select(*key, group_id(pooled, options.by).alias("group"), at)


def check_rows(
    rows: int, width: int, options: PlaceOptions, place: str, what: str = "rows"
) -> None:
    """Raise where a task would have to search more rows than it may."""
    if rows > options.max_rows:
        raise RecipeError(
            f"{place}: {rows:,} {what} are searched for neighbours, and a task takes at most "
            f"{options.max_rows:,}; write {place}.max_rows: {rows} where workers have "
            f"{mib_for(rows, width):,} MiB for Python, or prune by another method "
            "first"
        )


def _check_neighbours(rows: int, place: str, needed: int) -> None:
    if 0 < rows < needed:
        raise RecipeError(
            f"{place}: there are {rows:,} rows, and {needed - 1:,} neighbours need {needed:,}; "
            f"write {place}.n_neighbors: {rows - 1}, or leave the method out"
        )


def deciding(
    decide: Decide,
    options: CleaningOptions,
    place: str,
    survey: Survey,
    lose: Sequence[GroupCount],
    tasks: int,
) -> Task:
    """The task that decides about its part of the rows of the groups that may lose some."""
    places = survey.places
    ids = np.array([group.id for group in survey.groups], dtype=np.int64)
    by_id = np.argsort(ids)
    may_lose = np.isin(ids, [group.id for group in lose])

    def make(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        table = in_order(batches)
        at = coordinates(table, places.width)
        if (at == at[0]).all():
            raise nowhere(place, len(at))
        hi, group = table["hi"].to_numpy(), by_id[np.searchsorted(ids[by_id], table["group"])]
        asked = np.flatnonzero((hi % tasks == table[CHUNK][0].as_py()) & may_lose[group])
        placed, spread = centred(at)
        if options.scale == "standard":
            placed = placed / places.in_units(spread)
        found = decide(Points(placed, group, asked), options)
        yield dropped_batch(hi, table["lo"].to_numpy(), found)

    return make


def in_order(batches: Iterator[pa.RecordBatch]) -> pa.Table:
    """The rows of a task: whatever order they come in, their keys give them one."""
    table = pa.Table.from_batches(list(batches)).combine_chunks()
    return table.take(np.lexsort([table["lo"].to_numpy(), table["hi"].to_numpy()]))


def twins(hi: Ints, lo: Ints) -> Ints:
    """Of rows that share a key, the how many-th each is; they lie beside each other."""
    new = np.flatnonzero(_first_of_key(hi, lo))
    place = np.arange(len(hi))
    twins: Ints = place - np.repeat(place[new], np.diff(np.append(new, len(hi))))
    return twins


def _first_of_key(hi: Ints, lo: Ints) -> NDArray[np.bool_]:
    """Whether a row has another key than the one before."""
    return np.append(True, (hi[1:] != hi[:-1]) | (lo[1:] != lo[:-1]))


def measured_in(df: DataFrame, options: PlaceOptions, place: str, survey: Survey) -> Units:
    """The units that distances are measured in; see ``units_of``.

    Raises
    ------
    RecipeError : all rows are at one place.
    """
    units, differ = units_of(df, survey.places, options.scale)
    if not differ:
        raise nowhere(place, survey.rows)
    return units


def nowhere(place: str, rows: int) -> RecipeError:
    """What is wrong where all features are constant."""
    return RecipeError(
        f"{place}.features: all {rows:,} rows have the same values in these columns, so none is "
        "nearer than another; name columns that tell rows apart"
    )


def coordinates(table: pa.Table, width: int) -> Floats:
    return matrix(table["at"].combine_chunks(), width)


def dropped_batch(hi: Ints, lo: Ints, found: Dropped) -> pa.RecordBatch:
    """One line for each key: rows that share a key are equal, and lie beside each other."""
    number = np.cumsum(_first_of_key(hi, lo)) - 1
    members = np.bincount(number)
    dropped, first, count = np.unique(number[found.rows], return_index=True, return_counts=True)
    row, near = found.rows[first], found.neighbours[first]
    return pa.RecordBatch.from_pydict(
        {
            "hi": hi[row],
            "lo": lo[row],
            "near_hi": hi[near],
            "near_lo": lo[near],
            "rows": count.astype(np.int64),
            "left": members[dropped] - count,
            "distance": found.distances[first],
        }
    )
