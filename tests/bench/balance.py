"""Benchmark of plan and run against plain Spark and DuckDB, in one session.

python tests/bench/balance.py --rows 10000000
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

from pyspark.sql import SparkSession

import lakebalance
import report
from contestants import CONTESTANTS, EXPECTATIONS, Job, proof
from generate import COLUMNS, GROUPS, SHARES, TEXT_LENGTH, Lake
from lakebalance.core import session
from measure import Timings, jvm_peak, timed

WARM_ROWS = 200_000


def options() -> argparse.Namespace:
    """What is asked for on the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=10_000_000, help="rows of the lake")
    parser.add_argument("--target", type=int, help="rows to publish; a tenth if left out")
    parser.add_argument("--repeats", type=int, default=3, help="times that each contestant runs")
    parser.add_argument("--text", action="store_true", help="add a text column of 2 kB")
    parser.add_argument("--heavy", action="store_true", help="put 90 %% of rows in one group")
    parser.add_argument(
        "--only",
        nargs="+",
        choices=CONTESTANTS,
        default=list(CONTESTANTS),
        metavar="NAME",
        help="of: " + ", ".join(CONTESTANTS),
    )
    parser.add_argument("--driver-memory", default="4g", help="of the Spark driver")
    parser.add_argument(
        "--folder",
        type=Path,
        default=Path(tempfile.gettempdir()) / "lb-bench",
        help="where lakes are kept and outputs written",
    )
    return parser.parse_args()


def main() -> None:
    """Make the lake, warm up, let the contestants run in turns, print."""
    asked = options()
    session.LOCAL_SETTINGS["spark.driver.memory"] = asked.driver_memory
    spark = session.local_session("local[2]")
    lake = Lake(asked.folder, asked.rows, asked.text, asked.heavy)
    lake.make(spark)
    _warm_up(spark, asked, lake)
    job = _job(spark, lake, asked.target or asked.rows // 10)
    timings = _compete(job, asked.only, asked.repeats)
    print(
        _title(job, asked.repeats),
        "",
        report.table(timings, asked.text),
        "",
        report.stages(timings),
        "",
        report.setting(spark, jvm_peak(spark)),
        sep="\n",
    )
    spark.stop()


def _warm_up(spark: SparkSession, asked: argparse.Namespace, lake: Lake) -> None:
    """Load classes and compile on a small lake; bring the large one into the page cache."""
    small = Lake(asked.folder, min(WARM_ROWS, asked.rows), False, asked.heavy)
    small.make(spark)
    job = _job(spark, small, small.rows // 10)
    _compete(job, asked.only, 1)
    for path in lake.tables.values():
        for file in Path(path).glob("*.parquet"):
            with file.open("rb") as opened:
                while opened.read(2**24):
                    pass


def _job(spark: SparkSession, lake: Lake, rows: int) -> Job:
    recipe = Job(spark, lake, rows, {}).recipe(lake.folder / "out" / "planned")
    planned = lakebalance.plan(recipe, spark)
    groups = {(g.source, g.group["label"]): (g.available, g.target) for g in planned.groups}
    return Job(spark, lake, rows, groups)


def _compete(job: Job, names: list[str], repeats: int) -> dict[str, Timings]:
    """Each contestant once per round, into a target of its own, with its rows counted after."""
    timings = {name: Timings() for name in names}
    out = job.lake.folder / "out"
    for _ in range(repeats):
        for name, timing in timings.items():
            shutil.rmtree(out, ignore_errors=True)
            target = out / name
            out.mkdir(parents=True)
            timing.add(*timed(job.spark, lambda name=name, to=target: CONTESTANTS[name](job, to)))
            timing.proofs.add(proof(job, name, target))
    shutil.rmtree(out, ignore_errors=True)
    return timings


def _title(job: Job, repeats: int) -> str:
    lake = job.lake
    extra = f", one text column of {TEXT_LENGTH:,} characters besides" if lake.text else ""
    shape = "90 % of the rows in one" if lake.heavy else "sized by Zipf's law"
    return (
        f"{lake.rows:,} rows × {len(COLUMNS) + 2} columns{extra}, {len(SHARES)} sources, "
        f"{GROUPS:,} groups {shape}, {len(EXPECTATIONS)} expectations; {job.rows:,} rows "
        f"published; medians of {repeats} (least to most)."
    )


if __name__ == "__main__":
    main()
