"""Synthetic rows between rows of one group: what SMOTE and its relatives share.

A group that is to grow keeps its rows, and rows get children: ``target - available`` of them in
all, as many each as thresholds say, so that the number is exact. A task sees all coordinates of one
group and finds the neighbours of some of its parents. What it makes follows from the rows' keys, so
that neither partitions nor cores change it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from lakebalance.core.columns import column, kinds, require
from lakebalance.core.coordinates import check_features, coordinate, restored
from lakebalance.core.errors import RecipeError
from lakebalance.core.sources import KEY, SOURCE, unite
from lakebalance.sample.chance import words
from lakebalance.sample.children import Children, Parents
from lakebalance.sample.neighbours import Ints
from lakebalance.sample.options import SyntheticOptions
from lakebalance.sample.thresholds import (
    COPIES,
    GROUP,
    HASH,
    Share,
    Threshold,
    keep,
    small_table,
    with_copies,
)

CHUNK, CHUNKS, TARGET = "__lb_chunk", "__lb_chunks", "__lb_target"
PARENTS_IN_A_TASK, CHILDREN_IN_A_TASK = 50_000, 500_000
OUT_ROWS = 10_000
AT, CATEGORY, FIRST, SECOND = "at", "category", "first", "second"
Maker = Callable[[Parents, Any], Children]
Weigher = Callable[[Parents, Ints, Any], Ints]


def grown(shares: Mapping[int, Share]) -> dict[int, Share]:
    """The groups whose target is more than what they have."""
    return {g: s for g, s in shares.items() if s.target > s.available > 0}


def synthesized(
    frames: Sequence[DataFrame],
    shares: Mapping[int, Share],
    options: SyntheticOptions,
    make: Maker,
    weigh: Weigher | None = None,
) -> DataFrame:
    """Rows sampled where a group shrinks; all rows and children of them where it grows.

    Parameters
    ----------
    frames : frames of one schema with ``__lb_group``, ``__lb_hash`` and ``__lb_key``.
    shares : per group: rows available, target rows, threshold.
    options : features, neighbours, scaling, what becomes of other columns.
    make : makes the children of some rows of a group, in a task.
    weigh : gives each row of a group a whole weight, from the groups of its nearest neighbours
        among all rows of its source; children are then shared by weight and not alike.

    Raises
    ------
    RecipeError : with ``weigh``, a source has too many rows for a task.

    Returns
    -------
    One frame, with the column of parents' keys where ``options`` name one.
    """
    growing = grown(shares)
    originals = {
        group: Threshold(1) if group in growing else share.threshold
        for group, share in shares.items()
    }
    kept = keep(frames, originals)
    names = [name for name in frames[0].columns if name not in (GROUP, HASH)]
    parts = [_with_parents(kept.select(*map(column, names)), options, F.lit(None))]
    if growing:
        schema = frames[0].select(*map(column, names)).schema
        asked = _Asked(options, tuple(options.categories), schema, make, weigh)
        if weigh is None:
            points = _points(frames, growing, asked)
        else:
            points = _weighed(frames, shares, growing, asked)
        parts.append(_children(_spread(points, growing, asked), asked))
    return unite(parts)


@dataclass(frozen=True)
class _Asked:
    """What tasks must know; ``row`` is the schema of the rows."""

    options: SyntheticOptions
    categorical: tuple[str, ...]
    row: T.StructType
    make: Maker
    weigh: Weigher | None

    @property
    def point(self) -> T.StructType:
        """A row as a point."""
        kind_of = {field.name: field.dataType for field in self.row.fields}
        return T.StructType(
            [
                T.StructField(GROUP, T.LongType()),
                T.StructField(HASH, T.LongType()),
                T.StructField(COPIES, T.LongType()),
                T.StructField("hi", T.LongType()),
                T.StructField("lo", T.LongType()),
                T.StructField(AT, T.ArrayType(T.DoubleType())),
                *[
                    T.StructField(f"{CATEGORY}{i}", kind_of[n])
                    for i, n in enumerate(self.categorical)
                ],
                T.StructField("row", T.StructType(self.inherited)),
            ]
        )

    @property
    def inherited(self) -> list[T.StructField]:
        """What a new row takes from its first parent as it is."""
        own = {*self.options.features, *self.categorical, *self.options.blank}
        return [field for field in self.row.fields if field.name not in own]

    @property
    def schema(self) -> T.StructType:
        """What tasks put out: the parent's row, coordinates, categories, keys of both parents."""
        kind_of = {field.name: field.dataType for field in self.row.fields}
        categories = [
            T.StructField(f"{CATEGORY}{i}", kind_of[name])
            for i, name in enumerate(self.categorical)
        ]
        keys = [
            T.StructField(f"{name}_{half}", T.LongType())
            for name in (FIRST, SECOND)
            for half in ("hi", "lo")
        ]
        return T.StructType(
            [
                T.StructField("row", T.StructType(self.inherited)),
                T.StructField(AT, T.ArrayType(T.DoubleType())),
                *categories,
                *keys,
            ]
        )


