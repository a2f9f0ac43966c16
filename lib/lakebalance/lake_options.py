"""What the lake's command and job make of what a user writes: paths, aliases, options."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, overload

from lakebalance.core.errors import RecipeError
from lakebalance.core.paths import from_root


def absolute(paths: Sequence[str]) -> list[str]:
    """Local paths from the root, as Spark and the inventory write them; URIs as they are."""
    return [from_root(path) for path in paths]


def places(paths: Sequence[str] | None, schemas: Sequence[str]) -> list[str]:
    """The folders to look below.

    Raises
    ------
    RecipeError : neither folders nor schemas are named.
    """
    if not (paths or schemas):
        raise RecipeError("name folders to look below, or a schema with --schema")
    return absolute(paths or [])


@overload
def table_name(name: str) -> str: ...
@overload
def table_name(name: None) -> None: ...
def table_name(name: str | None) -> str | None:
    """A table that is named by its path, from the root, or by its name in a catalog.

    Examples
    --------
    >>> table_name("main.sales.orders"), table_name("/lake/./orders")
    ('main.sales.orders', '/lake/orders')
    """
    return name if name is None or "/" not in name else from_root(name)


def aliases(texts: Sequence[str]) -> dict[str, str]:
    """Columns and what they stand for.

    Raises
    ------
    RecipeError : a text is not of the form a=b.

    Examples
    --------
    >>> aliases(["dep_dly=dep_delay"])
    {'dep_dly': 'dep_delay'}
    """
    found = {}
    for text in texts:
        name, equals, other = text.partition("=")
        if not (name and equals and other):
            raise RecipeError(f"--alias {text}: write the column and what it stands for: a=b")
        found[name] = other
    return found


def options(model: Any, values: Mapping[str, Any]) -> Any:
    """The options as the library takes them, with what is wrong said by the command's names."""
    from pydantic import ValidationError

    try:
        return model(**values)
    except ValidationError as error:
        said = error.errors()[0]
        name = "--" + str(said["loc"][0]).replace("_", "-")
        raise RecipeError(f"{name} {said['input']}: {said['msg']}") from error
