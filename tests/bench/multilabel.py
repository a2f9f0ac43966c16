"""Benchmark of ml_ros on rows with several of 50 labels against a plain copy of as many rows.

The floor reads the same table, repeats every row by a number that it works out of the row's key, so
that as many rows come out, and writes them to Delta: no groups, no thresholds, no audit.

python tests/bench/multilabel.py --rows 5000000
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

import lakebalance as lb
from lakebalance.core import session
from measure import Timings, timed

LABELS = 50
COLUMNS = 20
WARM_ROWS = 100_000


def make(spark: SparkSession, folder: Path, rows: int, sets: int) -> Path:
    """Rows of ``sets`` label sets, of labels that are ever rarer; the same every time."""
    path = folder / f"labels-{rows}-{sets}"
    if path.exists():
        return path
    # A row's label set is one of the frequent ones more often than one of the rare.
    drawn = F.pmod(F.xxhash64("id"), F.lit(2**20)) / 2**20
    chosen = (F.pow(drawn, F.lit(3.0)) * sets).cast("int").alias("set")
    numbers = [F.pmod(F.xxhash64(F.col("set"), F.lit(i)), F.lit(2**20)) / 2**20 for i in range(3)]
    labels = [(F.pow(number, F.lit(4.0)) * LABELS).cast("int") for number in numbers]
    named = F.transform(F.array(*labels), lambda i: F.concat(F.lit("label-"), i))
    count = F.pmod(F.xxhash64(F.col("set"), F.lit("count")), F.lit(3)).cast("int") + 1
    values = [(F.hash("id", F.lit(i)) / 2**31).alias(f"f{i}") for i in range(COLUMNS)]
    spark.range(rows).select("id", chosen, *values).withColumn(
        "labels", F.array_sort(F.array_distinct(F.slice(named, 1, count)))
    ).drop("set").write.format("delta").save(str(path))
    return path


def balanced(spark: SparkSession, source: Path, target: Path, percent: float) -> dict[str, float]:
    """The run: seconds of each stage."""
    recipe = lb.Recipe.model_validate(
        {
            "name": "multilabel",
            "sources": [{"name": "s", "table": str(source), "key": ["id"]}],
            "allocate": {"balance": {"by": ["labels"], "method": "ml_ros", "percent": percent}},
            "publish": {"table": str(target)},
        }
    )
    return {stage["name"]: stage["seconds"] for stage in lb.run(recipe, spark).stages}


def copied(spark: SparkSession, source: Path, target: Path, like: Path) -> dict[str, float]:
    """The floor: as many rows as another table has, each repeated as its key says."""
    rows = spark.read.format("delta").load(str(source))
    total, more = rows.count(), spark.read.format("delta").load(str(like)).count() - rows.count()
    twice = F.pmod(F.col("id") * more, F.lit(total)) < F.lit(more)
    copies = F.when(twice, 2).otherwise(1)
    repeated: DataFrame = rows.withColumn(
        "copy", F.explode(F.array_repeat(F.lit(True), copies.cast("int")))
    )
    repeated.drop("copy").write.format("delta").save(str(target))
    return {}


def main() -> None:
    """Warm up on a small table, then let both write in turns, and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--sets", type=int, default=20_000, help="how many label sets are drawn of")
    parser.add_argument("--percent", type=float, default=50.0, help="most rows that are added")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--driver-memory", default="4g")
    parser.add_argument(
        "--folder", type=Path, default=Path(tempfile.gettempdir()) / "lb-bench-multilabel"
    )
    asked = parser.parse_args()
    session.LOCAL_SETTINGS["spark.driver.memory"] = asked.driver_memory
    spark = session.local_session("local[2]")
    print("| rows | label sets | rows out | contestant | seconds | × floor | CPU seconds |")
    print("| ---: | ---: | ---: | --- | ---: | ---: | ---: |")
    for rows in dict.fromkeys([min(WARM_ROWS, asked.rows), asked.rows]):
        source = make(spark, asked.folder, rows, asked.sets)
        compete(spark, asked, source, shown=rows == asked.rows)
    spark.stop()


def compete(spark: SparkSession, asked: argparse.Namespace, source: Path, *, shown: bool) -> None:
    """Both, each into a target of its own, as often as asked for."""
    out = asked.folder / "out"
    ours, floor = Timings(), Timings()
    for _ in range(asked.repeats if shown else 1):
        shutil.rmtree(out, ignore_errors=True)
        ours.add(*timed(spark, lambda: balanced(spark, source, out / "ours", asked.percent)))
        floor.add(*timed(spark, lambda: copied(spark, source, out / "floor", out / "ours")))
    table = spark.read.format("delta").load(str(source))
    rows_out, copies = [
        spark.read.format("delta").load(str(out / name)).count() for name in ("ours", "floor")
    ]
    shutil.rmtree(out, ignore_errors=True)
    if not shown:
        return
    assert abs(copies - rows_out) <= 1, (copies, rows_out)
    size = f"{table.count():,} | {table.select('labels').distinct().count():,} | {rows_out:,}"
    for name, timing in (("floor: plain copy", floor), ("ml_ros, whole run", ours)):
        ratio = timing.median() / floor.median()
        cpu = sorted(cost.cpu for cost in timing.costs)[len(timing.costs) // 2]
        print(f"| {size} | {name} | {timing.median():.1f} | {ratio:.2f} | {cpu:.1f} |")
    sampling = ours.median("sample") + ours.median("publish")
    ratio = sampling / floor.median()
    print(f"| {size} | of it sample and publish | {sampling:.1f} | {ratio:.2f} | |")
    print({name: round(ours.median(name), 2) for name in ours.seconds if name})


if __name__ == "__main__":
    main()
