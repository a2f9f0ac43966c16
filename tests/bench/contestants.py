"""The contestants: each reads the same lake; those that write, write as many rows to Delta."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any

import pandas as pd
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

import lakebalance
from generate import Lake
from lakebalance.column_checks import check_columns
from lakebalance.core.progress import Stopwatch
from lakebalance.frames import Frames
from lakebalance.pipeline import with_thresholds
from lakebalance.planning import counted, planned
from lakebalance.publishing import publish
from lakebalance.recipe import Recipe
from lakebalance.report import html

SOURCE = "source"
TARGET_COLUMNS = [SOURCE, "label", "base", "rest"]
GATE = "quantity between 0 and 1000"
EXPECTATIONS: list[dict[str, Any]] = [
    {
        "expectation": "ExpectColumnValuesToBeBetween",
        "args": {"column": "quantity", "min_value": 0, "max_value": 1000},
    },
    {
        "expectation": "ExpectColumnValuesToNotBeNull",
        "args": {"column": "user_id"},
        "on_fail": "stop",
    },
    {
        "expectation": "ExpectColumnValuesToBeInSet",
        "args": {"column": "status", "value_set": ["new", "paid", "sent", "back"]},
        "on_fail": "warn",
    },
]


@dataclass(frozen=True)
class Job:
    """What every contestant is given: the lake, how many rows to publish, and the plan for them."""

    spark: SparkSession
    lake: Lake
    rows: int
    planned: dict[tuple[str, str], tuple[int, int]]

    def union(self) -> DataFrame:
        """All sources as one frame, with the source's name."""
        frames = [
            self.spark.read.format("delta").load(path).withColumn(SOURCE, F.lit(name))
            for name, path in self.lake.tables.items()
        ]
        return reduce(DataFrame.unionByName, frames)

    def targets(self) -> list[tuple[str, str, int, int]]:
        """Per source and group: copies of every row, and how many rows get one more."""
        return [
            (source, label, *divmod(target, available))
            for (source, label), (available, target) in self.planned.items()
        ]

    def recipe(self, target: Path, *, gates: bool = True) -> Recipe:
        """The recipe: a mixture over the sources, every group equal within each."""
        return Recipe.model_validate(
            {
                "name": "bench",
                "seed": 7,
                "sources": [
                    {"name": name, "table": path, "key": ["id"]}
                    for name, path in self.lake.tables.items()
                ],
                "expect": {"expectations": EXPECTATIONS if gates else []},
                "allocate": {
                    "mix": {
                        "by": "source",
                        "method": "temperature",
                        "temperature": 2.0,
                        "max_epochs": 4,
                    },
                    "balance": {"by": ["label"], "method": "equal", "max_epochs": 4},
                    "rows": self.rows,
                },
                "publish": {"table": str(target), "source_column": SOURCE},
            }
        )


Parts = dict[str, float]
Contestant = Callable[[Job, Path], Parts]


def _write(df: DataFrame, target: Path) -> Parts:
    df.write.format("delta").mode("overwrite").save(str(target))
    return {}


def group_count(job: Job, target: Path) -> Parts:
    """The least that a plan must do: count the groups."""
    job.union().groupBy("label").count().collect()
    return {}


def plan(job: Job, target: Path) -> Parts:
    """Plan of balance and mixture alone."""
    lakebalance.plan(job.recipe(target, gates=False), job.spark)
    return {}


def plan_with_gates(job: Job, target: Path) -> Parts:
    """Plan with the three expectations."""
    lakebalance.plan(job.recipe(target), job.spark)
    return {}


def floor(job: Job, target: Path) -> Parts:
    """As many rows by a filter that costs nothing: exactly ``rows`` ids satisfy it."""
    return _write(job.union().where(f"id * {job.rows}L % {job.lake.rows}L < {job.rows}L"), target)


def sampling(job: Job, target: Path) -> Parts:
    """Thresholds and publication alone; in a run, other scans of the sources go on beside them."""
    watch, frames = Stopwatch(), Frames(job.recipe(target), job.spark)
    check_columns(frames)
    planned_, left = planned(frames, watch, *counted(frames, watch), lambda _, matches: matches)
    start = time.perf_counter()
    planned_ = with_thresholds(frames, planned_, left)
    publish(frames, planned_, left, {"balanced": None}, watch, lambda rows, _: rows)
    audit = next(s["seconds"] for s in watch.entries if s["name"] == "audit")
    return {"sample": time.perf_counter() - start - audit}


