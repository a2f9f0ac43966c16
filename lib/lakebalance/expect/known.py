"""The expectations that recipes may name: Great Expectations', other packages', and one's own."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from functools import cache
from importlib.metadata import entry_points
from typing import Any, TypeVar

from lakebalance.core.errors import RecipeError, nearest
from lakebalance.recipe.expect import Expectation

os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")  # older releases report usage

ENTRY_POINTS = "lakebalance.expect"
BATCH = "rows"
COLUMNS = ("column", "column_A", "column_B")
Class = TypeVar("Class", bound=type)

_registered: dict[str, type] = {}


def register(kind: Class) -> Class:
    """Let recipes name an expectation of one's own, a subclass of one of Great Expectations'.

    Another package does the same by an entry point of the group ``lakebalance.expect``.

    Parameters
    ----------
    kind : the class; an expectation of rows needs a metric with a condition for Spark.

    Returns
    -------
    The class, so that this can decorate it.

    Raises
    ------
    TypeError : it is no expectation, or one of Great Expectations has its name.

    Examples
    --------
    >>> register(ExpectColumnValuesToBeEven)  # doctest: +SKIP
    """
    from great_expectations.expectations import Expectation as Base

    if not (isinstance(kind, type) and issubclass(kind, Base)):
        raise TypeError(f"{kind!r} is no subclass of an expectation of Great Expectations")
    if kind.__name__ in _shipped():
        raise TypeError(f"Great Expectations has a {kind.__name__}; give yours another name")
    _registered[kind.__name__] = kind
    return kind


def classes() -> dict[str, type]:
    """All expectations that a recipe may name, by the names of their classes."""
    return {**_shipped(), **_of_packages(), **_registered}


def configure(expectation: Expectation, columns: Sequence[str], place: str) -> Any:
    """An instance of the expectation's class with its arguments.

    Parameters
    ----------
    expectation : as the recipe has it; its name may be that of the class, or as suites write it.
    columns : the top-level columns of the rows.
    place : path in the recipe, for messages.

    Raises
    ------
    RecipeError : there is no such expectation, or its arguments are wrong.
    """
    kinds, name = classes(), expectation.expectation
    written = {_snake(kind.__name__): known for known, kind in kinds.items()}
    name = written.get(name, name)
    if name not in kinds:
        raise RecipeError(f'{place}.expectation: no expectation "{name}"; {nearest(name, kinds)}')
    try:
        with warnings.catch_warnings():
            # Conditions that are texts are deprecated, and what most suites have.
            warnings.simplefilter("ignore")
            return kinds[name](**_arguments(expectation.args, columns), batch_id=BATCH)
    except Exception as error:
        # Great Expectations raises its own, pydantic's and plain errors for wrong arguments.
        raise RecipeError(f"{place}.args: {name}: {error}") from error


def as_known(name: str, columns: Sequence[str]) -> str:
    """A column as Great Expectations writes it: one whose name has a dot stands in backticks."""
    return f"`{name}`" if "." in name and name in columns else name


def _arguments(args: dict[str, Any], columns: Sequence[str]) -> dict[str, Any]:
    named: dict[str, Any] = {
        option: as_known(str(name), columns) for option, name in args.items() if option in COLUMNS
    }
    if isinstance(listed := args.get("column_list"), list):
        named["column_list"] = [as_known(str(name), columns) for name in listed]
    return {**args, **named}


@cache
def _shipped() -> dict[str, type]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import great_expectations.expectations as known
    base = known.Expectation
    found = {name: kind for name, kind in vars(known).items() if isinstance(kind, type)}
    return {n: kind for n, kind in found.items() if issubclass(kind, base) and kind is not base}


@cache
def _of_packages() -> dict[str, type]:
    found: dict[str, type] = {}
    for entry in entry_points(group=ENTRY_POINTS):
        kind = entry.load()
        if kind.__name__ in {**_shipped(), **found}:
            raise ValueError(f"{entry.value}: an expectation {kind.__name__} exists already")
        found[kind.__name__] = kind
    return found


def _snake(name: str) -> str:
    from great_expectations.util import camel_to_snake

    return str(camel_to_snake(name))
