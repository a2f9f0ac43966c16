"""Checks that no table is written which is read, before anything is."""

from __future__ import annotations

from lakebalance.core.errors import RecipeError
from lakebalance.core.paths import one_path
from lakebalance.core.tables import Table
from lakebalance.frames import Frames
from lakebalance.recipe.models import Recipe
from lakebalance.recipe.outputs import BALANCED, Output


def check_outputs(frames: Frames) -> None:
    """Raise where an output is a table that is read, or another output, or lies in one's folder.

    By path or by catalog name, a table is the same. VACUUM of a table takes files of others that
    lie in its folder.

    Raises
    ------
    RecipeError : with the output's place in the recipe, and both tables.
    """
    read = {name: one_path(place.location) for name, place in frames.places.items()}
    written: dict[str, str] = {}
    for output in frames.outputs:
        if output.inside:
            continue
        where = _location(frames, output.table)
        if where is None:
            continue
        for name, other in [*read.items(), *written.items()]:
            if how := _overlap(where, other):
                verb = "is written" if name in written else "is read"
                raise RecipeError(
                    f"{_place(frames.recipe, output)}: {output.table} {how} the table of "
                    f'"{name}", which {verb}; write another table'
                )
        written[output.name] = where


def _location(frames: Frames, name: str) -> str | None:
    """Where a table lies; None where the catalog does not have it yet."""
    if Table(name).is_path:
        return one_path(name)
    found = frames.forgotten.places.of(name)
    return None if found is None else one_path(found.location)


def _overlap(one: str, other: str) -> str | None:
    """How two places are one, or one inside the other.

    Examples
    --------
    >>> _overlap("/lake/a", "/lake/a"), _overlap("/lake/a/b", "/lake/a"), _overlap("/ab", "/a")
    ('is', 'lies in the folder of', None)
    """
    if one == other:
        return "is"
    if one.startswith(f"{other}/"):
        return "lies in the folder of"
    return "has in its folder" if other.startswith(f"{one}/") else None


def _place(recipe: Recipe, output: Output) -> str:
    """Where the recipe says which table an output is."""
    if output.name == BALANCED:
        return "publish.table"
    for i, phase in enumerate(recipe.phases):
        if phase.name == output.name:
            return f"phases.{i}.table"
    return f"split.tables.{output.name}"
