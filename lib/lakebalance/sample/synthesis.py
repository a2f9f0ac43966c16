"""Synthetic rows made from rows of one group: what SMOTE and its relatives share.

A group that is to grow keeps its rows, and rows get children: ``target - available`` of them in
all, as many each as thresholds say, so that the number is exact. A task sees all coordinates of one
group and finds the neighbours of some of its parents. What it makes follows from the rows' keys, so
that neither partitions nor cores change it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from lakebalance.core.columns import column, kinds
from lakebalance.core.counts import value_text
from lakebalance.core.diagnostics import Prepared
from lakebalance.core.errors import RecipeError
from lakebalance.core.neighbours import mib_for
from lakebalance.core.places import Places, places_of, restored_place
from lakebalance.core.registry import Method
from lakebalance.core.small_tables import small_table
from lakebalance.core.sources import KEY, SOURCE, unite
from lakebalance.sample.checks import check_columns, check_groups
from lakebalance.sample.options import SyntheticOptions
from lakebalance.sample.tasks import (
    AT,
    CHUNK,
    CHUNKS,
    KEYS,
    PARENTS,
    TARGET,
    Asked,
    Maker,
    Weigher,
    making,
    weighing,
)
from lakebalance.sample.thresholds import (
    COPIES,
    GROUP,
    HASH,
    Share,
    Threshold,
    keep,
    with_copies,
)
from lakebalance.sample.work import divided, needs, work_of

PLACE = "__lb_place"
LENGTHS = "lengths"
State = Mapping[str, Any]


def synthetic_method(
    name: str,
    options: type[SyntheticOptions],
    function: Callable[..., DataFrame],
    example: str,
    prepare: Callable[..., Prepared] | None = None,
    *,
    weighing: bool = False,
) -> Method:
    """A sampler that makes new rows by ``synthesized``; ``weighing`` with a ``weigh``.

    ``prepare`` is ``prepared`` unless it is another one that calls it.
    """
    return Method(
        name,
        options,
        function,
        example=example,
        check_columns=check_columns,
        check_group=check_groups,
        has_children=True,
        prepare=prepare or partial(prepared, weighing=weighing),
    )


def prepared(
    frames: Sequence[DataFrame],
    shares: Mapping[int, Share],
    options: SyntheticOptions,
    *,
    weighing: bool = False,
) -> Prepared:
    """Find out how long arrays are, in a job where there are such, and say what tasks need.

    Parameters
    ----------
    frames, shares, options : as ``synthesized`` takes them.
    weighing : whether rows of all groups are searched for neighbours first.

    Raises
    ------
    RecipeError : arrays of a column differ in length; or all groups have too many rows for a task.
    """
    if not any(share.target > share.available > 0 for share in shares.values()):
        return Prepared({LENGTHS: {}})
    places = found_places(frames, options)
    width = places.width + len(options.categories)
    most, rows = options.max_group_rows, sum(share.available for share in shares.values())
    if weighing and rows > most:
        raise RecipeError(
            f"sample: {rows:,} rows of all groups are searched for neighbours, and a task takes at "
            f"most {most:,}; write sample.max_group_rows: {rows} where workers have "
            f"{mib_for(rows, width):,} MiB for Python, or method: smote, which looks at single "
            "groups"
        )
    return Prepared({LENGTHS: places.lengths}, needs(options, width, shares, weighing=weighing))


def found_places(frames: Sequence[DataFrame], options: SyntheticOptions) -> Places:
    """The columns that make a place, with the lengths of arrays among them."""
    names = options.coordinates
    rows = unite([frame.select(*map(column, names)) for frame in frames]) if names else frames[0]
    return places_of(rows, names, "sample.features")


def synthesized(
    frames: Sequence[DataFrame],
    shares: Mapping[int, Share],
    options: SyntheticOptions,
    state: State,
    make: Maker,
    weigh: Weigher | None = None,
    *,
    by_text: bool = False,
) -> DataFrame:
    """Rows sampled where a group shrinks; all rows and children of them where it grows.

    Parameters
    ----------
    frames : frames of one schema with ``__lb_group``, ``__lb_hash`` and ``__lb_key``.
    shares : per group: rows available, target rows, threshold.
    options : features, neighbours, scaling, what becomes of other columns.
    state : what ``prepared`` found.
    make : makes the children of some rows of a group, in a task.
    weigh : gives each row of a group a whole weight, from the groups of its nearest neighbours
        among all rows of its source; children are then shared by weight and not alike.
    by_text : whether ``make`` must know the categorical values as texts too.

    Returns
    -------
    One frame, with the column of parents' keys where ``options`` name one.
    """
    growing = {g: s for g, s in shares.items() if s.target > s.available > 0}
    originals = {
        group: Threshold(1) if group in growing else share.threshold
        for group, share in shares.items()
    }
    rows = frames[0].drop(GROUP, HASH)
    kept = keep(frames, originals).select(*map(column, rows.columns))
    kept = without_parents(kept, options)
    if not growing:
        return kept
    asked = Asked(options, Places(options.coordinates, state[LENGTHS]), make, weigh, by_text)
    # New rows first: they take longer than those that are copied, which then fill the cores.
    if weigh is None:
        return unite([born(frames, growing, asked), kept])
    points = _weighed(frames, shares, growing, asked, weigh)
    return unite([_children(_spread(points, growing, asked), asked, rows), kept])


def without_parents(rows: DataFrame, options: SyntheticOptions) -> DataFrame:
    """Rows that are not new, with the column of parents' keys where ``options`` name one."""
    if options.parents is None:
        return rows
    return rows.withColumn(options.parents, F.lit(None).cast("array<string>"))


