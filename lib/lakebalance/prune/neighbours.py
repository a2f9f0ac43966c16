"""``neighbours``: drops rows that are worth least to their nearest neighbours, or lie closest."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import Field
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from lakebalance.core.chance import exponential, salt_of, words
from lakebalance.core.counts import GroupCount
from lakebalance.core.errors import RecipeError
from lakebalance.core.exact_neighbours import nearest_to
from lakebalance.core.neighbours import Floats, Ints, squared
from lakebalance.core.registry import Method
from lakebalance.prune.matches import of_keys, without_neighbour
from lakebalance.prune.neighbourhoods import (
    CHUNK,
    check_rows,
    coordinates,
    in_order,
    measured_in,
    points,
    twins,
)
from lakebalance.prune.options import ShrinkingOptions
from lakebalance.prune.survey import Survey, check_columns, shrinking, staying, surveyed
from lakebalance.prune.units import Units

LINE = "hi bigint, lo bigint, twin bigint, group bigint, value bigint"
ROW = ("hi", "lo", "twin")
# Values are added as whole numbers of this part, so that their order does not matter.
FINE = 2**40
# Distances that a task works out, about.
DISTANCES = 20_000_000
CLOSEST = 1e-9


class Neighbours(ShrinkingOptions):
    """Keep the rows of a group that are worth most to a nearest-neighbour model, or lie apart.

    Redundancy in value: without the others a model would say the same.
    """

    method: Literal["neighbours"]
    value: Literal["shapley", "density"] = Field(
        "shapley",
        description="What rows are worth: shapley, their share in how often the nearest neighbours "
        "of other rows are of these rows' groups (KNN-Shapley); density, how far away their own "
        "group's nearest rows are: rows stay by chance, in proportion to it.",
    )
    n_neighbors: int = Field(5, ge=1, le=100, description="Neighbours of a row.")
    validation_rows: int = Field(
        500,
        ge=1,
        le=100_000,
        description="With shapley: rows, chosen by key hash, whose neighbours are looked at.",
    )


def neighbours(df: DataFrame, options: Neighbours, place: str) -> DataFrame:
    """The matches of rows that are worth less than those that stay of their group.

    ``shapley``: for each validation row, all others are put in order of distance, and each gets its
    Shapley value in the game whose worth is the share of the K nearest that are of the validation
    row's group; values are averaged. A wrong label's is below nought, that of one row among many
    alike is nearly nought. Time grows with rows × validation rows.

    ``density``: a row's weight is its distance to the K-th nearest row of its group, and rows stay
    as in weighted sampling without replacement: regions that have more rows than others lose more.
    Time grows with the square of a group's rows.

    Parameters
    ----------
    df : the rows for training, with ``__lb_key``.
    options : groups, features, scaling, how many rows stay, what they are worth.
    place : path in the recipe, for messages.

    Returns
    -------
    Frame ``dropped`` (key hash), ``neighbour`` (null: no row stands in its place), ``rows``,
    ``left`` (how many rows of that key stay), ``method``, ``value`` (Shapley value; null with
    ``density``).

    Raises
    ------
    RecipeError : there is one group, a feature has no value, there are too few rows, or too many
        for a task.

    References
    ----------
    Jia et al., "Efficient task-specific data valuation for nearest neighbor algorithms", 2019,
    theorem 1; Efraimidis, Spirakis, "Weighted random sampling with a reservoir", 2006.
    """
    survey = surveyed(df, options, place)
    groups, rows = survey.groups, survey.rows
    lose = shrinking(groups, options, place) if groups else []
    if not lose:
        return _matches(df.sparkSession.createDataFrame([], LINE), options, [], 0)
    _check(survey, lose, options, place)
    units = measured_in(df, options, place, survey)
    asked = min(options.validation_rows, rows) if options.value == "shapley" else rows
    tasks = min(max(math.ceil(rows * asked / DISTANCES), 1), asked)
    chunks = F.explode(F.sequence(F.lit(0), F.lit(tasks - 1)))
    spread = points(df, options, survey.places).withColumn(CHUNK, chunks)
    lines = spread.groupBy(CHUNK).applyInArrow(valuing(options, units, tasks), LINE)
    return _matches(lines, options, lose, staying(groups, options))


def _check(survey: Survey, lose: Sequence[GroupCount], options: Neighbours, place: str) -> None:
    rows = survey.rows
    check_rows(rows, survey.places.width, options, place)
    fewest = rows if options.value == "shapley" else min(group.rows for group in lose)
    if fewest <= options.n_neighbors:
        what = "rows" if options.value == "shapley" else "rows in a group that loses some"
        raise RecipeError(
            f"{place}.n_neighbors: there are {fewest:,} {what}, and none has "
            f"{options.n_neighbors:,} neighbours; write {fewest - 1} or less"
        )


def _matches(
    lines: DataFrame, options: Neighbours, lose: Sequence[GroupCount], rows: int
) -> DataFrame:
    """A line for each key of which rows go: those of least value of each group."""
    worth = lines.where(F.col("group").isin([group.id for group in lose]))
    worth = worth.groupBy("group", *ROW).agg(F.sum("value").alias("value"))
    order = Window.partitionBy("group").orderBy(F.col("value").desc(), *ROW)
    stays = F.row_number().over(order) <= rows
    found = of_keys(worth, stays, [F.max("value").alias("total")])
    value = F.lit(None).cast("double")
    if options.value == "shapley":
        value = F.col("total") / F.lit(float(FINE))
    told = found.withColumns({"dropped": F.struct("hi", "lo"), "value": value})
    return without_neighbour(told, options.method, ["value"])


def valuing(
    options: Neighbours, units: Units, tasks: int
) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """The task that works out what rows are worth to its part of the validation rows."""

    def make(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        table = in_order(batches)
        hi, lo, group = (table[name].to_numpy() for name in ("hi", "lo", "group"))
        at = units.place(coordinates(table, len(units.unit)))
        twin, chunk = twins(hi, lo), table[CHUNK][0].as_py()
        if options.value == "density":
            chosen = np.flatnonzero(hi % tasks == chunk)
            value = _turns(at, group, chosen, hi, twin, options.n_neighbors)
        else:
            chosen = np.arange(len(hi))
            chance = words(hi ^ lo, twin, salt_of("validation"))
            asked = np.argsort(chance, kind="stable")[: options.validation_rows]
            value = np.zeros(len(hi), np.int64)
            for one in asked[chunk::tasks].tolist():
                worth = shapley(at, group, one, options.n_neighbors)
                value += np.rint(worth * (FINE / len(asked))).astype(np.int64)
        columns = [part[chosen] for part in (hi, lo, twin, group)]
        names = ["hi", "lo", "twin", "group", "value"]
        yield pa.RecordBatch.from_arrays([pa.array(c) for c in [*columns, value]], names)

    return make


def shapley(at: Floats, group: Ints, one: int, k: int) -> Floats:
    """What each row is worth to one of them; to itself it is worth nothing.

    Parameters
    ----------
    at : places of n rows, n > k.
    group : the number of each row's group.
    one : the position of the row whose k nearest neighbours are to be of its group.
    k : how many neighbours.

    Examples
    --------
    >>> at, group = np.array([[0.0], [1.0], [2.0], [3.0], [4.0]]), np.array([1, 1, 0, 1, 1])
    >>> shapley(at, group, 0, 2).tolist()
    [0.0, 0.25, -0.25, 0.25, 0.25]
    """
    far = squared(at, at[one])
    far[one] = -1.0
    order = np.argsort(far, kind="stable")[1:]
    right = (group[order] == group[one]).astype(np.float64)
    place = np.arange(1, len(at), dtype=np.float64)
    weight = np.minimum(k, place) / (place * k)
    steps = right * weight
    steps[:-1] -= right[1:] * weight[:-1]
    worth = np.zeros(len(at))
    worth[order] = np.cumsum(steps[::-1])[::-1]
    return worth


def _turns(
    at: Floats, group: Ints, chosen: Ints, hi: Ints, twin: Ints, k: int
) -> NDArray[np.int64]:
    """When the turn of rows comes to stay, the sooner the greater the number."""
    wait = np.empty(len(chosen))
    for one in np.unique(group[chosen]):
        mine = np.flatnonzero(group[chosen] == one)
        own = at[group == one]
        if len(own) <= k:
            wait[mine] = 0.0
            continue
        # A row is its own nearest, or one that lies where it does is.
        _, far = nearest_to(own, at[chosen[mine]], k + 1)
        chance = exponential(words(hi[chosen[mine]], twin[chosen[mine]], salt_of("density")))
        wait[mine] = chance / (far[:, k] + CLOSEST)
    # Doubles that are not negative are in the order of their bits.
    bits: NDArray[np.int64] = (wait + 0.0).view(np.int64)
    return -bits


METHOD = Method(
    "neighbours",
    Neighbours,
    neighbours,
    example="{method: neighbours, by: [label], features: [x, y], rows: 10000, value: shapley}",
    check_columns=check_columns,
    fate="undersampled",
    training_only=True,
)
