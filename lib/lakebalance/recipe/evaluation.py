"""What a recipe says of the tables that a model is evaluated on, and the step that it implies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import Field, field_validator

from lakebalance.recipe.sources import Source

CONTAMINATION = "contamination"


class Evaluation(Source):
    """A table that a model is evaluated on: read at one version, never published."""

    columns: dict[str, list[str]] = Field(
        min_length=1,
        description="By columns of the sources with text: this table's columns that make the text "
        "which theirs is compared with, line after line.",
    )
    contamination: bool = Field(
        True,
        description="Whether rows for training that overlap this table are dropped. By default a "
        "step `{method: contamination}` does it, after those in prune, where these have none.",
    )

    @field_validator("columns")
    @classmethod
    def _name_some(cls, columns: dict[str, list[str]]) -> dict[str, list[str]]:
        for name, own in columns.items():
            if not own:
                raise ValueError(f"{name}: name at least one column of the table")
        return columns


def with_contamination(data: Any) -> Any:
    """A recipe's data with the step that its evaluation tables imply.

    Examples
    --------
    >>> with_contamination({"evaluation": [{"name": "mmlu"}]})["prune"]
    [{'method': 'contamination'}]
    >>> with_contamination({"evaluation": [{"name": "mmlu", "contamination": "off"}]})
    {'evaluation': [{'name': 'mmlu', 'contamination': 'off'}]}
    """
    if not isinstance(data, dict):
        return data
    tables, steps = data.get("evaluation"), data.get("prune") or []
    if not isinstance(tables, Sequence) or not isinstance(steps, Sequence):
        return data
    on = [t for t in tables if str(_value(t, "contamination")).lower() not in OFF]
    if not on or any(_value(step, "method") == CONTAMINATION for step in steps):
        return data
    return {**data, "prune": [*steps, {"method": CONTAMINATION}]}


# What pydantic reads as false.
OFF = ("false", "off", "no", "n", "f", "0")


def _value(of: Any, name: str) -> Any:
    return of.get(name) if isinstance(of, Mapping) else getattr(of, name, None)
