"""Environment variables in a recipe's values, and ``--set a.b=c``."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from lakebalance.core.errors import RecipeError, nearest
from lakebalance.core.secrets import is_secret, keep
from lakebalance.recipe.source_text import Path, SourceText, parse

VARIABLE = re.compile(r"\$\$\{|\$\{(secret:)?([A-Za-z_]\w*)(?::-([^}]*))?\}")


def expand_environment(source: SourceText, environ: Mapping[str, str]) -> SourceText:
    """Replace ``${NAME}`` and ``${NAME:-default}`` in text values; ``$${`` stays ``${``.

    What ``${secret:NAME}`` says, or a name as secrets have, is kept out of all that is written.

    Raises
    ------
    RecipeError : a variable without a default is not set, or a secret is too short to be hidden.
    """

    def expand(value: Any, path: Path) -> Any:
        if isinstance(value, dict):
            return {k: expand(v, (*path, k)) for k, v in value.items()}
        if isinstance(value, list):
            return [expand(v, (*path, i)) for i, v in enumerate(value)]
        if not isinstance(value, str):
            return value

        def replaced(found: re.Match[str]) -> str:
            if found[0] == "$${":
                return "${"
            asked, name, default = found.groups()
            text = environ.get(name)
            if default is not None and not text:
                text = default  # as in a shell
            if text is None:
                raise RecipeError(
                    f"{source.where(path)}: environment variable {name} is not set; set it, "
                    f"or write ${{{name}:-default}}"
                )
            is_kept = environ.get(name) and (asked or is_secret(name))
            return keep(name, text) if is_kept else text

        return VARIABLE.sub(replaced, value)

    return replace(source, data=expand(source.data, ()))


def apply_sets(source: SourceText, assignments: Sequence[str]) -> SourceText:
    """Override fields: ``allocate.rows=5``, ``sources.0.version=3``, ``sources.ewr.version=3``.

    Raises
    ------
    RecipeError : an assignment has no ``=``, or its path leads nowhere.
    """
    data = copy.deepcopy(source.data)
    for assignment in assignments:
        path, equals, text = assignment.partition("=")
        if not equals or not path:
            raise RecipeError(f"--set {assignment}: write --set path.to.field=value")
        value = parse(text, f"--set {assignment}").data if text.strip() else text
        *way, last = path.split(".")
        here = data
        for part in way:
            here = _step(here, part, assignment, make=True)
        if isinstance(here, list):
            here[_index(here, last, assignment)] = value
        elif isinstance(here, dict):
            here[last] = value
        else:
            raise RecipeError(f"--set {assignment}: there is no field inside a single value")
    return replace(source, data=data)


def _step(here: Any, part: str, assignment: str, *, make: bool) -> Any:
    if isinstance(here, list):
        return here[_index(here, part, assignment)]
    if isinstance(here, dict):
        return here.setdefault(part, {}) if make else here[part]
    raise RecipeError(f"--set {assignment}: {part}: there is no field inside a single value")


def _index(items: list[Any], part: str, assignment: str) -> int:
    if part.isdigit():
        if int(part) < len(items):
            return int(part)
        raise RecipeError(f"--set {assignment}: {part}: there are only {len(items)} items")
    names = [str(i.get("name", i.get("method", ""))) for i in items if isinstance(i, dict)]
    if part in names:
        return next(
            n
            for n, i in enumerate(items)
            if isinstance(i, dict) and str(i.get("name", i.get("method", ""))) == part
        )
    raise RecipeError(f'--set {assignment}: no item "{part}"; {nearest(part, names)}')
