"""Benchmark of classes divided by an embedding: seconds of ``plan``, and memory at its peak.

python tests/bench/clusters.py --rows 3000000
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import one_source

WIDTH, BLOBS = 64, 40
SHARES = {"large": 0.7, "middle": 0.25, "small": 0.045, "rare": 0.005}
PLAN = """
import json, resource, sys, time
import lakebalance as lb
from lakebalance.core.session import local_session
spark = local_session("local[2]")
start = time.perf_counter()
plan = lb.plan(lb.Recipe.load(sys.argv[1]), spark)
seconds = time.perf_counter() - start
spark.stop()
parts = {row[0]: row[2] for row in plan.diagnostics[0]["rows"]}
print(json.dumps([seconds, parts, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]))
"""


def make(folder: Path, rows: int, width: int) -> Path:
    """Rows of four classes with an embedding each, of blobs among noise; the same every time."""
    path = folder / f"clusters-{rows}-{width}"
    if path.exists():
        return path
    path.mkdir(parents=True)
    chance = np.random.default_rng(11)
    centres = chance.normal(0, 1, (BLOBS, width)).astype(np.float32)
    for part, start in enumerate(range(0, rows, 250_000)):
        n = min(250_000, rows - start)
        at = centres[chance.integers(0, BLOBS, n)]
        at = at + chance.standard_normal((n, width), dtype=np.float32) / 2
        ends = pa.array(np.arange(n + 1, dtype=np.int32) * width)
        columns = {
            "id": np.arange(start, start + n),
            "label": chance.choice(list(SHARES), n, p=list(SHARES.values())),
            "embedding": pa.ListArray.from_arrays(ends, pa.array(at.ravel())),
        }
        pq.write_table(pa.table(columns), path / f"part-{part:03}.parquet")
    return path


def recipe(folder: Path, source: Path) -> Path:
    """Classes and their parts alike; parts no smaller than the rarest class."""
    allocate = {
        "clusters": {"part": {"of": ["embedding"]}},
        "balance": {"by": ["label", "part"], "method": "equal"},
        "rows": 10_000,
    }
    return one_source.recipe(folder, source, allocate=allocate)


def peak_of(process: subprocess.Popen[str]) -> float:
    """The largest memory in MiB that the process's Java had while it ran."""
    most = 0.0
    while process.poll() is None:
        for path in Path(f"/proc/{process.pid}/task/{process.pid}").glob("children"):
            for child in path.read_text().split():
                try:
                    status = Path(f"/proc/{child}/status").read_text()
                except OSError:
                    continue
                peak = [line.split()[1] for line in status.splitlines() if "VmHWM" in line]
                most = max([most, *(int(kib) / 1024 for kib in peak)])
        time.sleep(0.5)
    return most


def main() -> None:
    """Plan each size in a process of its own and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[300_000, 3_000_000])
    parser.add_argument("--width", type=int, default=WIDTH)
    parser.add_argument(
        "--folder", type=Path, default=Path(tempfile.gettempdir()) / "lb-bench-clusters"
    )
    asked = parser.parse_args()
    print("| rows | elements | parts | plan s | Java's peak MiB | Python's peak MiB |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: |")
    for rows in asked.rows:
        source = make(asked.folder, rows, asked.width)
        process = subprocess.Popen(
            [sys.executable, "-c", PLAN, recipe(asked.folder, source)],
            stdout=subprocess.PIPE,
            text=True,
        )
        peak = peak_of(process)
        assert process.stdout is not None
        if process.returncode:
            sys.exit(process.returncode)
        seconds, parts, python = json.loads(process.stdout.read().splitlines()[-1])
        row = [rows, asked.width, sum(parts.values()), round(seconds), round(peak), round(python)]
        print(f"| {' | '.join(f'{number:,}' for number in row)} |", flush=True)


if __name__ == "__main__":
    main()