def _points(frames: Sequence[DataFrame], growing: Mapping[int, Share], asked: _Asked) -> DataFrame:
    """The rows of growing groups as points, each with how many children it has."""
    fewer = {
        group: replace(share.threshold, base=share.threshold.base - 1)
        for group, share in growing.items()
    }
    return unite([_narrow(frame, asked) for frame in with_copies(frames, fewer, least=0)])


def _narrow(frame: DataFrame, asked: _Asked) -> DataFrame:
    row = F.struct(*[column(field.name) for field in asked.inherited])
    categories = [column(name).alias(f"{CATEGORY}{i}") for i, name in enumerate(asked.categorical)]
    at = F.array(*[coordinate(frame, name) for name in asked.options.features])
    key = [F.col(f"{KEY}.{half}").alias(half) for half in ("hi", "lo")]
    copies = F.col(COPIES).cast("bigint").alias(COPIES)
    return frame.select(GROUP, HASH, copies, *key, at.alias(AT), *categories, row.alias("row"))


def _spread(points: DataFrame, growing: Mapping[int, Share], asked: _Asked) -> DataFrame:
    """Each point once for each task that needs it; its row where its children are made."""
    tasks = [
        (group, _tasks(share.available, share.target - share.available), share.target)
        for group, share in growing.items()
    ]
    table = small_table(points.sparkSession, [GROUP, CHUNKS, TARGET], tasks)
    chunk = F.explode(F.sequence(F.lit(0), F.col(CHUNKS) - 1)).alias(CHUNK)
    spread = points.join(F.broadcast(table), GROUP).select("*", chunk)
    own = (F.pmod(F.col(HASH), F.col(CHUNKS)) == F.col(CHUNK)) & (F.col(COPIES) > 0)
    others = [GROUP, CHUNK, TARGET, HASH, COPIES, "hi", "lo", AT]
    others += [f"{CATEGORY}{i}" for i in range(len(asked.categorical))]
    return spread.select(*others, F.when(own, F.col("row")).alias("row"))


def _tasks(rows: int, children: int) -> int:
    return math.ceil(max(rows / PARENTS_IN_A_TASK, children / CHILDREN_IN_A_TASK))


def _weighed(
    frames: Sequence[DataFrame],
    shares: Mapping[int, Share],
    growing: Mapping[int, Share],
    asked: _Asked,
) -> DataFrame:
    """The rows of growing groups as points, each with its weight in place of its children."""
    rows = sum(share.available for share in shares.values())
    if rows > asked.options.max_group_rows:
        raise RecipeError(
            f"sample: {rows:,} rows of all groups are searched for neighbours, and a task takes at "
            f"most {asked.options.max_group_rows:,}; write sample.max_group_rows: {rows} where "
            f"workers have {_mib(rows, len(asked.options.features)):,} MiB for Python, or method: "
            "smote, which looks at single groups"
        )
    flagged = {group: Threshold(int(group in growing)) for group in shares}
    points = unite([_narrow(frame, asked) for frame in with_copies(frames, flagged, least=0)])
    points = points.select("*", F.col(f"row.{SOURCE}").alias("source"))
    chunks = _tasks(sum(share.available for share in growing.values()), 0)
    chunk = F.explode(F.sequence(F.lit(0), F.lit(chunks - 1))).alias(CHUNK)
    own = (F.pmod(F.col(HASH), F.lit(chunks)) == F.col(CHUNK)) & (F.col(COPIES) > 0)
    spread = points.select("*", chunk).withColumn("row", F.when(own, F.col("row")))
    return spread.groupBy("source", CHUNK).applyInArrow(_weighing(asked), asked.point)


