"""Values in JSON, which has no number for NaN and the infinite ones."""

from __future__ import annotations

import math
from typing import Any


def json_value(value: Any) -> Any:
    """A group's value in JSON: what JSON has no number for is ``{"float": "NaN"}``."""
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}[str(value)]}
    return value


def in_json(data: Any) -> Any:
    """Data with all numbers in it as ``json_value`` writes them, however deep.

    Examples
    --------
    >>> in_json({"a": [1.5, float("nan")]})
    {'a': [1.5, {'float': 'NaN'}]}
    """
    if isinstance(data, dict):
        return {key: in_json(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [in_json(value) for value in data]
    return json_value(data)


def python_value(value: Any) -> Any:
    """The value that ``json_value`` wrote.

    Examples
    --------
    >>> python_value(json_value(float("inf")))
    inf
    """
    return float(value["float"]) if isinstance(value, dict) else value
