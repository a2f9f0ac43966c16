"""Near-duplicates and shared lines among the texts that are installed here, as a Markdown page.

Descriptions of packages, licences of packages and of the system, docstrings and manuals. Nothing is
fetched, so the numbers are of what is installed.

python tests/bench/real_texts.py
"""

from __future__ import annotations

import argparse
import platform
import tempfile
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

import installed_texts
import lakebalance as lb
from lakebalance.core.session import local_session

# Those whose docstrings are read, by what they are called where they are installed from.
PACKAGES = {
    "numpy": "numpy",
    "scipy": "scipy",
    "pandas": "pandas",
    "sklearn": "scikit-learn",
    "pyspark": "pyspark",
    "great_expectations": "great-expectations",
}
STEPS: dict[str, dict[str, Any]] = {
    "minhash": {"method": "minhash", "columns": ["text"], "keep": {"longest": "text"}},
    "containment": {"method": "containment", "column": "text", "min_chars": 60},
}
SHOWN = 70


def sources(folder: Path) -> list[dict[str, Any]]:
    """A Parquet table for each kind of texts, as sources of a recipe."""
    kinds: dict[str, Iterable[tuple[str, str]]] = {
        "descriptions": installed_texts.descriptions(),
        "licences": installed_texts.licences(),
        "docstrings": installed_texts.docstrings(*PACKAGES),
        "manuals": installed_texts.manuals(),
    }
    for kind, found in kinds.items():
        texts = [(name, text) for name, text in found if text.strip()]
        names, said = zip(*texts, strict=True)
        table = pa.table({"name": names, "id": range(len(said)), "text": said})
        (folder / kind).mkdir()
        pq.write_table(table, folder / kind / "part.parquet")
    return [
        {"name": kind, "table": str(folder / kind), "format": "parquet", "key": ["id"]}
        for kind in kinds
    ]


def main() -> None:
    """Prune the texts, and print what went and the ten largest clusters."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    folder = Path(tempfile.mkdtemp(prefix="lakebalance-real-"))
    spark = local_session("local[2]")
    given = sources(folder)
    print(f"Python {platform.python_version()}, {installed_texts.versions(*PACKAGES.values())}.")
    for name, step in STEPS.items():
        recipe = lb.Recipe.model_validate(
            {
                "name": name,
                "sources": given,
                "prune": [step],
                "publish": {"table": str(folder / name), "source_column": "kind"},
            }
        )
        started = time.monotonic()
        data = lb.run(recipe, spark).to_dict()
        by_kind(name, data, time.monotonic() - started)
        if name == "minhash":
            clusters(data["duplicates"][0])
    spark.stop()


def by_kind(name: str, data: Mapping[str, Any], seconds: float) -> None:
    """Print how many texts of each kind there were and went, and of which kind what stayed is."""
    [step], [said] = data["pruned"], data["duplicates"]
    shorter = f", {step['edited']:,} texts lost some of their lines" if "edited" in step else ""
    print(
        f"\n`{STEPS[name]}`: {step['dropped']:,} of {sum(g['rows'] for g in data['groups']):,} "
        f"texts went{shorter}; {seconds:.1f} s, the whole run.\n"
    )
    kinds = [source["name"] for source in data["sources"]]
    went = {(b["dropped"], b["kept"]): b["rows"] for b in said["between"]}
    print(f"| kind | texts | stayed | {' | '.join(f'went for one of {k}' for k in kinds)} |")
    print(f"|---|---:|---:|{'---:|' * len(kinds)}")
    for kind in kinds:
        own = [group for group in data["groups"] if group["source"] == kind]
        counts = [sum(group[what] for group in own) for what in ("rows", "available")]
        counts += [went.get((kind, other), 0) for other in kinds]
        print(f"| {kind} | {' | '.join(f'{n:,}' for n in counts)} |")


def clusters(said: Mapping[str, Any]) -> None:
    """Print the ten largest clusters: what stays, and what of the others is least like it."""
    print(f"\n{said['clusters']:,} clusters; the ten largest:\n")
    print("| texts | kind | the one that stays begins | the one least like it | Jaccard |")
    print("|---:|---|---|---|---:|")
    for cluster in said["largest"]:
        kept, least = cluster["kept"], cluster["dropped"][0]
        print(
            f"| {cluster['rows']:,} | {kept['source']} | {_begin(kept['text'])} "
            f"| {_begin(least['text'])} | {least['similarity']:.3f} |"
        )


def _begin(text: str) -> str:
    """The beginning of a text, as a cell of a table."""
    line = " ".join(text.split())
    line = line if len(line) <= SHOWN else f"{line[:SHOWN]}…"
    for char in "|<>`*_":
        line = line.replace(char, f"\\{char}")
    return line


if __name__ == "__main__":
    main()
