"""Models whose numbers are numbers: true and yes are none."""

from __future__ import annotations

import types
from collections.abc import Mapping
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError


class Strict(BaseModel):
    """Unknown fields are refused, values do not change, and a number is not written as true."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _no_truth_for_numbers(cls, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return data
        wrong = [
            InitErrorDetails(
                type=PydanticCustomError("number", "Input should be a valid number"),
                loc=(name,),
                input=value,
            )
            for name, value in data.items()
            if isinstance(value, bool)
            and name in cls.model_fields
            and _only_numbers(cls.model_fields[name].annotation)
        ]
        if wrong:
            raise ValidationError.from_exception_data(cls.__name__, wrong)
        return data


def _only_numbers(annotation: Any) -> bool:
    """Whether a type takes numbers, and pydantic would take a boolean for one."""
    kinds = set(_plain(annotation))
    return bool(kinds & {int, float}) and bool not in kinds


def _plain(annotation: Any) -> list[Any]:
    """The types that a type is one of."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _plain(get_args(annotation)[0])
    if origin is Union or origin is types.UnionType:
        return [kind for part in get_args(annotation) for kind in _plain(part)]
    return [annotation]
