"""Suites of expectations in files: lists as recipes have them, or as Great Expectations writes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from lakebalance.core.errors import RecipeError, nearest
from lakebalance.recipe.expect import OnFail
from lakebalance.recipe.source_text import SourceText, parse

# What Great Expectations has beside type, kwargs, meta and severity says nothing about rows.
WORDS = ("id", "notes", "description", "rendered_content", "expectation_context", "windows")
KNOWN = ("type", "expectation_type", "kwargs", "meta", "severity", *WORDS)
OF_META = ("on_fail", "source", "on")
# Great Expectations gives critical to all that say nothing.
OF_SEVERITY = {"critical": "stop", "warning": "warn", "info": "warn"}


def read_suite(path: Path, on_fail: str | None) -> list[Any]:
    """The expectations of a suite's file, as a recipe has them.

    Parameters
    ----------
    path : YAML or JSON: a list of expectations as in a recipe, or a suite as Great Expectations
        writes it, whose expectations may have ``on_fail``, ``source`` and ``on`` in their ``meta``.
    on_fail : for those that do not say it; by their severity where left out.

    Raises
    ------
    RecipeError : with file, line and field.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path}: cannot be read: {error}") from error
    source = parse(text, str(path))
    if isinstance(source.data, list):
        return [_with_default(own, on_fail) for own in source.data]
    if not isinstance(source.data, dict) or not isinstance(source.data.get("expectations"), list):
        raise RecipeError(
            f"{path}: must be a list of expectations, or a suite as Great Expectations writes it, "
            "with name and expectations"
        )
    listed = source.data["expectations"]
    return [_translated(source, i, own, on_fail) for i, own in enumerate(listed)]


def _with_default(own: Any, on_fail: str | None) -> Any:
    if on_fail is None or not isinstance(own, Mapping):
        return own
    return {"on_fail": on_fail, **own}


def _translated(source: SourceText, i: int, own: Any, on_fail: str | None) -> dict[str, Any]:
    """One of Great Expectations' own as a recipe has it."""
    place = ("expectations", i)
    if not isinstance(own, dict):
        raise RecipeError(f"{source.where(place)}: must be a mapping with type and kwargs")
    if unknown := sorted(own.keys() - {*KNOWN}):
        where = source.where((*place, unknown[0]))
        raise RecipeError(f"{where}: unknown field; {nearest(unknown[0], KNOWN)}")
    name = own.get("type", own.get("expectation_type"))  # what it was called before 1.0
    if not isinstance(name, str):
        raise RecipeError(f"{source.where(place)}: type is missing; write it")
    for field in ("kwargs", "meta"):
        if not isinstance(own.get(field, {}), (dict, type(None))):
            raise RecipeError(f"{source.where((*place, field))}: must be a mapping")
    meta = own.get("meta") or {}
    said = {option: meta[option] for option in OF_META if option in meta}
    if said.get("on_fail", "warn") not in get_args(OnFail):
        where = source.where((*place, "meta", "on_fail"))
        raise RecipeError(f"{where}: {nearest(str(said['on_fail']), get_args(OnFail))}")
    return {
        "expectation": name,
        "args": dict(own.get("kwargs") or {}),
        "on_fail": on_fail or _by_severity(source, place, own.get("severity")),
        **said,
    }


def _by_severity(source: SourceText, place: tuple[str | int, ...], severity: Any) -> str:
    if severity is None:
        return OF_SEVERITY["critical"]
    if severity not in OF_SEVERITY:
        where = source.where((*place, "severity"))
        raise RecipeError(
            f'{where}: no severity "{severity}"; {nearest(str(severity), OF_SEVERITY)}'
        )
    return OF_SEVERITY[severity]
