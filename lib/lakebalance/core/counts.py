"""Counts rows per source and group in one job, and names each group by a 64-bit id."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from lakebalance.core.amounts import Amount
from lakebalance.core.columns import column, kinds, require
from lakebalance.core.errors import LakebalanceError
from lakebalance.core.hashing import (
    INTEGRALS,
    Part,
    canonical,
    canonical_sql,
    flagged,
    salted,
    xxhash64,
)
from lakebalance.core.sources import SOURCE, unite

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)
NESTED = (T.ArrayType, T.StructType, T.MapType, T.VariantType)
NONE: Mapping[str, Amount] = MappingProxyType({})
PLAIN = (T.StringType, T.BooleanType, T.DateType, *INTEGRALS)


@dataclass(frozen=True, slots=True)
class GroupCount:
    """Rows of one group of one source, and how many of them are left after the gates.

    ``id`` is the group's hash; ``values`` are as JSON holds them, but NaN, which is a float.
    ``amounts`` are what the rows left have of each unit asked for.
    """

    id: int
    source: str
    values: dict[str, Any]
    rows: int
    left: int
    amounts: Mapping[str, Amount] = field(default_factory=dict)


@dataclass(frozen=True)
class Census:
    """What one job counted: the groups in order, sums over all rows, spans by source."""

    groups: list[GroupCount]
    sums: dict[str, int]
    spans: dict[str, tuple[int, int]]

    def rows_of(self, sources: Sequence[str]) -> dict[str, int]:
        """Rows per source; sources without rows are there with 0."""
        rows = dict.fromkeys(sources, 0)
        for group in self.groups:
            rows[group.source] += group.rows
        return rows


def group_id(df: DataFrame, by: Sequence[str]) -> Column:
    """The id of a row's group: a hash of its source and its ``by`` values."""
    return _id_in(df, SOURCE, by)


def class_id(df: DataFrame, by: Sequence[str]) -> Column:
    """The id of a row's group where all sources are counted as one of the name ""."""
    return _id_in(df, "''", by)


def _id_in(df: DataFrame, source: str, by: Sequence[str]) -> Column:
    """The id of a row's group; ``source`` is SQL."""
    values = canonical_sql(df, by)
    if values is not None:
        return F.expr(_id(_eight_bytes(source), values))
    return _id(F.expr(_eight_bytes(source)), _group_values(df, by))


def _id(source: Part, values: Sequence[Part]) -> Part:
    return xxhash64(source, *flagged(values))


def _eight_bytes(source: str) -> str:
    # A source is a constant in its own branch, so Spark works these eight bytes out only once.
    return f"unhex(hex({salted('group', [source])}))"


def _group_values(df: DataFrame, by: Sequence[str]) -> list[Column]:
    kind_of = kinds(df)
    return [_shown(column(name), kind_of[name]) for name in by]


def count_groups(
    frames: Sequence[DataFrame],
    by: Sequence[str],
    sources: Sequence[str],
    left: Column | None = None,
    sums: Mapping[str, Column] | None = None,
    span_of: Column | None = None,
    amounts: Mapping[str, Column] | None = None,
) -> Census:
    """Rows per source and group, in order of source and values; one Spark job.

    Null, NaN and the text "null" are groups of their own; -0.0 belongs to 0.0.

    Parameters
    ----------
    frames : frames of one schema with ``__lb_source``. Where it is a constant in each, rows are
        counted before they are united, by ``by`` alone.
    by : the columns that make the groups; none for one group per source.
    sources : source names in the recipe's order.
    left : condition of the rows that go on; all of them where left out.
    sums : conditions to count over all rows in the same job, by name.
    span_of : an integral column to find the least and greatest value of, by source.
    amounts : columns of whole steps to sum over the rows that go on, by name; see ``Measure``.

    Raises
    ------
    RecipeError : a ``by`` column does not exist.
    LakebalanceError : two groups have one id.
    """
    require(frames[0], by, "allocate.balance.by")
    names = [f"v{i}" for i in range(len(by))]
    values = [value.alias(n) for n, value in zip(names, _group_values(frames[0], by), strict=True)]
    counted = {} if left is None else {"left": left}
    counted |= {f"s_{name}": condition for name, condition in (sums or {}).items()}
    counts = [F.count(F.lit(1)).alias("rows")]
    counts += [F.count_if(condition).alias(name) for name, condition in counted.items()]
    if span_of is not None:
        counts += [F.min(span_of).alias("least"), F.max(span_of).alias("greatest")]
    for i, steps in enumerate((amounts or {}).values()):
        counts += _amounts(i, steps, F.lit(True) if left is None else left)
    grouped = [frame.groupBy(SOURCE, *values).agg(*counts) for frame in frames]
    # The id follows from the values, so it is worked out once a group and not once a row.
    source = F.expr(_eight_bytes(SOURCE))
    counted_rows = unite(grouped).withColumn("id", _id(source, [F.col(n) for n in names]))
    kind_of = kinds(frames[0])
    # Python's dates end with the year 9999.
    days = [n for n, name in zip(names, by, strict=True) if isinstance(kind_of[name], T.DateType)]
    for name in days:
        counted_rows = counted_rows.withColumn(name, F.col(name).cast("string"))
    table = counted_rows.toArrow()
    groups = _groups(table, dict(zip(names, by, strict=True)), kind_of, list(amounts or {}))
    if len({group.id for group in groups}) < len(groups):
        raise LakebalanceError("two groups have the same 64-bit id; rename a source and try again")
    place = {name: i for i, name in enumerate(sources)}
    groups.sort(key=lambda g: (place[g.source], in_order(g.values)))
    totals = {n: pc.sum(table[f"s_{n}"]).as_py() or 0 for n in sums or {}}
    return Census(groups, totals, {} if span_of is None else _spans(table))


