"""The documentation of recipes and methods, made from the models that check them."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from lakebalance.core.registry import Method, Stage, methods
from lakebalance.recipe.load import models_in
from lakebalance.recipe.models import Recipe
from lakebalance.recipe.type_names import in_words

STAGES: dict[Stage, str] = {
    "prune": "Pruning takes redundant rows out: `prune: [{method: …}, …]`, in order.",
    "allocate": "Allocation rules turn counts into targets: `allocate.mix` over the sources, "
    "`allocate.balance` over the groups of its `by` columns.",
    "sample": "Samplers turn targets into rows: `sample: {method: …}`.",
}
METHOD_FIELDS = re.compile(r"prune|sample|(allocate|phases\[\])\.(mix|balance|within)")


def recipe_page() -> str:
    """The page of all fields of a recipe, as Markdown."""
    lines = [
        "# The recipe",
        "",
        "Made by `lakebalance validate --markdown`. A recipe is YAML or JSON; fields that are not "
        "here are refused. The options of methods are in [methods.md](methods.md).",
        "",
        "| field | type | default | meaning |",
        "|---|---|---|---|",
    ]
    lines += ["| " + " | ".join(row) + " |" for row in _rows(Recipe, "")]
    return "\n".join(lines) + "\n"


def methods_page() -> str:
    """The page of all methods with their options, as Markdown."""
    lines = ["# Methods", "", "Made by `lakebalance methods --markdown`."]
    for stage, text in STAGES.items():
        lines += ["", f"## {stage}", "", text]
        for method in methods(stage).values():
            lines += ["", *_method(method)]
    return "\n".join(lines) + "\n"


def example_of(method: Method) -> str:
    """The example in a method's documentation: options that validate, as one line of YAML."""
    return method.example or f"{{method: {method.name}}}"


def _method(method: Method) -> list[str]:
    lines = [f"### `{method.name}`", "", method.summary, "", "```yaml", example_of(method), "```"]
    fields = {n: f for n, f in method.options.model_fields.items() if n != "method"}
    if fields:
        lines += ["", "| option | type | default | meaning |", "|---|---|---|---|"]
        lines += [
            f"| {' | '.join((f'`{name}`', *_told(field)))} |" for name, field in fields.items()
        ]
    if references := _section(method, "References"):
        lines += ["", f"Source: {references}"]
    return lines


def _section(method: Method, title: str) -> str:
    doc = inspect.getdoc(method.function) or ""
    found = re.search(rf"{title}\n-+\n(.*?)(?:\n\n\w+\n-+\n|\Z)", doc, re.DOTALL)
    return " ".join(found[1].split()) if found else ""


def _rows(model: type[BaseModel], path: str) -> Iterator[tuple[str, str, str, str]]:
    for name, field in model.model_fields.items():
        full = f"{path}{name}"
        inner = models_in(field.annotation)
        listed = "list" in str(field.annotation)
        kind, default, meaning = _told(field)
        if METHOD_FIELDS.fullmatch(full):
            yield f"`{full}`", "list of methods" if listed else "method", default, meaning
            continue
        yield f"`{full}`", kind, default, meaning
        for part in inner:
            yield from _rows(part, f"{full}[]." if listed else f"{full}.")


def _told(field: FieldInfo) -> tuple[str, str, str]:
    """Type, default and meaning of a field."""
    return in_words(field.annotation), _default(field), _cell(field.description)


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value: Any = field.get_default(call_default_factory=True, validated_data={})
    if value is None or value is PydanticUndefined:
        return "none"
    if isinstance(value, BaseModel):
        shown = value.model_dump(exclude_defaults=not hasattr(value, "method"))
        return f"`{json.dumps(shown)}`" if shown else "empty"
    return f"`{json.dumps(value)}`"


def _cell(text: str | None) -> str:
    return (text or "").replace("|", "\\|").replace("\n", " ")
