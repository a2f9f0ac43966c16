"""Benchmark of an ordered mixture of three phases over eight sources against a plain copy.

The floor reads the same tables, repeats rows by a number that it works out of each row's key so
that as many rows come out, and writes them to Delta: no groups, no order, no audit. "without order"
is the same recipe with a table for each phase and no order.

python tests/bench/ordering.py --rows 2000000
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from functools import reduce
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

import lakebalance as lb
from generate import Lake
from lakebalance.core import session
from measure import Timings, timed

WARM_ROWS = 50_000


def mixed(spark: SparkSession, lake: Lake, target: Path, *, ordered: bool) -> dict[str, float]:
    """The run: temperature 5, one switch to temperature 1, and a last phase between them."""

    def mix(temperature: float) -> dict[str, Any]:
        return {"method": "temperature", "temperature": temperature, "max_epochs": 4}

    rows = lake.rows // 3
    recipe = lb.Recipe.model_validate(
        {
            "name": "ordering",
            "sources": [
                {"name": name, "table": path, "key": ["id"]} for name, path in lake.tables.items()
            ],
            "allocate": {"mix": mix(5.0), "rows": rows},
            "phases": [
                {"name": "cooldown", "mix": mix(1.0), "rows": rows},
                {"name": "last", "mix": mix(2.0), "rows": rows},
            ],
            "publish": {"table": str(target)},
            **({"order": {"max_epochs": 8}} if ordered else {}),
        }
    )
    return {stage["name"]: stage["seconds"] for stage in lb.run(recipe, spark).stages}


def copied(spark: SparkSession, lake: Lake, target: Path) -> dict[str, float]:
    """The floor: each row once, as many as the three phases have together."""
    tables = [spark.read.format("delta").load(path) for path in lake.tables.values()]
    rows: DataFrame = reduce(DataFrame.union, tables)
    kept = rows.where(F.col("id") < lake.rows // 3 * 3)
    kept.write.format("delta").save(str(target))
    return {}


def main() -> None:
    """Warm up on a small lake, then let all write in turns, and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--driver-memory", default="4g")
    parser.add_argument(
        "--folder", type=Path, default=Path(tempfile.gettempdir()) / "lb-bench-ordering"
    )
    asked = parser.parse_args()
    session.LOCAL_SETTINGS["spark.driver.memory"] = asked.driver_memory
    spark = session.local_session("local[2]")
    for rows in dict.fromkeys([min(WARM_ROWS, asked.rows), asked.rows]):
        lake = Lake(asked.folder, rows)
        lake.make(spark)
        compete(spark, asked, lake, shown=rows == asked.rows)
    spark.stop()


def compete(spark: SparkSession, asked: argparse.Namespace, lake: Lake, *, shown: bool) -> None:
    """All, each into a target of its own, as often as asked for."""
    out = asked.folder / "out"
    contestants = {
        "floor: plain copy": lambda: copied(spark, lake, out / "floor"),
        "three phases, a table each, without order": lambda: mixed(
            spark, lake, out / "apart", ordered=False
        ),
        "three phases in one table, in order": lambda: mixed(
            spark, lake, out / "ordered", ordered=True
        ),
    }
    timings = {name: Timings() for name in contestants}
    for _ in range(asked.repeats if shown else 1):
        shutil.rmtree(out, ignore_errors=True)
        for name, contestant in contestants.items():
            timings[name].add(*timed(spark, contestant))
    counts = [
        spark.read.format("delta").load(str(out / name)).count() for name in ("floor", "ordered")
    ]
    assert counts[0] == counts[1], counts
    lb.files_in_order(spark, str(out / "ordered"))  # raises where they do not follow each other
    shutil.rmtree(out, ignore_errors=True)
    if not shown:
        return
    print("| rows out | contestant | seconds | × floor | publish s | CPU seconds | shuffled MiB |")
    print("| ---: | --- | ---: | ---: | ---: | ---: | ---: |")
    floor = timings["floor: plain copy"].median()
    for name, timing in timings.items():
        published = sum(timing.median(n) for n in timing.seconds if n.startswith("publish"))
        cost = timing.costs[-1]
        print(
            f"| {counts[0]:,} | {name} | {timing.median():.1f} | {timing.median() / floor:.2f} "
            f"| {published:.1f} | {cost.cpu:.1f} | {cost.shuffled / 2**20:,.0f} |"
        )
        print({n: round(timing.median(n), 2) for n in timing.seconds if n})


if __name__ == "__main__":
    main()
