"""Benchmark of near-duplicates of texts, each contestant a process from start to written output.

python tests/bench/minhash.py --texts 50000 --datatrove PYTHON_WITH_DATATROVE
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

sys.path.append(str(Path(__file__).parents[1] / "prune"))
import one_source
from one_source import OURS, options, show, timed
from planted import planted, true_pairs

THRESHOLD, BANDS = 0.8, (16, 8)
# Each prints the seconds until it could begin, and writes the ids that it keeps.
DATASKETCH = """
import json, sys
import pyarrow as pa, pyarrow.parquet as pq
from datasketch import MinHash, MinHashLSH
table, bands, rows = pq.read_table(sys.argv[1]), int(sys.argv[2]), int(sys.argv[4])
lsh = MinHashLSH(num_perm=bands * rows, params=(bands, rows))
kept = []
for key, text in zip(table["id"].to_pylist(), table["text"].to_pylist()):
    words = text.lower().split()
    own = MinHash(num_perm=bands * rows)
    own.update_batch([" ".join(words[i : i + 5]).encode() for i in range(max(len(words) - 4, 1))])
    if not lsh.query(own):
        kept.append(key)
    lsh.insert(key, own)
pq.write_table(pa.table({"id": kept}), sys.argv[3])
print(json.dumps({"begun": 0}))
"""
DATATROVE = """
import json, pathlib, sys
import pyarrow as pa, pyarrow.parquet as pq
from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.dedup import MinhashDedupBuckets, MinhashDedupCluster
from datatrove.pipeline.dedup import MinhashDedupFilter, MinhashDedupSignature
from datatrove.pipeline.dedup.minhash import MinhashConfig
from datatrove.pipeline.readers import ParquetReader
from datatrove.pipeline.writers import JsonlWriter

source, bands, out, rows = sys.argv[1:]
place = str(pathlib.Path(out).with_suffix(""))
config = MinhashConfig(num_buckets=int(bands), hashes_per_bucket=int(rows), n_grams=5)
reader = ParquetReader(source, text_key="text", id_key="id")


def run(name, tasks, *steps):
    logs = f"{place}/logs/{name}"
    LocalPipelineExecutor(list(steps), tasks, workers=2, logging_dir=logs).run()


if __name__ == "__main__":
    run("signatures", 2, reader, MinhashDedupSignature(f"{place}/signatures", config=config))
    pairs = MinhashDedupBuckets(f"{place}/signatures", f"{place}/pairs", config=config)
    run("pairs", int(bands), pairs)
    run("clusters", 1, MinhashDedupCluster(f"{place}/pairs", f"{place}/gone", config=config))
    writer = JsonlWriter(f"{place}/kept", compression=None)
    run("kept", 2, reader, MinhashDedupFilter(f"{place}/gone"), writer)
    files = pathlib.Path(f"{place}/kept").glob("*.jsonl")
    kept = [int(json.loads(line).get("id", 0)) for file in files for line in file.open()]
    pq.write_table(pa.table({"id": kept}), out)
    print(json.dumps({"begun": 0}))
"""


def make(folder: Path, texts: int) -> Path:
    """Texts with planted copies in two Parquet files, the same every time, and their families."""
    path = folder / f"minhash-{texts}"
    if not path.exists():
        path.mkdir(parents=True)
        said, family = planted(texts)
        table = pa.table({"id": range(texts), "text": said, "family": family})
        half = texts // 2
        for i, part in enumerate((table[:half], table[half:])):
            pq.write_table(part, path / f"part-{i}.parquet")
    return path


def recipe(folder: Path, source: Path) -> Path:
    """The recipe: near-duplicates at 0.8, with defaults."""
    prune = [{"method": "minhash", "columns": ["text"], "threshold": THRESHOLD}]
    return one_source.recipe(folder, source, prune=prune)


def quality(source: Path, kept: set[int]) -> tuple[float, float]:
    """Which share of near pairs has lost a row, and which share of lost rows is in a near pair."""
    table = pq.read_table(source)
    table = table.sort_by("id")
    pairs = true_pairs(table["text"].to_pylist(), table["family"].to_pylist(), THRESHOLD)
    near = {i for pair in pairs for i in pair}
    lost = set(range(len(table))) - kept
    found = sum(not (a in kept and b in kept) for a, b in pairs)
    return found / len(pairs), len(lost & near) / max(len(lost), 1)


def main() -> None:
    """Run all contestants and print a table."""
    parser = options(__doc__, ("--texts", "--rows"), 50_000, "lb-bench-minhash")
    parser.add_argument("--datatrove", help="the Python of an environment that has datatrove")
    asked = parser.parse_args()
    contestants = {"lakebalance, verified": (sys.executable, OURS)}
    if not asked.ours_alone:
        contestants["datasketch, one process"] = (sys.executable, DATASKETCH)
    if asked.datatrove:
        contestants["datatrove, two workers"] = (asked.datatrove, DATATROVE)
    print("| texts | contestant | seconds | docs/s | without start | recall | precision | kept |")
    print("| ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for texts in asked.rows:
        source = make(asked.folder, texts)
        for name, (python, code) in contestants.items():
            runs = []
            for _ in range(asked.repeats):
                first = str(recipe(asked.folder, source) if code is OURS else source)
                bands, rows = map(str, BANDS)
                runs.append(timed(python, code, asked.folder, first, bands, rows))
            show(texts, name, runs, partial(quality, source), asked.stages)


if __name__ == "__main__":
    main()
