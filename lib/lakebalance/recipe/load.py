"""Turns a recipe's text into a recipe, or into one error message per mistake with its line."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError

from lakebalance.core.errors import RecipeError, nearest
from lakebalance.core.registry import Stage, methods
from lakebalance.recipe.models import Recipe
from lakebalance.recipe.overrides import apply_sets, expand_environment
from lakebalance.recipe.source_text import SourceText, parse
from lakebalance.recipe.target_tables import with_target_tables

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
    with_target_tables(data, source, folder or Path())
    try:
        return Recipe.model_validate(data)
    except ValidationError as error:
        lines = [_explain(source, dict(detail)) for detail in error.errors()]
        raise RecipeError("\n".join(dict.fromkeys(lines))) from None


def _with_suite(source: SourceText, folder: Path) -> dict[str, Any]:
    """The recipe's data with the expectations of its suite file written into it."""
    data: dict[str, Any] = dict(source.data)
    expect = data.get("expect")
    if not isinstance(expect, dict) or not isinstance(expect.get("suite"), str):
        return data
    path = folder / expect["suite"]
    try:
        suite = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise RecipeError(f"{source.where(('expect', 'suite'))}: {path}: {error}") from error
    if not isinstance(suite, list):
        raise RecipeError(f"{path}: must be a list of expectations")
    data["expect"] = {"expectations": [*suite, *expect.get("expectations", [])]}
    return data


def _explain(source: SourceText, detail: dict[str, Any]) -> str:
    path = _plain_path(source.data, detail["loc"])
    kind = detail["type"]
    if kind == "extra_forbidden":
        return f"{source.where(path)}: unknown field; {nearest(str(path[-1]), _fields(path[:-1]))}"
    if kind == "union_tag_invalid":
        stage = next(STAGE_OF_FIELD[str(p)] for p in reversed(path) if p in STAGE_OF_FIELD)
        tag = detail["ctx"]["tag"]
        return f'{source.where((*path, "method"))}: no {stage} method "{tag}"; ' + nearest(
            str(tag), methods(stage)
        )
    if kind == "union_tag_not_found":
        stage = next(STAGE_OF_FIELD[str(p)] for p in reversed(path) if p in STAGE_OF_FIELD)
        return f"{source.where(path)}: method is missing; {nearest('', methods(stage))}"
    if kind == "missing":
        return f"{source.where(path)}: is missing; write it"
    message = str(detail["msg"]).removeprefix("Value error, ")
    was = detail.get("input")
    shown = "" if isinstance(was, (dict, list)) else f"; there was {was!r}"
    return f"{source.where(path)}: {message}{shown}"


def _plain_path(data: Any, loc: Sequence[int | str]) -> tuple[int | str, ...]:
    """The location without the names of methods and types that pydantic puts into it."""
    path: list[int | str] = []
    entered = True  # the tag stands once, right after the way into the method's mapping
    for part in loc:
        if NOT_OF_THE_RECIPE.match(str(part)):
            continue
        inside = isinstance(data, dict)
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


def _fields(path: Sequence[int | str]) -> list[str]:
    """The fields that may stand at a path of the recipe."""
    stage = next((STAGE_OF_FIELD[str(p)] for p in reversed(path) if p in STAGE_OF_FIELD), None)
    if stage is not None:
        names = {f for m in methods(stage).values() for f in m.options.model_fields}
        return sorted(names | ({"by"} if stage == "allocate" else set()))
    model: type[BaseModel] = Recipe
    for part in path:
        if isinstance(part, int) or part not in model.model_fields:
            continue  # a place in a list, or a name that the user gave
        inner = models_in(model.model_fields[part].annotation)
        if not inner:
            return []
        model = inner[0]
    return sorted(model.model_fields)


def models_in(annotation: Any) -> list[type[BaseModel]]:
    """All models that a field's type admits."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for arg in get_args(annotation) for model in models_in(arg)]
