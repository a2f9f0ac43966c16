"""Turns a recipe's text into a recipe, or into one error message per mistake with its line."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from lakebalance.core.errors import RecipeError, nearest
from lakebalance.core.registry import Stage, methods
from lakebalance.recipe.expect import OnFail
from lakebalance.recipe.models import Recipe
from lakebalance.recipe.overrides import apply_sets, expand_environment
from lakebalance.recipe.rule_tables import with_rule_tables
from lakebalance.recipe.source_text import SourceText, parse
from lakebalance.recipe.suites import read_suite

MUST, WAS = "must be ", "; there was "
INTEGER, NUMBER = "a valid integer", "a valid number"
NOT_OF_THE_RECIPE = re.compile(r"(literal|list|dict|function-\w+)\[")
STAGE_OF_FIELD: dict[str, Stage] = {
    "prune": "prune",
    "mix": "allocate",
    "balance": "allocate",
    "within": "allocate",
    "sample": "sample",
}


def load(path: Path, sets: Sequence[str], environ: Mapping[str, str] | None) -> Recipe:
    """Read, expand, override and check a recipe file; see ``Recipe.load``."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path}: cannot be read: {error}") from error
    return loads(text, str(path), sets, environ, path.parent)


def loads(
    text: str,
    name: str = "recipe.yaml",
    sets: Sequence[str] = (),
    environ: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> Recipe:
    """Check a recipe's text.

    Parameters
    ----------
    text : YAML or JSON.
    name : what messages call the text.
    sets : overrides, each ``a.b=c``.
    environ : values for ``${NAME}``; the process's environment if left out.
    folder : where a relative ``expect.suite`` is looked up; the working folder if left out.

    Raises
    ------
    RecipeError : one line per mistake: file, line, field, what is wrong, what to write.
    """
    source = parse(text, name)
    source = expand_environment(source, os.environ if environ is None else environ)
    source = apply_sets(source, sets)
    if not isinstance(source.data, dict):
        raise RecipeError(f"{source.where(())}: must be a mapping with name, sources and publish")
    data = _with_suite(source, folder or Path())
    with_rule_tables(data, source, folder or Path())
    try:
        return Recipe.model_validate(data)
    except ValidationError as error:
        raise RecipeError("\n".join(_explained(source, error))) from None


def _with_suite(source: SourceText, folder: Path) -> dict[str, Any]:
    """The recipe's data with the expectations of its suite file written into it."""
    data: dict[str, Any] = dict(source.data)
    expect = data.get("expect")
    if not isinstance(expect, dict) or not isinstance(expect.get("suite"), str):
        return data
    on_fail = expect.get("on_fail")
    if on_fail is not None and on_fail not in get_args(OnFail):
        place = source.where(("expect", "on_fail"))
        raise RecipeError(f"{place}: {nearest(str(on_fail), get_args(OnFail))}")
    try:
        suite = read_suite(folder / expect["suite"], on_fail)
    except RecipeError as error:
        raise RecipeError(f"{source.where(('expect', 'suite'))}: {error}") from error
    others = {name: value for name, value in expect.items() if name not in ("suite", "on_fail")}
    data["expect"] = {**others, "expectations": [*suite, *expect.get("expectations", [])]}
    return data


def _explained(source: SourceText, error: ValidationError) -> list[str]:
    """One line per mistake; where several types are allowed, pydantic counts one for each."""
    wrong: dict[str, dict[str, None]] = {}
    for detail in error.errors():
        where, message = _explain(source, dict(detail))
        wrong.setdefault(where, {})[message] = None
    return [f"{where}: {_together(list(messages))}" for where, messages in wrong.items()]


def _together(messages: list[str]) -> str:
    """Several messages of one place as one: what was there is said once, at the end."""
    parts = [message.partition(WAS) for message in messages]
    said = [first for first, _, _ in parts[:1]]
    said += [first.removeprefix(MUST) for first, _, _ in parts[1:]]
    if MUST + INTEGER in said and NUMBER in said:  # an integer is one
        said = [MUST + NUMBER, *[s for s in said if s not in (MUST + INTEGER, NUMBER)]]
    _, was, shown = parts[-1]
    return " or ".join(said) + was + shown


def _explain(source: SourceText, detail: dict[str, Any]) -> tuple[str, str]:
    """Where a mistake is, and what to do about it."""
    path = _plain_path(source.data, detail["loc"])
    kind = detail["type"]
    if kind == "extra_forbidden":
        known = _fields(source.data, path[:-1])
        return source.where(path), f"unknown field; {nearest(str(path[-1]), known)}"
    if kind == "union_tag_invalid":
        stage = next(STAGE_OF_FIELD[str(p)] for p in reversed(path) if p in STAGE_OF_FIELD)
        tag = detail["ctx"]["tag"]
        meant = nearest(str(tag), methods(stage))
        return source.where((*path, "method")), f'no {stage} method "{tag}"; {meant}'
    if kind == "union_tag_not_found":
        stage = next(STAGE_OF_FIELD[str(p)] for p in reversed(path) if p in STAGE_OF_FIELD)
        return source.where(path), f"method is missing; {nearest('', methods(stage))}"
    if kind == "missing":
        return source.where(path), "is missing; write it"
    path = _there(source.data, path)
    message = str(detail["msg"]).removeprefix("Value error, ").replace("Input should be ", MUST)
    was = detail.get("input")
    if kind == "list_type" and isinstance(was, str):
        return source.where(path), f"{message}{WAS}{was!r}; write [{was}]"
    shown = "" if isinstance(was, (dict, list)) else f"{WAS}{was!r}"
    return source.where(path), f"{message}{shown}"


def _there(data: Any, path: Sequence[int | str]) -> tuple[int | str, ...]:
    """As much of a path as the recipe has: what comes after names a type that pydantic tried."""
    for depth, part in enumerate(path):
        places = data if isinstance(data, dict) else range(len(data)) if type(data) is list else ()
        if part not in places:
            return tuple(path[:depth])
        data = data[part]
    return tuple(path)


def _plain_path(data: Any, loc: Sequence[int | str]) -> tuple[int | str, ...]:
    """The location without the names of methods and types that pydantic puts into it."""
    path: list[int | str] = []
    entered = True  # the tag stands once, right after the way into the method's mapping
    for part in loc:
        if NOT_OF_THE_RECIPE.match(str(part)):
            continue
        inside = isinstance(data, dict)
        if inside and str(part)[:1].isupper() and part not in data:
            continue  # a model's name, where a field takes a mapping or something else
        in_stage = any(p in STAGE_OF_FIELD for p in path)
        if entered and in_stage and inside and data.get("method") == part:
            entered = False
            continue
        path.append(part)
        entered = True
        if inside:
            data = data.get(part)
        elif isinstance(data, list) and isinstance(part, int) and part < len(data):
            data = data[part]
    return tuple(path)


def _fields(data: Any, path: Sequence[int | str]) -> list[str]:
    """The fields that may stand at a path of the recipe."""
    model: type[BaseModel] = Recipe
    by: list[str] = []
    stage: Stage | None = None
    for part in path:
        data = data[part]
        stage = STAGE_OF_FIELD.get(str(part), stage)
        if stage is not None and isinstance(data, dict) and "method" in data:
            model = methods(stage)[data["method"]].options
            by = ["by"] if stage == "allocate" else []
        elif part in model.model_fields:
            inner = models_in(model.model_fields[str(part)].annotation)
            if not inner:
                return []
            model, by = inner[0], []
    return sorted({*model.model_fields, *by})


def models_in(annotation: Any) -> list[type[BaseModel]]:
    """All models that a field's type admits."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for arg in get_args(annotation) for model in models_in(arg)]