def born(frames: Sequence[DataFrame], growing: Mapping[int, Share], asked: Asked) -> DataFrame:
    """The children alone of the rows of groups that grow, as many of each as thresholds say.

    Parameters
    ----------
    frames : frames of one schema with ``__lb_group``, ``__lb_hash`` and ``__lb_key``.
    growing : per group: rows available, target rows, threshold.
    asked : what makes them.
    """
    points = _points(frames, growing, asked)
    return _children(_spread(points, growing, asked), asked, frames[0].drop(GROUP, HASH))


def _inherited(df: DataFrame, options: SyntheticOptions) -> list[str]:
    """The columns that a new row takes from its first parent as they are."""
    own = {GROUP, HASH, *options.coordinates, *options.voted, *options.blank}
    return [name for name in df.columns if name not in own]


def _points(frames: Sequence[DataFrame], growing: Mapping[int, Share], asked: Asked) -> DataFrame:
    """The rows of growing groups as points, each with how many children it has."""
    fewer = {
        group: replace(share.threshold, base=share.threshold.base - 1)
        for group, share in growing.items()
    }
    return _as_points(frames, fewer, asked)


def _as_points(
    frames: Sequence[DataFrame], thresholds: Mapping[int, Threshold], asked: Asked
) -> DataFrame:
    """All rows of the groups that have thresholds, each with its copies."""
    options = asked.options
    row = F.struct(*map(column, _inherited(frames[0], options)))
    categories = [
        column(name).alias(alias)
        for name, alias in zip(options.voted, asked.categories, strict=True)
    ]
    kind_of = kinds(frames[0])
    texts = [
        value_text(column(name), kind_of[name]).alias(alias)
        for name, alias in zip(options.categories, asked.texts, strict=False)
    ]
    at = asked.places.of(frames[0]) if asked.places.names else F.array()
    key = [F.col(f"{KEY}.{half}").alias(half) for half in KEYS]
    copies = F.col(COPIES).cast("bigint").alias(COPIES)
    point: list[Column | str] = [
        GROUP,
        HASH,
        copies,
        *key,
        at.cast("array<double>").alias(AT),
        *categories,
        *texts,
        row.alias("row"),
    ]
    return unite([frame.select(*point) for frame in with_copies(frames, thresholds, least=0)])


