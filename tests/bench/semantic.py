"""Benchmark of near-duplicates of embeddings, each contestant a process from start to output.

python tests/bench/semantic.py --rows 200000
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import one_source
from one_source import OURS, options, show, timed

EPSILON, SIZE = 0.05, 384
# The usual way in one process: k-means of all rows, then products of each cluster's rows.
SCIKIT_LEARN = """
import json, sys
import numpy as np, pyarrow as pa, pyarrow.parquet as pq
from sklearn.cluster import KMeans
table, clusters, epsilon = pq.read_table(sys.argv[1]), int(sys.argv[2]), float(sys.argv[4])
at = table["e"].combine_chunks().flatten().to_numpy().reshape(len(table), -1)
at = at / np.linalg.norm(at, axis=1)[:, None]
found = KMeans(clusters, init="random", n_init=1, max_iter=10, random_state=0).fit(at)
far = (at * found.cluster_centers_[found.labels_]).sum(axis=1)
stays = np.ones(len(at), bool)
for i in range(clusters):
    own = np.flatnonzero(found.labels_ == i)
    own = own[np.argsort(far[own], kind="stable")]
    near = np.tril(at[own] @ at[own].T >= 1 - epsilon, -1)
    for j in np.flatnonzero(near.any(axis=1)):
        stays[own[j]] = not stays[own[near[j]]].any()
pq.write_table(table.select(["id"]).filter(pa.array(stays)), sys.argv[3])
print(json.dumps({"begun": 0}))
"""


def make(folder: Path, rows: int) -> Path:
    """Embeddings around 500 topics, a tenth of them moved copies of others; the same every time."""
    path = folder / f"semantic-{rows}"
    if not path.exists():
        path.mkdir(parents=True)
        rng = np.random.default_rng(1)
        topics = rng.standard_normal((500, SIZE))
        own = rows - rows // 10
        at = topics[rng.integers(0, 500, own)] + 1.2 * rng.standard_normal((own, SIZE))
        base = rng.integers(0, own, rows // 10)
        moved = at[base] + rng.uniform(0, 0.6, (len(base), 1)) * rng.standard_normal(
            (len(base), SIZE)
        )
        order = rng.permutation(rows)
        values = np.concatenate([at, moved])[order].astype(np.float32)
        # The row that a copy is of; its own for those that are none.
        of = np.argsort(order)[np.concatenate([np.arange(own), base])][order]
        table = pa.table(
            {
                "id": np.arange(rows),
                "of": of,
                "e": pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), SIZE).cast(
                    pa.list_(pa.float32())
                ),
            }
        )
        half = rows // 2
        for i, part in enumerate((table[:half], table[half:])):
            pq.write_table(part, path / f"part-{i}.parquet")
    return path


def recipe(folder: Path, source: Path, clusters: int) -> Path:
    """The recipe: rows within 0.05 of one that stays go."""
    prune = [{"method": "semantic", "column": "e", "epsilon": EPSILON, "clusters": clusters}]
    return one_source.recipe(folder, source, prune=prune)


def quality(source: Path, kept: set[int]) -> tuple[float, float]:
    """Share of planted pairs within epsilon that lost a row, and of lost rows that are in one."""
    table = pq.read_table(source).sort_by("id")
    at = table["e"].combine_chunks().flatten().to_numpy().reshape(len(table), -1).astype(float)
    at = at / np.linalg.norm(at, axis=1)[:, None]
    of = table["of"].to_numpy()
    copies = np.flatnonzero(of != np.arange(len(of)))
    near = copies[(at[copies] * at[of[copies]]).sum(axis=1) >= 1 - EPSILON]
    stays = np.isin(np.arange(len(of)), list(kept))
    lost = np.flatnonzero(~stays)
    # Copies of one row may be near each other and not near it.
    member = np.isin(of[lost], of[copies])
    return float((~(stays[near] & stays[of[near]])).mean()), float(member.mean())


def main() -> None:
    """Run both contestants and print a table."""
    asked = options(__doc__, ("--rows",), 200_000, "lb-bench-semantic").parse_args()
    contestants = {"lakebalance": OURS}
    if not asked.ours_alone:
        contestants["scikit-learn, one process"] = SCIKIT_LEARN
    print("| rows | contestant | seconds | rows/s | without start | recall | precision | kept |")
    print("| ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for rows in asked.rows:
        source = make(asked.folder, rows)
        clusters = max(rows // 1000, 1)
        for name, code in contestants.items():
            runs = []
            for _ in range(asked.repeats):
                first = recipe(asked.folder, source, clusters) if code is OURS else source
                more = (str(first), str(clusters), str(EPSILON))
                runs.append(timed(sys.executable, code, asked.folder, *more))
            show(rows, name, runs, partial(quality, source), asked.stages)


if __name__ == "__main__":
    main()
