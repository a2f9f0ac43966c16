"""Counts rows per source and group in one job, and names each group by a 64-bit id."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from lakebalance.core.columns import column, require
from lakebalance.core.errors import LakebalanceError
from lakebalance.core.hashing import canonical, hash64
from lakebalance.core.sources import SOURCE

PLAIN = (T.StringType, T.BooleanType, T.DoubleType, T.LongType)


@dataclass(frozen=True)
class GroupCount:
    """Rows of one group of one source. ``id`` is its hash; ``values`` are as JSON holds them."""

    id: int
    source: str
    values: dict[str, Any]
    rows: int


def group_id(df: DataFrame, by: Sequence[str]) -> Column:
    """The id of a row's group: a hash of its source and its ``by`` values."""
    return hash64(df, [SOURCE, *by], "group")


def count_groups(df: DataFrame, by: Sequence[str], sources: Sequence[str]) -> list[GroupCount]:
    """Rows per source and group, in order of source and values; one Spark job.

    Null, NaN and the text "null" are groups of their own; -0.0 belongs to 0.0.

    Parameters
    ----------
    df : frame with ``__lb_source``.
    by : the columns that make the groups; none for one group per source.
    sources : source names in the recipe's order.

    Raises
    ------
    RecipeError : a ``by`` column does not exist.
    LakebalanceError : two groups have one id.
    """
    require(df, by, "allocate.balance.by")
    kinds = {f.name: f.dataType for f in df.schema.fields}
    values = [_shown(canonical(column(b), kinds[b]), kinds[b]).alias(f"v{i}")
              for i, b in enumerate(by)]
    grouped = df.select(F.col(SOURCE), group_id(df, by).alias("id"), *values).groupBy(
        SOURCE, "id", *[f"v{i}" for i in range(len(by))]
    )
    counts = [
        GroupCount(
            row["id"],
            row[SOURCE],
            {b: _value(row[f"v{i}"], kinds[b]) for i, b in enumerate(by)},
            row["count"],
        )
        for row in grouped.count().collect()
    ]
    if len({c.id for c in counts}) < len(counts):
        raise LakebalanceError("two groups have the same 64-bit id; rename a source and try again")
    place = {name: i for i, name in enumerate(sources)}
    return sorted(counts, key=lambda c: (place[c.source], [_order(v) for v in c.values.values()]))


def _shown(value: Column, kind: T.DataType) -> Column:
    if isinstance(kind, (T.ArrayType, T.StructType, T.MapType, T.BinaryType, T.VariantType)):
        return F.to_json(F.struct(value.alias("v")))
    return value


def _value(value: Any, kind: T.DataType) -> Any:
    """A value as JSON holds it; NaN stays a float and is marked when it is written."""
    if value is None or isinstance(value, (str, bool, int, float)):
        if isinstance(kind, T.TimestampType) and value is not None:
            epoch = dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)
            return (epoch + dt.timedelta(microseconds=value)).isoformat()
        return value
    return str(value)


def _order(value: Any) -> tuple[int, Any]:
    """Sorts values of one column: null first, then numbers, NaN, texts."""
    if value is None:
        return (0, 0)
    if isinstance(value, (bool, int, float)):
        return (2, 0) if isinstance(value, float) and math.isnan(value) else (1, value)
    return (3, str(value))
