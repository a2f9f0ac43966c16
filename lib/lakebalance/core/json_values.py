"""Values in JSON, which has no number for NaN and the infinite ones."""

from __future__ import annotations

import math
from typing import Any


def json_value(value: Any) -> Any:
    """A group's value in JSON: what JSON has no number for is ``{"float": "NaN"}``."""
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}[str(value)]}
    return value


def python_value(value: Any) -> Any:
    """The value that ``json_value`` wrote.

    Examples
    --------
    >>> python_value(json_value(float("inf")))
    inf
    """
    return float(value["float"]) if isinstance(value, dict) else value
