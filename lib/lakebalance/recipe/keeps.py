"""What reasons to keep a row of a cluster say about the rest of a recipe: sources and groups."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from lakebalance.core.errors import nearest
from lakebalance.core.registry import MethodOptions
from lakebalance.prune.keep import Keep, reasons

if TYPE_CHECKING:
    from lakebalance.recipe.models import Recipe


def check_keeps(recipe: Recipe) -> None:
    """Check sources and groups that pruning names.

    Raises
    ------
    ValueError : there is no such source, or no groups; the message has the place.
    """
    names = [source.name for source in recipe.sources]
    for i, options in enumerate(recipe.prune):
        for keep, place in _reasons(options, f"prune.{i}"):
            for name in keep.sources or []:
                if name not in names:
                    raise ValueError(f'{place}.sources: no source "{name}"; {nearest(name, names)}')
            by = _groups(recipe, keep)
            if keep.short_of == "balance" and not by:
                raise ValueError(
                    f"{place}.short_of: allocate has no balance with columns in by; name columns"
                )
            if found := [name for name in by or [] if name in recipe.allocate.clusters]:
                raise ValueError(
                    f'{place}.short_of: the clusters "{found[0]}" are found in what pruning '
                    "leaves; name the columns that they divide"
                )


def with_columns_of_rules(recipe: Recipe) -> list[MethodOptions]:
    """The pruning methods' options, in which ``short_of: balance`` names its columns."""
    return [_with_columns(recipe, options) for options in recipe.prune]


def short_of(options: MethodOptions) -> set[str]:
    """The columns that a method counts groups by to say which row stays."""
    return {name for keep, _ in _reasons(options, "") for name in keep.short_of or []}


def _reasons(options: MethodOptions, place: str) -> Iterator[tuple[Keep, str]]:
    """The reasons to keep a row, of methods that have such."""
    keep: Any = getattr(options, "keep", None)
    if isinstance(keep, Keep | list):
        yield from reasons(keep, f"{place}.keep")


def _groups(recipe: Recipe, keep: Keep) -> list[str] | None:
    if keep.short_of != "balance":
        return keep.short_of
    return [name for name in recipe.allocate.by if name not in recipe.allocate.clusters]


def _with_columns(recipe: Recipe, options: MethodOptions) -> MethodOptions:
    found = list(_reasons(options, ""))
    if all(keep.short_of != "balance" for keep, _ in found):
        return options
    keeps = [
        Keep(short_of=_groups(recipe, keep)) if keep.short_of == "balance" else keep
        for keep, _ in found
    ]
    return options.model_copy(update={"keep": keeps})
