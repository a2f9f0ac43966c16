"""Writes a first recipe and its expectations, of what a table's profile suggests."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from lakebalance.core.errors import RecipeError
from lakebalance.core.paths import from_root
from lakebalance.profiling.suggestions import Expected, Suggestion, suggest
from lakebalance.table_profiles import Profile, TableProfile

RECIPE, SUITE = "recipe.yaml", "expectations.yaml"
# A recipe's file takes this for a variable of the environment.
VARIABLE = "${"


def write_suggestions(profile: Profile, folder: Path, *, overwrite: bool = False) -> list[Path]:
    """Write ``recipe.yaml`` and ``expectations.yaml`` of the one table of a profile.

    Parameters
    ----------
    profile : of one table, with keys and dependencies.
    folder : where they go; made if it is not there.
    overwrite : whether files of these names may be replaced.

    Raises
    ------
    RecipeError : there are several tables, or a file is there already.
    """
    check_suggestions(len(profile.tables), folder, overwrite=overwrite)
    (table,) = profile.tables
    data = table.to_dict()
    made = suggest(
        table.columns,
        table.keys.found if table.keys else [],
        data.get("dependencies", {}).get("found", []),
        data.get("redundant", {"constant": [], "equal": []}),
    )
    folder.mkdir(parents=True, exist_ok=True)
    texts = {RECIPE: recipe_text(table, made), SUITE: suite_text(made.expected)}
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    return [folder / name for name in texts]


def check_suggestions(tables: int, folder: Path, *, overwrite: bool) -> None:
    """Raise where nothing could be written; before the work that would be lost."""
    if tables != 1:
        raise RecipeError(f"--suggest {folder}: name one table; a recipe for several is yours")
    there = [name for name in (RECIPE, SUITE) if (folder / name).exists()]
    if there and not overwrite:
        raise RecipeError(
            f"--suggest {folder}: {folder / there[0]} exists already; name another folder, or "
            "write --overwrite"
        )


def recipe_text(table: TableProfile, made: Suggestion) -> str:
    """The recipe as YAML, with the reason of each choice beside it."""
    opened = table.opened
    path = from_root(opened.table) if "/" in opened.table else opened.table
    name = re.sub(r"\W+", "_", opened.name).strip("_") or "table"
    source: dict[str, Any] = {"name": name, "table": path}
    if opened.format != "delta":
        source["format"] = opened.format
    if made.key:
        source["key"] = made.key
    if made.nan_as_null:
        source["nan_as_null"] = True
    lines = [
        f"# Of the profile of {_line(opened.name)}: {table.rows:,} rows, {len(table.columns):,} "
        f"columns, version {opened.version}.",
        "# Each choice says why; edit it, then: lakebalance plan recipe.yaml",
        *_comments(made, "columns", ""),
        f"name: {_written(name + '_balanced')}",
        "seed: 7",
        "sources:",
        *_comments(made, "key", "  "),
        *_comments(made, "nan_as_null", "  "),
        f"  - {_written(source)}",
    ]
    if made.expected:
        lines += ["expect:", f"  suite: {SUITE}"]
    lines += _comments(made, "expect", "")
    if made.near_duplicates:
        step = {"method": "minhash", "columns": [made.near_duplicates], "threshold": 0.8}
        lines += ["prune:", *_comments(made, "prune", "  "), f"  - {_written(step)}"]
    if made.split:
        lines += ["split:", *_comments(made, "split", "  ")]
        lines += [f"  {_written(part)}: {_written(value)}" for part, value in made.split.items()]
    if made.by:
        rule = {"by": [made.by], "method": "equal", "max_epochs": 4}
        lines += ["allocate:", *_comments(made, "by", "  "), f"  balance: {_written(rule)}"]
    else:
        lines += _comments(made, "by", "")
    lines.append("publish:")
    lines.append(f"  table: {_written(path.rstrip('/') + '_balanced')}")
    if "/" not in path:
        lines.append("  # A folder that all runs reach, for ledger, quarantine and matches.")
        lines.append("  state: lakebalance_state/")
    if not table.rows:
        lines.append("  allow_empty: true  # there are no rows yet")
    return "\n".join(lines) + "\n"


def suite_text(expected: Sequence[Expected]) -> str:
    """The expectations as YAML; those whose values look like variables are left out."""
    lines = ["# What held in all rows when the table was profiled. warn: only said, until you"]
    lines.append("# know that it must hold; quarantine sets rows aside, stop publishes nothing.")
    for one in expected:
        entry = {"expectation": one.expectation, "args": one.args, "on_fail": one.on_fail}
        text = _flow(entry)
        if VARIABLE not in text:
            lines += [f"# {_line(one.reason)}", f"- {text}"]
    return "\n".join(lines) + "\n"


def _comments(made: Suggestion, part: str, indent: str) -> list[str]:
    return [f"{indent}# {_line(reason)}" for reason in made.reasons.get(part, [])]


def _line(text: str) -> str:
    """A text that cannot end a comment, whatever a column is called."""
    return "".join(c if c.isprintable() else " " for c in text).replace(VARIABLE, "$ {")


def _written(value: Any) -> str:
    """A value as a recipe takes it, in which variables are filled in."""
    return _flow(value).replace(VARIABLE, "$" + VARIABLE)


def _flow(value: Any) -> str:
    """A value as YAML in one line; what cannot be seen is escaped."""
    seen = json.dumps(value, ensure_ascii=False).isprintable()
    text: str = yaml.safe_dump(
        value, default_flow_style=True, allow_unicode=seen, width=10**9, sort_keys=False
    )
    return text.removesuffix("...\n").strip()
