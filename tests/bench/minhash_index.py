"""Benchmark of a batch of texts against an index of those before it, and of all of them at once.

python tests/bench/minhash_index.py --texts 500000
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import minhash
import one_source
from one_source import OURS, Run, options, timed

# Of how many texts before it the batch is one.
PART = 20
STEP = {
    "method": "minhash",
    "columns": ["text"],
    "threshold": minhash.THRESHOLD,
    "link": "neighbours",
    "keep": {"first_by": "id"},
}


def run(folder: Path, source: Path, where: str, indexed: bool) -> Run:
    """A process that takes near-duplicates out of some of the texts."""
    step = STEP | ({"index": "texts"} if indexed else {})
    made = one_source.recipe(folder, source, prune=[step], where=where, state=folder / "state")
    return timed(sys.executable, OURS, folder, str(made), "", "")


def main() -> None:
    """Build an index, run a batch against it, then all at once; print a table."""
    parser = options(__doc__, ("--texts", "--rows"), 500_000, "lb-bench-minhash")
    asked = parser.parse_args()
    print("| texts | what | seconds | without start | share of all at once | kept |")
    print("| ---: | --- | ---: | ---: | ---: | ---: |")
    for texts in asked.rows:
        batch = texts // PART
        source = minhash.make(asked.folder, texts + batch)
        whole, lines = run(asked.folder, source, "true", False), []
        for _ in range(asked.repeats):
            shutil.rmtree(asked.folder / "state", ignore_errors=True)
            first = run(asked.folder, source, f"id < {texts}", True)
            lines.append((first, run(asked.folder, source, f"id >= {texts}", True)))
        first, later = sorted(lines, key=lambda pair: pair[1][0])[len(lines) // 2]
        for rows, name, (seconds, said, kept) in (
            (texts + batch, "all at once", whole),
            (texts, "into an index", first),
            (batch, "a batch against it", later),
        ):
            own = seconds - said["begun"]
            share = own / (whole[0] - whole[1]["begun"])
            print(
                f"| {rows:,} | {name} | {seconds:.1f} | {own:.1f} | {share:.3f} | {len(kept):,} |"
            )
            if asked.stages:
                print(said)
        same = first[2] | later[2] == whole[2]
        print(f"\nThe two keep {'the same' if same else 'OTHER'} texts as all at once.")


if __name__ == "__main__":
    main()