def _children(points: DataFrame, asked: _Asked) -> DataFrame:
    made = points.groupBy(GROUP, CHUNK).applyInArrow(_task(asked), asked.schema)
    options, kind_of = asked.options, {f.name: f.dataType for f in asked.row.fields}
    values = dict.fromkeys(kind_of, F.lit(None))
    values |= {f.name: column("row").getField(f.name) for f in asked.inherited}
    for i, name in enumerate(options.features):
        values[name] = restored(F.get(F.col(AT), F.lit(i)), kind_of[name])
    for i, name in enumerate(asked.categorical):
        values[name] = F.col(f"{CATEGORY}{i}")
    for name in options.blank:
        values[name] = F.lit(None).cast(kind_of[name])
    parents = F.array_distinct(F.array(_key_text(FIRST), _key_text(SECOND)))
    return made.select(
        *[value.alias(name) for name, value in values.items()],
        *([] if options.parents is None else [parents.alias(options.parents)]),
    )


def _key_text(name: str) -> Column:
    halves = [F.lpad(F.lower(F.hex(F.col(f"{name}_{half}"))), 16, "0") for half in ("hi", "lo")]
    return F.concat(*halves)


def _with_parents(df: DataFrame, options: SyntheticOptions, parents: Column) -> DataFrame:
    if options.parents is None:
        return df
    return df.withColumn(options.parents, parents.cast("array<string>"))


def _in_order(batches: Iterator[pa.RecordBatch]) -> pa.Table:
    """All rows of a task: whatever order they come in, their keys give them one."""
    table = pa.Table.from_batches(list(batches)).combine_chunks()
    order = np.lexsort([table[name].to_numpy() for name in (COPIES, "lo", "hi")])
    return table.take(order).combine_chunks()


def _seeds(table: pa.Table) -> Ints:
    """A number for each row's chance; equal rows, which share a key, have their own each."""
    hi, lo = table["hi"].to_numpy(), table["lo"].to_numpy()
    new = np.flatnonzero(np.append(True, (hi[1:] != hi[:-1]) | (lo[1:] != lo[:-1])))
    place = np.arange(len(hi))
    twin = place - np.repeat(place[new], np.diff(np.append(new, len(hi))))
    return words(table[HASH].to_numpy(), twin, 0).view(np.int64)


def _parents(table: pa.Table, copies: Ints, asked: _Asked) -> Parents:
    at = table[AT].combine_chunks().flatten().to_numpy(zero_copy_only=False)
    return Parents(
        at.reshape(len(table), len(asked.options.features)),
        _seeds(table),
        copies,
        [table[f"{CATEGORY}{i}"].combine_chunks() for i in range(len(asked.categorical))],
    )


