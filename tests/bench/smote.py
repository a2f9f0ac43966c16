"""Benchmark of SMOTE against imbalanced-learn, each a process from start to written table.

python tests/bench/smote.py --rows 500000 2000000
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

FEATURES = 20
MINORITY = 10
THEIRS = """
import sys
import pandas as pd
from imblearn.over_sampling import SMOTE
df = pd.read_parquet(sys.argv[1])
x, y = SMOTE(random_state=0).fit_resample(df.drop(columns=["id", "label"]), df["label"])
x.assign(label=y).to_parquet(sys.argv[2])
print(len(x))
"""
OURS = """
import json, sys
import lakebalance as lb
from lakebalance.core.session import local_session
spark = local_session("local[2]")
result = lb.run(lb.Recipe.load(sys.argv[1]), spark)
print(json.dumps([result.rows, result.stages]))
spark.stop()
"""


def make(folder: Path, rows: int) -> Path:
    """Rows of two classes whose features are four clouds each, in Parquet; the same every time."""
    path = folder / f"smote-{rows}"
    if path.exists():
        return path
    path.mkdir(parents=True)
    chance = np.random.default_rng(7)
    centres = chance.normal(0, 2, (8, FEATURES))
    for part, start in enumerate(range(0, rows, 250_000)):
        n = min(250_000, rows - start)
        ids = np.arange(start, start + n)
        rare = ids % MINORITY == 0
        cloud = chance.integers(0, 4, n) + 4 * rare
        at = centres[cloud] + chance.normal(0, 1, (n, FEATURES))
        columns = {"id": ids, "label": np.where(rare, "rare", "common")}
        columns |= {f"f{i}": at[:, i] for i in range(FEATURES)}
        pq.write_table(pa.table(columns), path / f"part-{part:03}.parquet")
    return path


def recipe(folder: Path, source: Path) -> Path:
    """The recipe: both classes alike, the smaller one by SMOTE on features as they are."""
    features = [f"f{i}" for i in range(FEATURES)]
    return one_source.recipe(
        folder,
        source,
        allocate={"balance": {"by": ["label"], "method": "to_max"}},
        sample={"method": "smote", "features": features, "scale": "none"},
    )


def timed(*command: str | Path) -> tuple[float, str]:
    """Seconds that a process takes, and its last line."""
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", *command], check=True, capture_output=True, text=True
    )
    return time.perf_counter() - start, done.stdout.splitlines()[-1]


def main() -> None:
    """Run both on each size and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[200_000, 500_000, 2_000_000])
    parser.add_argument("--stages", action="store_true", help="print what each stage took")
    parser.add_argument("--ours-alone", action="store_true", help="leave imbalanced-learn out")
    parser.add_argument(
        "--folder", type=Path, default=Path(tempfile.gettempdir()) / "lb-bench-smote"
    )
    asked = parser.parse_args()
    print("| rows | lakebalance s | of it publish s | imbalanced-learn s | ratio | rows out |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: |")
    for rows in asked.rows:
        source = make(asked.folder, rows)
        ours, line = timed(OURS, recipe(asked.folder, source))
        made, stages = json.loads(line)
        publish = next(s["seconds"] for s in stages if s["name"] == "publish")
        row = f"| {rows:,} | {ours:.1f} | {publish:.1f} |"
        if not asked.ours_alone:
            theirs, line = timed(THEIRS, source, asked.folder / "theirs.parquet")
            assert int(line) == made, (line, made)
            row += f" {theirs:.1f} | {theirs / ours:.2f} × |"
        else:
            row += " | |"
        print(row, f"{made:,} |", flush=True)
        if asked.stages:
            print({s["name"]: round(s["seconds"], 1) for s in stages})


if __name__ == "__main__":
    main()
