"""How far apart values may be, as recipes say it: a number, or a length of time."""

from __future__ import annotations

import math
import re
from typing import Annotated, Any

from pydantic import BeforeValidator
from pyspark.sql import types as T

from lakebalance.core.coordinates import TIMES
from lakebalance.core.errors import RecipeError

SECOND = 1_000_000
UNITS = {
    "microsecond": 1,
    "millisecond": 1000,
    "second": SECOND,
    "minute": 60 * SECOND,
    "hour": 3600 * SECOND,
    "day": 86400 * SECOND,
    "week": 7 * 86400 * SECOND,
}
WRITTEN = re.compile(rf"(\d+(?:\.\d+)?) *({'|'.join(UNITS)})s?")


def _length(value: Any) -> float | str:
    if isinstance(value, str):
        found = WRITTEN.fullmatch(value.strip())
        if found is not None and float(found[1]):
            return value.strip()
    elif isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < math.inf:
        return float(value)
    raise ValueError(
        "must be a number above 0, or a length of time such as 3 days, or 1.5 hours; units are "
        f"{', '.join(UNITS)}"
    )


Length = Annotated[float | str, BeforeValidator(_length)]


def in_units_of(length: float | str, kind: T.DataType, place: str) -> float:
    """A length in the units in which a column is measured: days of dates, else microseconds.

    Parameters
    ----------
    length : as it is written.
    kind : the type of the column: numbers, dates or timestamps.
    place : path in the recipe, for messages.

    Raises
    ------
    RecipeError : a length of time for numbers, or a number for times.

    Examples
    --------
    >>> in_units_of("36 hours", T.DateType(), "p"), in_units_of("1 second", T.TimestampType(), "p")
    (1.5, 1000000.0)
    """
    time = isinstance(kind, TIMES)
    if time != isinstance(length, str):
        instead = "a length of time such as 3 days" if time else "a number"
        raise RecipeError(
            f"{place}: the column is of type {kind.simpleString()}; write {instead} instead of "
            f"{length}"
        )
    if not isinstance(length, str):
        return float(length)
    found = WRITTEN.fullmatch(length)
    assert found is not None
    micros = float(found[1]) * UNITS[found[2]]
    return micros / UNITS["day"] if isinstance(kind, T.DateType) else micros
