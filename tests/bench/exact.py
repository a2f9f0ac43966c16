"""Benchmark of exact duplicates against one dropDuplicates of the same columns, in one session.

A tenth of the rows repeats the columns that are compared. Both read the same table and write what
they leave to Delta; exact also writes the matches, from which what is left is read again.

python tests/bench/exact.py --rows 10000000
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from functools import partial
from pathlib import Path

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from lakebalance.core import session
from lakebalance.core.sources import KEY, SOURCE, branches, pin, unite
from lakebalance.prune.exact import Exact, exact
from lakebalance.prune.matches import remove
from lakebalance.publish.state import State
from lakebalance.recipe.models import Source
from measure import Timings, timed

NAMES = ["name", "city", "amount", "at"]
WARM_ROWS = 200_000


def make(spark: SparkSession, folder: Path, rows: int) -> Path:
    """Rows of which every tenth has the compared columns of another; the same every time."""
    path = folder / f"exact-{rows}"
    if path.exists():
        return path
    first = F.when(F.col("id") % 10 == 0, F.col("id") / 10 + 1).otherwise(F.col("id"))
    said = spark.range(rows).withColumn("first", first.cast("bigint"))
    said.select(
        "id",
        F.concat(F.lit("name "), F.hex(F.xxhash64("first"))).alias("name"),
        F.concat(F.lit("city "), F.pmod(F.xxhash64("first"), F.lit(5000))).alias("city"),
        (F.hash("first") / 100).alias("amount"),
        F.timestamp_seconds(1_600_000_000 + F.col("first")).alias("at"),
        F.md5(F.col("id").cast("string")).alias("token"),
        (F.hash("id") / 7).alias("score"),
    ).write.format("delta").save(str(path))
    return path


def ours(spark: SparkSession, source: Path, target: Path) -> dict[str, float]:
    """Matches and what they leave, as a run makes them."""
    recipe = Source(name="s", table=str(source), key=["id"])
    rows = unite(branches(pin(spark, [recipe])))
    asked = Exact(method="exact", columns=NAMES)
    state = State(str(target.parent / f"state-{target.name}"))
    matches = state.write(exact(rows, asked, "prune.0"), "matches", "bench")
    left = remove(rows, matches, unique_keys=True)
    left.drop(KEY, SOURCE).write.format("delta").save(str(target))
    return {}


def plain(spark: SparkSession, source: Path, target: Path) -> dict[str, float]:
    """Spark's own, which keeps any of the rows and says nothing of the others."""
    rows = spark.read.format("delta").load(str(source))
    rows.dropDuplicates(NAMES).write.format("delta").save(str(target))
    return {}


def main() -> None:
    """Warm up on a small table, then let both write in turns, and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--driver-memory", default="4g")
    parser.add_argument(
        "--folder", type=Path, default=Path(tempfile.gettempdir()) / "lb-bench-exact"
    )
    asked = parser.parse_args()
    session.LOCAL_SETTINGS["spark.driver.memory"] = asked.driver_memory
    spark = session.local_session("local[2]")
    contestants = {"`dropDuplicates`": plain, "`exact`, with matches": ours}
    for rows, repeats in ((WARM_ROWS, 1), (asked.rows, asked.repeats)):
        source = make(spark, asked.folder, rows)
        timings = {name: Timings() for name in contestants}
        left: dict[str, int] = {}
        for _ in range(repeats):
            for name, contestant in contestants.items():
                shutil.rmtree(asked.folder / "out", ignore_errors=True)
                target = asked.folder / "out" / "left"
                timings[name].add(*timed(spark, partial(contestant, spark, source, target)))
                left[name] = spark.read.format("delta").load(str(target)).count()
    print("| rows | contestant | seconds | ratio | CPU seconds | rows left |")
    print("| ---: | --- | ---: | ---: | ---: | ---: |")
    floor = timings["`dropDuplicates`"].median()
    for name, found in timings.items():
        cpu = sorted(cost.cpu for cost in found.costs)[len(found.costs) // 2]
        print(
            f"| {asked.rows:,} | {name} | {found.median():.1f} | {found.median() / floor:.2f} | "
            f"{cpu:.1f} | {left[name]:,} |"
        )
    spark.stop()


if __name__ == "__main__":
    main()
