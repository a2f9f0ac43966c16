"""Writes files beside a recipe into the rules that name them, so that its hash covers them."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lakebalance.core.errors import RecipeError
from lakebalance.recipe.learned_weights import learned_weights
from lakebalance.recipe.loss_tables import LOSS_COLUMNS, losses
from lakebalance.recipe.pilot_tables import pilots, projections
from lakebalance.recipe.source_text import SourceText
from lakebalance.recipe.table_headers import check_columns
from lakebalance.recipe.target_tables import amounts, check_header, kind_of

Place = tuple[int | str, ...]


def with_rule_tables(data: dict[str, Any], source: SourceText, folder: Path) -> None:
    """Replace ``file`` of ``targets``, ``qqt`` and ``transport`` by what stands in it.

    Parameters
    ----------
    data : the recipe; its rules are replaced.
    source : its text, for messages.
    folder : where relative files are looked up.

    Raises
    ------
    RecipeError : a file is not there, or not as it should be.
    """

    def read(rule: Any, place: Place) -> Any:
        reader = READERS.get(str(rule.get("method"))) if isinstance(rule, dict) else None
        return rule if reader is None else reader(rule, source, place, folder)

    if isinstance(data.get("allocate"), dict):
        data["allocate"] = _each(data["allocate"], ("allocate",), read)
    if isinstance(data.get("phases"), list):
        data["phases"] = [
            _each(phase, ("phases", i), read) if isinstance(phase, dict) else phase
            for i, phase in enumerate(data["phases"])
        ]


def _each(rules: dict[str, Any], place: Place, read: Callable[[Any, Place], Any]) -> dict[str, Any]:
    rules = dict(rules)
    for name in ("mix", "balance"):
        if name in rules:
            rules[name] = read(rules[name], (*place, name))
    if isinstance(rules.get("within"), list):
        rules["within"] = [
            read(rule, (*place, "within", i)) for i, rule in enumerate(rules["within"])
        ]
    return rules


def _targets(rule: dict[str, Any], source: SourceText, place: Place, folder: Path) -> Any:
    if not isinstance(rule.get("file"), str):
        return rule
    path = folder / rule["file"]
    kept = {key: value for key, value in rule.items() if key != "file"}
    if path.suffix == ".json":
        return {**kept, "shares": _json(source, (*place, "file"), path)}
    where, header, lines = _csv(source, (*place, "file"), path)
    check_header(header, rule.get("by", "source"), where)
    return {**kept, kind_of(header): amounts(header, lines, where)}


def _fit(rule: dict[str, Any], source: SourceText, place: Place, folder: Path) -> Any:
    fit = rule.get("fit")
    if not isinstance(fit, dict) or not isinstance(fit.get("file"), str):
        return rule
    where, header, lines = _csv(source, (*place, "fit", "file"), folder / fit["file"])
    if fit.get("measured"):
        raise RecipeError(f"{where}: write file or measured, not both")
    check_columns(header, LOSS_COLUMNS, where)
    kept = {key: value for key, value in fit.items() if key != "file"}
    return {**rule, "fit": {**kept, "measured": losses(header, lines, where)}}


def _transport(rule: dict[str, Any], source: SourceText, place: Place, folder: Path) -> Any:
    rule = dict(rule)
    for option, inside, read in (
        ("pilots", "measured", pilots),
        ("projections", "values", projections),
    ):
        given = rule.get(option)
        if not isinstance(given, dict) or not isinstance(given.get("file"), str):
            continue
        where, header, lines = _csv(source, (*place, option, "file"), folder / given["file"])
        if given.get(inside):
            raise RecipeError(f"{where}: write file or {inside}, not both")
        kept = {key: value for key, value in given.items() if key != "file"}
        rule[option] = {**kept, inside: read(header, lines, where)}
    return rule


def _csv(source: SourceText, place: Place, path: Path) -> tuple[str, list[str], list[list[str]]]:
    """Where a file is named and what it is called, its header, and its lines."""
    where = f"{source.where(place)}: {path}"
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            header, *lines = [line for line in csv.reader(file) if line] or [[]]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise RecipeError(f"{where}: {error}") from error
    return where, header, lines


def _json(source: SourceText, place: Place, path: Path) -> dict[str, float]:
    try:
        return learned_weights(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise RecipeError(f"{source.where(place)}: {path}: {error}") from error


READERS = {"targets": _targets, "qqt": _fit, "transport": _transport}