def _spread(points: DataFrame, growing: Mapping[int, Share], asked: Asked) -> DataFrame:
    """Each point of a group for each of its tasks, with the target of the group.

    Tasks lie in partitions of about the same work, and a large one has a partition of its own.
    """
    work, partitions = divided(growing, exact=asked.exact)
    tasks = [(g, own.tasks, growing[g].target, own.first) for g, own in work.items()]
    table = small_table(points.sparkSession, [GROUP, CHUNKS, TARGET, PLACE], tasks)
    spread = _for_each_task(points.join(F.broadcast(table), GROUP), F.col(CHUNKS))
    place = F.pmod(F.col(PLACE) + F.col(CHUNK), F.lit(partitions)).cast("int")
    return spread.withColumn(PLACE, place).drop(CHUNKS).repartitionById(partitions, PLACE)


def _for_each_task(points: DataFrame, tasks: Column) -> DataFrame:
    """Each point once for each task, with its whole row in the one that works for it."""
    chunk = F.explode(F.sequence(F.lit(0), tasks - 1)).alias(CHUNK)
    own = (F.pmod(F.col(HASH), tasks) == F.col(CHUNK)) & (F.col(COPIES) > 0)
    return points.select("*", chunk).withColumn("row", F.when(own, F.col("row")))


def _weighed(
    frames: Sequence[DataFrame],
    shares: Mapping[int, Share],
    growing: Mapping[int, Share],
    asked: Asked,
    weigh: Weigher,
) -> DataFrame:
    """The rows of growing groups as points, each with its weight in place of its children."""
    points = _as_points(frames, {g: Threshold(int(g in growing)) for g in shares}, asked)
    of_source = points.withColumn("source", F.col(f"row.{SOURCE}"))
    tasks = math.ceil(work_of(sum(share.available for share in growing.values())))
    spread = _for_each_task(of_source, F.lit(tasks)).withColumn(CHUNK, F.col(CHUNK).cast("int"))
    task = weighing(asked, weigh, points.columns)
    placed = spread.repartitionById(tasks, CHUNK)
    return placed.groupBy("source", CHUNK).applyInArrow(task, points.schema)


def _children(points: DataFrame, asked: Asked, rows: DataFrame) -> DataFrame:
    """The new rows, as the rows that they are made from."""
    options, kind_of = asked.options, kinds(rows)
    tasks = points.groupBy(PLACE, GROUP, CHUNK)
    made = tasks.applyInArrow(making(asked), _made(points, asked))
    values = {name: column("row").getField(name) for name in _inherited(rows, options)}
    for name, axis in zip(options.coordinates, asked.axes, strict=True):
        values[name] = restored_place(F.col(axis), kind_of[name])
    for name, alias in zip(options.voted, asked.categories, strict=True):
        values[name] = F.col(alias)
    for name in options.blank:
        values[name] = F.lit(None).cast(kind_of[name])
    return made.select(
        *[values[name].alias(name) for name in rows.columns],
        *([] if options.parents is None else [F.col(PARENTS).alias(options.parents)]),
    )


def _made(points: DataFrame, asked: Asked) -> T.StructType:
    """What tasks put out: the first parent's row, coordinates, categories, all parents' keys."""
    kept = [points.schema[name] for name in ("row", *asked.categories)]
    axes = [
        T.StructField(
            axis, T.ArrayType(T.DoubleType()) if name in asked.places.lengths else T.DoubleType()
        )
        for name, axis in zip(asked.places.names, asked.axes, strict=True)
    ]
    parents = T.StructField(PARENTS, T.ArrayType(T.StringType()))
    return T.StructType([kept[0], *axes, *kept[1:], parents])
