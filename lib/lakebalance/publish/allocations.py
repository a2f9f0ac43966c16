"""The plan's groups and thresholds as a Delta table: 100,000 groups do not belong in one cell."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

Group = dict[str, Any]

SCHEMA = pa.schema(
    [("place", pa.int64()), ("output", pa.string()), ("source", pa.string()),
     ("group_id", pa.int64()), ("group", pa.string()), ("rows", pa.int64()),
     ("available", pa.int64()), ("target", pa.int64()), ("base", pa.int64()),
     ("last", pa.int64()), ("at_last", pa.int64()), ("whole", pa.bool_()),
     ("units", pa.string())]
)  # fmt: skip


@dataclass(frozen=True)
class Allocation:
    """One group of one source: counts, target, and the threshold that makes it."""

    output: str
    source: str
    group_id: int
    group: dict[str, Any]
    rows: int
    available: int
    target: int
    base: int
    last: int | None
    at_last: int
    whole: bool
    units: dict[str, Any] | None = None


def as_frame(spark: SparkSession, allocations: Iterable[Allocation]) -> DataFrame:
    """The allocations as a frame, in their order."""
    rows = [
        {
            **vars(a),
            "place": place,
            "group": json.dumps(a.group),
            "units": None if a.units is None else json.dumps(a.units),
        }
        for place, a in enumerate(allocations)
    ]
    return spark.createDataFrame(pa.Table.from_pylist(rows, schema=SCHEMA))


def rows_of_groups(df: DataFrame, run: str) -> dict[tuple[str, str], list[tuple[Group, int]]]:
    """Rows read of each group, over all sources, by run and output.

    Parameters
    ----------
    df : what ``as_frame`` made for several runs, each of them once or several times.
    run : the column with the runs' ids.
    """
    once = df.select(run, "output", "place", "group", "rows").distinct()
    summed = once.groupBy(run, "output", "group").agg(F.sum("rows").alias("rows"))
    found: dict[tuple[str, str], list[tuple[Group, int]]] = {}
    for row in summed.toArrow().to_pylist():
        found.setdefault((row[run], row["output"]), []).append(
            (json.loads(row["group"]), row["rows"])
        )
    return found


def from_frame(df: DataFrame, groups: Collection[int] | None = None) -> list[Allocation]:
    """The allocations that frames of ``as_frame`` hold, each once.

    Parameters
    ----------
    df : what ``as_frame`` made, or several times the same.
    groups : only those with these ids; all of them where left out.
    """
    if groups is not None:
        df = df.where(F.col("group_id").isin(list(groups)))
    rows = {row["place"]: row for row in df.toArrow().to_pylist()}
    return [
        Allocation(
            **{k: v for k, v in row.items() if k not in ("place", "group", "units")},
            group=json.loads(row["group"]),
            units=json.loads(row.get("units") or "null"),
        )
        for _, row in sorted(rows.items())
    ]
