"""Benchmarks of whole processes over one Parquet source: recipes, contestants, lines of tables."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

# Prints the seconds until it could begin, and writes the ids that it keeps.
OURS = """
import json, sys, time
start = time.perf_counter()
import lakebalance as lb
from lakebalance.core.session import local_session
spark = local_session("local[2]")
begun = time.perf_counter() - start
result = lb.run(lb.Recipe.load(sys.argv[1]), spark)
kept = spark.read.format("delta").load(result.table).select("id").toArrow()
import pyarrow.parquet as pq
pq.write_table(kept, sys.argv[3])
print(json.dumps({"begun": begun, "stages": {s["name"]: s["seconds"] for s in result.stages}}))
spark.stop()
"""
Run = tuple[float, dict, set[int]]


def recipe(
    folder: Path, source: Path, where: str = "true", state: Path | None = None, **body: Any
) -> Path:
    """A recipe's file: rows of ``source`` by ``id``, into a table that is not there yet."""
    path = folder / f"{source.name}.json"
    rows = {"name": "s", "table": str(source), "format": "parquet", "key": ["id"], "where": where}
    publish = {"table": str(folder / "out" / str(time.time_ns()))}
    written = {
        "name": source.name,
        "sources": [rows],
        "publish": publish | ({} if state is None else {"state": str(state)}),
        **body,
    }
    path.write_text(json.dumps(written))
    return path


def timed(python: str, code: str, folder: Path, *arguments: str) -> tuple[float, dict, set[int]]:
    """Seconds that a process takes, what it prints last, and the ids that it keeps."""
    script, kept = folder / "contestant.py", folder / f"kept-{time.time_ns()}.parquet"
    script.write_text(code)
    first, second, third = arguments
    start = time.perf_counter()
    done = subprocess.run(
        [python, script, first, second, kept, third], capture_output=True, text=True, check=False
    )
    seconds = time.perf_counter() - start
    if done.returncode:
        sys.exit(done.stderr[-3000:])
    said = json.loads(done.stdout.splitlines()[-1])
    return seconds, said, set(pq.read_table(kept)["id"].to_pylist())


def options(
    doc: str | None, names: Sequence[str], rows: int, folder: str
) -> argparse.ArgumentParser:
    """The options that benchmarks have in common; those named say how many rows there are."""
    parser = argparse.ArgumentParser(description=doc)
    parser.add_argument(*names, dest="rows", type=int, nargs="+", default=[rows])
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--ours-alone", action="store_true")
    parser.add_argument("--stages", action="store_true", help="print what each stage took")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / folder)
    return parser


def show(
    rows: int,
    name: str,
    runs: Sequence[Run],
    quality: Callable[[set[int]], tuple[float, float]],
    stages: bool,
) -> None:
    """Print a contestant's line: the run of middling length, with recall and precision."""
    seconds, said, kept = sorted(runs, key=lambda run: run[0])[len(runs) // 2]
    recall, precision = quality(kept)
    print(
        f"| {rows:,} | {name} | {seconds:.1f} | {rows / seconds:,.0f} | "
        f"{rows / (seconds - said['begun']):,.0f} | {recall:.3f} | {precision:.3f} | "
        f"{len(kept):,} |",
        flush=True,
    )
    if stages and "stages" in said:
        print(said)
