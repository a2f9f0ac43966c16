"""A mixture of real texts that installed packages ship, planned and run, as a Markdown page.

Paragraphs of eight kinds: the manual that Python carries, docstrings of its library, of numpy,
scipy, pandas and scikit-learn, descriptions of data sets, and licences. Nothing is fetched, so the
numbers are of the versions installed.

python tests/bench/text_mixture.py > docs/text_mixture.md
"""

from __future__ import annotations

import ast
import importlib.metadata
import importlib.util
import platform
import sysconfig
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd

import lakebalance as lb
from lakebalance.core import session
from lakebalance.core.repetition import next_value

LEAST = 60  # characters of a paragraph: shorter ones are headings
ROWS = 20_000
BAR = 24
MIXES: dict[str, dict[str, Any]] = {
    "proportional": {"method": "proportional"},
    "temperature 2, 8 epochs at most": {
        "method": "temperature",
        "temperature": 2.0,
        "max_epochs": 8,
    },
    "UniMax, 4 epochs at most": {"method": "unimax", "max_epochs": 4},
    "temperature 5, unlimited": {"method": "temperature", "temperature": 5.0, "max_epochs": None},
}


def package(name: str) -> Path:
    """The folder of a package."""
    found = importlib.util.find_spec(name)
    assert found is not None and found.origin is not None, f"pip install {name}"
    return Path(found.origin).parent


def docstrings(folder: Path, own: bool = False) -> Iterator[str]:
    """All docstrings below a folder, in order of paths; ``own`` leaves out what is installed."""
    for path in sorted(folder.rglob("*.py")):
        parts = path.relative_to(folder).parts
        if "tests" in parts or "test" in parts or (own and "site-packages" in parts):
            continue
        try:
            tree = ast.parse(path.read_text(encoding="utf-8"))
        except (SyntaxError, UnicodeDecodeError):
            continue
        for node in ast.walk(tree):
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)):
                yield ast.get_docstring(node) or ""


def manual() -> Iterator[str]:
    """The topics of Python's manual that ``help`` shows."""
    from pydoc_data.topics import topics

    yield from (topics[name] for name in sorted(topics))


def licences() -> Iterator[str]:
    """The licences of all installed packages."""
    folder = Path(sysconfig.get_paths()["purelib"])
    for path in sorted(folder.glob("*.dist-info/**/*")):
        if path.is_file() and path.name.upper().startswith(("LICEN", "COPYING", "NOTICE")):
            yield path.read_text(encoding="utf-8", errors="replace")


def descriptions() -> Iterator[str]:
    """What scikit-learn says of the data sets that it ships."""
    for path in sorted((package("sklearn") / "datasets" / "descr").glob("*.rst")):
        yield path.read_text(encoding="utf-8")


def kinds() -> dict[str, Iterable[str]]:
    """Texts by kind."""
    return {
        "python_library": docstrings(Path(sysconfig.get_paths()["stdlib"]), own=True),
        "scipy": docstrings(package("scipy")),
        "numpy": docstrings(package("numpy")),
        "sklearn": docstrings(package("sklearn")),
        "pandas": docstrings(package("pandas")),
        "python_manual": manual(),
        "licences": licences(),
        "descriptions": descriptions(),
    }


def write(folder: Path) -> dict[str, Path]:
    """A Parquet table of paragraphs for each kind; equal ones stay, the recipe drops them."""
    tables = {}
    for kind, texts in kinds().items():
        found = [" ".join(part.split()) for text in texts for part in text.split("\n\n")]
        found = [text for text in found if len(text) >= LEAST]
        frame = pd.DataFrame({"id": range(len(found)), "text": found})
        tables[kind] = folder / kind
        tables[kind].mkdir()
        frame.to_parquet(tables[kind] / "part.parquet", index=False)
    return tables


def recipe(tables: dict[str, Path], mix: dict[str, Any], target: Path) -> lb.Recipe:
    """Paragraphs once each over all kinds, then mixed."""
    return lb.Recipe.model_validate(
        {
            "name": "texts",
            "sources": [
                {"name": kind, "table": str(path), "format": "parquet", "key": ["id"]}
                for kind, path in tables.items()
            ],
            "prune": [{"method": "exact", "columns": ["text"]}],
            "split": {"done": True},
            "allocate": {"mix": {"by": "source", **mix}, "rows": ROWS},
            "publish": {"table": str(target)},
        }
    )


def bar(part: float, whole: float) -> str:
    """A bar of blocks."""
    return "█" * round(BAR * part / whole) or "▏"


def chart(plan: dict[str, Any]) -> Iterator[str]:
    """A plan's sources: what there is, shares before and after, epochs, the next one's worth."""
    groups = sorted(plan["groups"], key=lambda g: -g["available"])
    available = sum(g["available"] for g in groups)
    most = max(g["epochs"] for g in groups)
    top = max(max(g["available"] / available, g["target"] / ROWS) for g in groups)
    yield "| source | available | share | after | share | share after | epochs | | next epoch |"
    yield "|---|---:|---:|---:|---:|---|---:|---|---:|"
    for g in groups:
        before, after = g["available"] / available, g["target"] / ROWS
        yield (
            f"| {g['source']} | {g['available']:,} | {before:.1%} | {g['target']:,} | {after:.1%} "
            f"| {bar(after, top)} | {g['epochs']:.2f} | {bar(g['epochs'], most)} "
            f"| {next_value(g['available'], g['target']):.3f} |"
        )


def main() -> None:
    """Print the page."""
    folder = Path(tempfile.mkdtemp(prefix="lakebalance-texts-"))
    tables = write(folder)
    spark = session.local_session("local[2]")
    versions = [f"{n} {importlib.metadata.version(n)}" for n in ("numpy", "scipy", "pandas")]
    versions.append(f"scikit-learn {importlib.metadata.version('scikit-learn')}")
    print("# A mixture of real texts\n")
    print(
        f"Paragraphs of texts that packages ship (Python {platform.python_version()}, "
        f"{', '.join(versions)}), equal ones dropped, mixed into {ROWS:,} rows. Made by "
        "`python tests/bench/text_mixture.py`."
    )
    for i, (title, mix) in enumerate(MIXES.items()):
        target = folder / f"out{i}"
        asked = recipe(tables, mix, target)
        if title == list(MIXES)[1]:
            result = lb.run(asked, spark)
            plan = result.plan.to_dict()
            found = spark.read.format("delta").load(str(target)).count()
            met = all(line["planned"] == line["found"] for line in result.published)
        else:
            plan, found, met = lb.plan(asked, spark).to_dict(), None, None
        print(f"\n## {title}\n\n```yaml\nmix: {{by: source, ", end="")
        print(", ".join(f"{k}: {'null' if v is None else v}" for k, v in mix.items()) + "}\n```\n")
        print("\n".join(chart(plan)))
        for diagnostic in plan["diagnostics"]:
            if diagnostic["title"] == "repeat or weigh":
                print(f"\n{diagnostic['note']}")
        if found is not None:
            print(f"\nRun: {found:,} rows found in the table; all sources as planned: {met}.")


if __name__ == "__main__":
    main()