def _amounts(i: int, steps: Column, left: Column) -> list[Column]:
    return [
        F.sum(F.when(left, steps).cast("decimal(20,0)")).alias(f"total{i}"),
        F.max(F.when(left, steps)).alias(f"largest{i}"),
        F.count_if(left & steps.isNull()).alias(f"unknown{i}"),
    ]


def _groups(
    table: pa.Table,
    by: Mapping[str, str],
    kind_of: Mapping[str, T.DataType],
    amounts: Sequence[str],
) -> list[GroupCount]:
    # Column by column: there may be 100,000 groups.
    columns = {name: table[name].to_pylist() for name in table.column_names}
    ids, sources, rows = columns["id"], columns[SOURCE], columns["rows"]
    values = [_values(columns[v], kind_of[name]) for v, name in by.items()]
    named = [dict(zip(by.values(), row, strict=True)) for row in zip(*values, strict=True)]
    of_amounts = [
        [
            Amount(int(total or 0), largest or 0, unknown)
            for total, largest, unknown in zip(
                *[columns[f"{part}{i}"] for part in ("total", "largest", "unknown")], strict=True
            )
        ]
        for i in range(len(amounts))
    ]
    measured = [dict(zip(amounts, row, strict=True)) for row in zip(*of_amounts, strict=True)]
    return [
        GroupCount(*numbers)
        for numbers in zip(
            ids,
            sources,
            named if by else [{} for _ in ids],
            rows,
            columns.get("left", rows),
            measured if amounts else [NONE] * len(ids),
            strict=True,
        )
    ]


def _values(found: list[Any], kind: T.DataType) -> list[Any]:
    if isinstance(kind, T.StringType):
        return found
    return [_value(value, kind) for value in found]


def _spans(table: pa.Table) -> dict[str, tuple[int, int]]:
    found = table.group_by(SOURCE).aggregate([("least", "min"), ("greatest", "max")])
    return {
        row[SOURCE]: (row["least_min"], row["greatest_max"])
        for row in found.to_pylist()
        if row["least_min"] is not None
    }


def value_text(value: Column, kind: T.DataType) -> Column:
    """A text for each value by which rows are told apart as groups are; null for null.

    Parameters
    ----------
    value : the column.
    kind : its type.
    """
    return _shown(value, kind).cast("string")


def _shown(value: Column, kind: T.DataType) -> Column:
    """A value in a form that can be grouped by and that JSON can hold."""
    if isinstance(kind, T.ArrayType) and isinstance(kind.elementType, PLAIN):
        # JSON has one text for each, nulls too; canonical form would take as long again to make.
        return F.to_json(F.struct(value.alias("v")))
    if isinstance(kind, NESTED):
        return F.to_json(F.struct(canonical(value, kind).alias("v")))
    if isinstance(kind, T.BinaryType):
        return F.hex(value)
    if isinstance(kind, T.StringType | T.BooleanType | T.DateType):
        return value
    if isinstance(kind, T.TimestampType | T.NumericType):
        return canonical(value, kind)
    return value.cast("string")


def _value(value: Any, kind: T.DataType) -> Any:
    if value is None or isinstance(value, str | bool | int | float):
        if isinstance(value, int) and isinstance(kind, T.TimestampType):
            return _moment_text(value)
        if isinstance(value, str) and isinstance(kind, T.DecimalType):
            return _decimal_text(value)
        return value
    return str(value)


def _moment_text(micros: int) -> str:
    try:
        return (EPOCH + dt.timedelta(microseconds=micros)).isoformat()
    except OverflowError:  # beyond the year 9999, or before the year 1
        return f"{np.datetime64(micros, 'us')}+00:00"


def _decimal_text(text: str) -> str:
    """The decimal that hashing wrote one past itself, back as itself."""
    if not text.startswith("s"):
        return text
    moved = text[1:]
    sign = "-" if moved.startswith("-") else ""
    return f"{sign}0{moved.removeprefix(sign)[1:]}"


def in_order(values: Mapping[str, Any]) -> list[tuple[int, Any]]:
    """What groups of the same columns are sorted by."""
    return [_order(value) for value in values.values()]


def _order(value: Any) -> tuple[int, Any]:
    """Sorts values of one column: null first, then numbers, NaN, texts."""
    if value is None:
        return (0, 0)
    if isinstance(value, bool | int | float):
        return (2, 0) if isinstance(value, float) and math.isnan(value) else (1, value)
    return (3, str(value))
