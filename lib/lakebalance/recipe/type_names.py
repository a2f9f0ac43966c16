"""What documentation calls the types of fields."""

from __future__ import annotations

import types
from collections.abc import Sequence
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

PLAIN = {str: "text", int: "whole number", float: "number", bool: "true or false"}


def in_words(annotation: Any) -> str:
    """A type as users would say it.

    Examples
    --------
    >>> in_words(list[str] | None), in_words(float | Literal["min", "max"])
    ('list of texts', 'number or `min` or `max`')
    >>> in_words(dict[str, Annotated[float, "positive"]]), in_words(tuple[float, float])
    ('mapping of names to numbers', 'list of 2 numbers')
    """
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return in_words(arguments[0])
    if origin is Literal:
        return " or ".join(f"`{value}`" for value in arguments)
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(in_words(a) for a in arguments if a is not type(None)))
    if origin is dict:
        return f"mapping of names to {_several(arguments[1])}"
    if origin is tuple:
        return f"list of {len(arguments)} {_several(arguments[0])}"
    if origin is not None and issubclass(origin, Sequence):
        return f"list of {_several(arguments[0])}"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "mapping"
    return PLAIN.get(annotation, "value")


def _several(annotation: Any) -> str:
    one = in_words(annotation)
    if " or " in one:
        return "values" if get_origin(annotation) is not Literal else one
    return one if one.startswith(("list", "`")) else f"{one}s"