def _task(asked: _Asked) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """The function that makes the children of some parents of a group, in a Python worker."""

    def make(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        table = _in_order(batches)
        copies, own = table[COPIES].to_numpy(), table["row"].is_valid().to_numpy()
        if asked.weigh is not None:
            copies = shared_by_weight(copies, table[TARGET][0].as_py() - len(table))
        parents = _parents(table, np.where(own, copies, 0), asked)
        found = asked.make(parents, asked.options)
        for start in range(0, len(found.first), OUT_ROWS):
            yield _batch(table, found.part(start, start + OUT_ROWS))

    return make


def _weighing(asked: _Asked) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """The function that weighs some rows of growing groups by their neighbours of all groups."""
    weigh = asked.weigh
    assert weigh is not None

    def make(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        table = _in_order(batches)
        own = table["row"].is_valid().to_numpy()
        if not own.any():
            return
        parents = _parents(table, own.astype(np.int64), asked)
        weights = weigh(parents, table[GROUP].to_numpy(), asked.options)
        kept = table.filter(pa.array(own))
        names = [field.name for field in asked.point.fields]
        kept = kept.set_column(kept.schema.get_field_index(COPIES), COPIES, pa.array(weights))
        yield from kept.select(names).combine_chunks().to_batches(OUT_ROWS)

    return make


def shared_by_weight(weights: Ints, children: int) -> Ints:
    """Divide children among rows by whole weights, exactly.

    Raises
    ------
    RecipeError : no row has a weight.

    Examples
    --------
    >>> shared_by_weight(np.array([1, 0, 2, 1]), 6).tolist()
    [1, 0, 3, 2]
    """
    total = int(weights.sum())
    if not total:
        raise RecipeError(
            "sample: a group that is to grow has no row near to other groups, so none can have "
            "children by this method; write method: smote"
        )
    upto = [children * int(weight) // total for weight in np.cumsum(weights)]
    shares: Ints = np.array([0, *upto], dtype=np.int64)
    return shares[1:] - shares[:-1]


def _batch(table: pa.Table, found: Children) -> pa.RecordBatch:
    first, second = pa.array(found.first), pa.array(found.second)
    at = pa.array(found.at.ravel(), mask=np.isnan(found.at.ravel()))
    width = found.at.shape[1]
    columns = {
        "row": table["row"].combine_chunks().take(first),
        AT: pa.ListArray.from_arrays(
            pa.array(np.arange(0, len(found.at) * width + 1, width), pa.int32()), at
        ),
        **{f"{CATEGORY}{i}": values for i, values in enumerate(found.categories)},
    }
    for name, index in ((FIRST, first), (SECOND, second)):
        for half in ("hi", "lo"):
            columns[f"{name}_{half}"] = table[half].combine_chunks().take(index)
    return pa.RecordBatch.from_pydict(columns)


def check_groups(options: SyntheticOptions, name: str, available: int, target: int) -> None:
    """Raise where a group cannot have children as asked.

    Parameters
    ----------
    name : the group, for the message.
    available : its rows.
    target : its rows in the output.

    Raises
    ------
    RecipeError : it has fewer rows than neighbours are asked for, or too many for a task.
    """
    if not target > available > 0:
        return
    k = options.neighbours_needed
    if available <= k and options.fewer == "refuse":
        raise RecipeError(
            f'sample: group "{name}" has {available:,} rows and is to grow, but {k} neighbours '
            f"need {k + 1}; write sample.k_neighbors: {max(available - 1, 1)}, sample.fewer: "
            "reduce (as many neighbours as there are), or a target of no more than it has"
        )
    if available > options.max_group_rows:
        width = len(options.features)
        raise RecipeError(
            f'sample: group "{name}" has {available:,} rows and is to grow, but a task searches at '
            f"most {options.max_group_rows:,}; write sample.max_group_rows: {available} where "
            f"workers have {_mib(available, width):,} MiB for Python, or prune or split the group"
        )


def _mib(rows: int, width: int) -> int:
    """What a task needs: coordinates as they came, scaled, distinct, with norms; and per row."""
    return math.ceil(rows * (5 * width + 20) * 8 / 2**20)


def check_columns(df: DataFrame, options: SyntheticOptions, by: Sequence[str]) -> None:
    """Raise where the options name columns that are not there or cannot be what they say.

    Raises
    ------
    RecipeError : with the column and what to write instead.
    """
    check_features(df, options.features, "sample.features")
    require(df, options.blank, "sample.blank")
    roles = {
        "features": options.features,
        "categorical": options.categories,
        "blank": options.blank,
    }
    require(df, roles["categorical"], "sample.categorical")
    seen = {name: "allocate.balance.by" for name in by}
    for role, names in roles.items():
        for name in names:
            if name in seen:
                raise RecipeError(
                    f'sample.{role}: column "{name}" is in {seen[name]} already; leave it out'
                )
            seen[name] = f"sample.{role}"
    if options.parents in df.columns:
        raise RecipeError(
            f'sample.parents: the sources have a column "{options.parents}"; write another name'
        )
    kind_of = kinds(df)
    for name in roles["categorical"]:
        if isinstance(kind_of[name], T.ArrayType | T.MapType | T.StructType | T.VariantType):
            raise RecipeError(
                f'sample.categorical: column "{name}" is {kind_of[name].simpleString()}, which has '
                "no order; leave it out, and synthetic rows take it from their parent"
            )
