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
from lakebalance.core.sources import KEY, unite
from lakebalance.sample.children import Parents, children
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

CHUNK, CHUNKS = "__lb_chunk", "__lb_chunks"
PARENTS_IN_A_TASK, CHILDREN_IN_A_TASK = 50_000, 500_000
OUT_ROWS = 10_000
AT, CATEGORY, FIRST, SECOND = "at", "category", "first", "second"


def grown(shares: Mapping[int, Share]) -> dict[int, Share]:
    """The groups whose target is more than what they have."""
    return {g: s for g, s in shares.items() if s.target > s.available > 0}


def synthesized(
    frames: Sequence[DataFrame],
    shares: Mapping[int, Share],
    options: SyntheticOptions,
    categorical: Sequence[str] = (),
) -> DataFrame:
    """Rows sampled where a group shrinks; all rows and children of them where it grows.

    Parameters
    ----------
    frames : frames of one schema with ``__lb_group``, ``__lb_hash`` and ``__lb_key``.
    shares : per group: rows available, target rows, threshold.
    options : features, neighbours, scaling, what becomes of other columns.
    categorical : columns that take the commonest value among the neighbours.

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
        asked = _Asked(options, tuple(categorical), frames[0].select(*map(column, names)).schema)
        parts.append(_children(_points(frames, growing, asked), asked))
    return unite(parts)


@dataclass(frozen=True)
class _Asked:
    """What tasks must know; ``row`` is the schema of the rows."""

    options: SyntheticOptions
    categorical: tuple[str, ...]
    row: T.StructType

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
    """Each row of a growing group once for each task that needs its coordinates."""
    fewer = {
        group: replace(share.threshold, base=share.threshold.base - 1)
        for group, share in growing.items()
    }
    rows = unite([_narrow(frame, asked) for frame in with_copies(frames, fewer, least=0)])
    tasks = [
        (
            group,
            math.ceil(
                max(
                    share.available / PARENTS_IN_A_TASK,
                    (share.target - share.available) / CHILDREN_IN_A_TASK,
                )
            ),
        )
        for group, share in growing.items()
    ]
    table = small_table(rows.sparkSession, [GROUP, CHUNKS], tasks)
    chunk = F.explode(F.sequence(F.lit(0), F.col(CHUNKS) - 1)).alias(CHUNK)
    spread = rows.join(F.broadcast(table), GROUP).select("*", chunk)
    own = (F.pmod(F.col(HASH), F.col(CHUNKS)) == F.col(CHUNK)) & (F.col(COPIES) > 0)
    return spread.select(
        GROUP,
        CHUNK,
        F.col(f"{KEY}.hi").alias("hi"),
        F.col(f"{KEY}.lo").alias("lo"),
        F.col(HASH).alias("hash"),
        AT,
        *[f"{CATEGORY}{i}" for i in range(len(asked.categorical))],
        F.when(own, F.col(COPIES)).otherwise(0).alias("copies"),
        F.when(own, F.col("row")).alias("row"),
    )


def _narrow(frame: DataFrame, asked: _Asked) -> DataFrame:
    row = F.struct(*[column(field.name) for field in asked.inherited])
    categories = [column(name).alias(f"{CATEGORY}{i}") for i, name in enumerate(asked.categorical)]
    at = F.array(*[coordinate(frame, name) for name in asked.options.features])
    return frame.select(GROUP, HASH, COPIES, KEY, at.alias(AT), *categories, row.alias("row"))


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
    parents = F.array(_key_text(FIRST), _key_text(SECOND))
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


def _task(asked: _Asked) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """The function that makes the children of some parents of a group, in a Python worker."""
    options, width = asked.options, len(asked.options.features)
    names = [f"{CATEGORY}{i}" for i in range(len(asked.categorical))]

    def make(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        table = pa.Table.from_batches(list(batches)).combine_chunks()
        # Whatever order rows come in, their keys give them one.
        table = table.take(np.lexsort((table["lo"].to_numpy(), table["hi"].to_numpy())))
        table = table.combine_chunks()
        flat = table[AT].combine_chunks().flatten().to_numpy(zero_copy_only=False)
        parents = Parents(
            flat.reshape(len(table), width),
            table["hash"].to_numpy(),
            table["copies"].to_numpy(),
            [table[name].combine_chunks() for name in names],
        )
        found = children(parents, options)
        for start in range(0, len(found.first), OUT_ROWS):
            yield _batch(table, found.part(start, start + OUT_ROWS))

    return make


def _batch(table: pa.Table, found: Any) -> pa.RecordBatch:
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
