"""Benchmark of budgets in units over many groups: planned in rows, in tokens, and in weights.

One table whose rows belong to groups at random, with 1 to 997 tokens each. Half of the tokens are
asked for, shared by temperature; in rows, half of the rows.

python tests/bench/budgets.py --rows 2000000 --groups 100000
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

import lakebalance as lb
from lakebalance.core import session

BALANCE = {"by": ["g"], "method": "temperature", "temperature": 2, "max_epochs": 4}


def make(spark: SparkSession, path: str, rows: int, groups: int) -> int:
    """The table, and the tokens in it."""
    df = spark.range(rows).select(
        "id",
        F.pmod(F.xxhash64("id"), F.lit(groups)).alias("g"),
        (F.pmod(F.xxhash64("id", F.lit(1)), F.lit(997)) + 1).alias("tokens"),
    )
    df.write.format("delta").mode("overwrite").save(path)
    return int(spark.read.format("delta").load(path).agg(F.sum("tokens")).collect()[0][0])


def recipe(path: str, sample: str, **budget: Any) -> lb.Recipe:
    """Half of what there is, by temperature."""
    return lb.Recipe.model_validate(
        {
            "name": "budgets",
            "sources": [{"name": "s", "table": path, "key": ["id"]}],
            "allocate": {"balance": BALANCE, **budget},
            "sample": {"method": sample},
            "publish": {"table": f"{path}-out"},
        }
    )


def main() -> None:
    """Print the medians of all, in turns."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--groups", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument(
        "--folder", type=Path, default=Path(tempfile.gettempdir()) / "lb-bench-budgets"
    )
    asked = parser.parse_args()
    spark = session.local_session("local[2]")
    path = str(asked.folder / "s")
    tokens = make(spark, path, asked.rows, asked.groups)
    budget = {"amount": tokens // 2, "of": "tokens"}
    contestants = {
        "rows": recipe(path, "repeat", rows=asked.rows // 2),
        "tokens": recipe(path, "repeat", budget=budget),
        "tokens, by weight": recipe(path, "weight", budget=budget),
    }
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(asked.repeats):
        for name, one in contestants.items():
            start = time.monotonic()
            plan = lb.plan(one, spark)
            seconds[name].append(time.monotonic() - start)
            if (units := plan.groups[0].units) is not None:
                size = units.size
                planned = sum(g.units.planned for g in plan.groups if g.units) / size
                short = tokens // 2 - planned
                assert 0 <= short < 997, short
    print("| groups | rows | budget in | plan, seconds | × rows |")
    print("| ---: | ---: | --- | ---: | ---: |")
    for name, taken in seconds.items():
        ratio = median(taken) / median(seconds["rows"])
        print(f"| {asked.groups:,} | {asked.rows:,} | {name} | {median(taken):.1f} | {ratio:.2f} |")
    spark.stop()
    shutil.rmtree(asked.folder)


if __name__ == "__main__":
    main()