def run(job: Job, target: Path) -> Parts:
    """Key check, gates, plan, sample, publish, audit, ledger, report."""
    result = lakebalance.run(job.recipe(target), job.spark)
    html.write({**result.to_dict(), "name": "bench"}, target.parent / "report.html")
    return {f"stage: {s['name']}": s["seconds"] for s in result.stages}


def window(job: Job, target: Path) -> Parts:
    """The usual exact way: number the rows of each group in hash order, keep the first."""
    rank = "row_number() over (partition by source, label order by xxhash64(id), id)"
    numbered = job.union().where(GATE).withColumn("rank", F.expr(rank))
    copies = F.expr("base + if(rank <= rest, 1, 0)")
    targets = job.spark.createDataFrame(pd.DataFrame(job.targets(), columns=TARGET_COLUMNS))
    kept = numbered.join(F.broadcast(targets), [SOURCE, "label"]).where(copies > 0)
    repeated = kept.withColumn("copy", F.explode(F.sequence(F.lit(1).cast("bigint"), copies)))
    return _write(repeated.drop("rank", "base", "rest", "copy"), target)


def sample_by(job: Job, target: Path) -> Parts:
    """``sampleBy``: each row by chance, so about as many rows; it cannot repeat any."""
    fractions = {
        f"{source}/{label}": min(wanted / available, 1.0)
        for (source, label), (available, wanted) in job.planned.items()
    }
    rows = job.union().where(GATE)
    drawn = rows.sampleBy(_stratum(), fractions, seed=7)
    return _write(drawn, target)


def _stratum() -> Column:
    return F.concat_ws("/", SOURCE, "label")


def duckdb_window(job: Job, target: Path) -> Parts:
    """DuckDB: the same window over the Parquet files of the same tables, to Parquet."""
    import duckdb

    con = duckdb.connect(config={"threads": 2, "memory_limit": "4GB"})
    con.execute(f"set temp_directory = '{target.parent / 'duckdb'}'")
    con.register("targets", pd.DataFrame(job.targets(), columns=TARGET_COLUMNS))
    reads = " union all by name ".join(
        f"select *, '{name}' as source from read_parquet('{path}/*.parquet')"
        for name, path in job.lake.tables.items()
    )
    target.mkdir(parents=True)
    con.execute(f"""
        copy (
          select * exclude (rank, base, rest, copies, copy) from (
            select *, unnest(range(copies)) as copy from (
              select *, base + (rank <= rest)::int as copies from (
                select *, row_number() over (partition by source, label order by hash(id), id)
                  as rank from ({reads}) where {GATE}
              ) join targets using (source, label)
            ) where copies > 0
          )
        ) to '{target}/out.parquet' (format parquet)""")
    con.close()
    return {}


CONTESTANTS: dict[str, Contestant] = {
    "count": group_count,
    "plan": plan,
    "gated plan": plan_with_gates,
    "floor": floor,
    "sampling": sampling,
    "run": run,
    "window": window,
    "sampleBy": sample_by,
    "duckdb": duckdb_window,
}


def proof(job: Job, name: str, target: Path) -> str:
    """Whether what a contestant wrote holds of every group the planned rows, repeats spread."""
    if not target.exists():
        return ""
    reader = job.spark.read.format("parquet" if name == "duckdb" else "delta")
    counts = [F.count(F.lit(1)).alias("rows"), F.count_distinct("id").alias("ids")]
    counted = reader.load(str(target)).groupBy(SOURCE, "label").agg(*counts).collect()
    found = {(row[SOURCE], row["label"]): (row["rows"], row["ids"]) for row in counted}
    total = sum(rows for rows, _ in found.values())
    if name == "floor":
        return f"{total:,} rows" + ("" if total == job.rows else ", NOT AS MANY AS PLANNED")
    wanted = {
        group: (target, min(available, target))
        for group, (available, target) in job.planned.items()
        if target
    }
    off = sum(found.get(group) != wanted.get(group) for group in found.keys() | wanted.keys())
    if off:
        return f"{total:,} rows, {off:,} of {len(wanted):,} groups off"
    return f"{total:,} rows, all {len(wanted):,} groups exact"
