"""Benchmark of forgetting keys of a published table against the run that made it, in one session.

The source has a fifth more rows than the table, in groups sized by Zipf's law. What is forgotten is
named by a table of keys, looked for in source and output, and the output is made again without it.

python tests/bench/forget.py --rows 10000000
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from pathlib import Path

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

import lakebalance as lb
from lakebalance.core import session

WARM_ROWS = 100_000


def make(spark: SparkSession, folder: Path, rows: int) -> Path:
    """The source, the same every time."""
    path = folder / f"forget-{rows}"
    if path.exists():
        return path
    group = F.floor(F.exp(F.pmod(F.xxhash64("id"), F.lit(1000)) / 1000 * F.log(F.lit(1000.0))))
    spark.range(rows * 6 // 5).select(
        "id",
        group.cast("int").alias("label"),
        F.md5(F.col("id").cast("string")).alias("text"),
        *[(F.xxhash64("id", F.lit(i)) / 2.0**63).alias(f"x{i}") for i in range(8)],
    ).write.format("delta").save(str(path))
    return path


def measured(
    spark: SparkSession, folder: Path, rows: int, keys: int
) -> tuple[dict[str, float], dict[str, int]]:
    """Seconds of the run, of the dry run, and of forgetting; rows before and after."""
    source, target = make(spark, folder, rows), folder / "out" / f"balanced-{rows}"
    shutil.rmtree(folder / "out", ignore_errors=True)
    asked = folder / "out" / "keys"
    step = max(rows * 6 // 5 // keys, 1)
    spark.range(keys).select((F.col("id") * step).alias("id")).write.format("delta").save(
        str(asked)
    )
    recipe = lb.Recipe.model_validate(
        {
            "name": "forget",
            "sources": [{"name": "s", "table": str(source), "key": ["id"]}],
            "allocate": {"balance": {"by": ["label"], "method": "proportional"}, "rows": rows},
            "publish": {"table": str(target)},
        }
    )
    seconds: dict[str, float] = {}

    def timed(name: str, work) -> dict:
        start = time.perf_counter()
        done = work()
        seconds[name] = time.perf_counter() - start
        return done

    timed("`run`", lambda: lb.run(recipe, spark).to_dict())
    shown = timed("`forget`, dry run", lambda: lb.forget(recipe, spark, keys=str(asked)))
    done = timed("`forget`", lambda: lb.forget(recipe, spark, keys=str(asked), dry_run=False))
    assert done["complete"]
    line = done["tables"][0]
    return seconds, {
        "asked": shown["rows"]["asked"],
        "held": line["marked"],
        "after": line["after"]["rows"],
        "found": line["after"]["marked"],
    }


def main() -> None:
    """Warm up on a small table, then measure, and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--keys", type=int, default=1000)
    parser.add_argument("--driver-memory", default="4g")
    parser.add_argument(
        "--folder", type=Path, default=Path(tempfile.gettempdir()) / "lb-bench-forget"
    )
    asked = parser.parse_args()
    session.LOCAL_SETTINGS["spark.driver.memory"] = asked.driver_memory
    spark = session.local_session("local[2]")
    measured(spark, asked.folder, min(WARM_ROWS, asked.rows), asked.keys)
    seconds, rows = measured(spark, asked.folder, asked.rows, asked.keys)
    print(
        f"{rows['asked']:,} rows of the source asked for, {rows['held']:,} of them in the output; "
        f"{rows['found']:,} found in its {rows['after']:,} rows afterwards\n"
    )
    print("| rows out | what | seconds | × run |")
    print("| ---: | --- | ---: | ---: |")
    for name, taken in seconds.items():
        print(f"| {asked.rows:,} | {name} | {taken:.1f} | {taken / seconds['`run`']:.2f} |")
    spark.stop()


if __name__ == "__main__":
    main()
