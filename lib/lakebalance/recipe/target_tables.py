"""Writes tables of targets, CSV files beside a recipe, into the rules that name them."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from lakebalance.core.errors import RecipeError
from lakebalance.recipe.source_text import SourceText

KINDS = {"rows": "counts", "share": "shares"}


def with_target_tables(data: dict[str, Any], source: SourceText, folder: Path) -> None:
    """Replace ``file`` of each ``targets`` rule by the counts or shares that stand in it.

    Parameters
    ----------
    data : the recipe; its rules are replaced.
    source : its text, for messages.
    folder : where relative files are looked up.

    Raises
    ------
    RecipeError : a file is not there or not as it should be: one column for each of ``by``, then
        ``rows`` or ``share``.
    """
    if isinstance(data.get("allocate"), dict):
        data["allocate"] = _with_tables(data["allocate"], source, ("allocate",), folder)
    if isinstance(data.get("phases"), list):
        data["phases"] = [
            _with_tables(phase, source, ("phases", i), folder) if isinstance(phase, dict) else phase
            for i, phase in enumerate(data["phases"])
        ]


def _with_tables(
    rules: dict[str, Any], source: SourceText, place: tuple[int | str, ...], folder: Path
) -> dict[str, Any]:
    rules = dict(rules)
    for name in ("mix", "balance"):
        if name in rules:
            rules[name] = _read(rules[name], source, (*place, name), folder)
    if isinstance(rules.get("within"), list):
        rules["within"] = [
            _read(rule, source, (*place, "within", i), folder)
            for i, rule in enumerate(rules["within"])
        ]
    return rules


def _read(rule: Any, source: SourceText, place: tuple[int | str, ...], folder: Path) -> Any:
    if not isinstance(rule, dict) or not isinstance(rule.get("file"), str):
        return rule
    if rule.get("method") != "targets":
        return rule
    path, where = folder / rule["file"], source.where((*place, "file"))
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            header, *lines = [line for line in csv.reader(file) if line] or [[]]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise RecipeError(f"{where}: {path}: {error}") from error
    by = rule.get("by", "source")
    wanted = [by] if isinstance(by, str) else list(by)
    if header[:-1] != wanted or header[-1:] not in ([kind] for kind in KINDS):
        raise RecipeError(
            f"{where}: {path}: the columns are {', '.join(header) or 'none'}; they must be "
            f"{', '.join(wanted)} and rows or share"
        )
    kept = {key: value for key, value in rule.items() if key != "file"}
    return {**kept, KINDS[header[-1]]: _amounts(header, lines, f"{where}: {path}")}


def _amounts(header: list[str], lines: list[list[str]], where: str) -> dict[str, float]:
    read = int if header[-1] == "rows" else float
    amounts: dict[str, float] = {}
    for number, line in enumerate(lines, 2):
        try:
            if len(line) != len(header):
                raise ValueError(f"{len(line)} values")
            amount = read(line[-1])
        except ValueError as error:
            raise RecipeError(
                f"{where}, line {number}: {error}; there must be {len(header)} values, the last a "
                + ("whole number" if read is int else "number")
            ) from error
        name = "/".join(value or "null" for value in line[:-1])
        if name in amounts:
            raise RecipeError(f'{where}, line {number}: "{name}" is there twice')
        amounts[name] = amount
    return amounts
