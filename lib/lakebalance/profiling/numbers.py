"""Exact quantiles of all columns of numbers and times at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import types as T

from lakebalance.core.columns import kinds
from lakebalance.core.coordinates import coordinate
from lakebalance.core.edges import comparable
from lakebalance.core.quantiles import values_of_each
from lakebalance.profiling.facts import ColumnFacts
from lakebalance.profiling.kinds import at_coordinate, coordinate_of

PARTS = 20
# More columns in one search make plans and code that take minutes.
AT_ONCE = 64
SHOWN = {"5%": 1, "25%": 5, "50%": 10, "75%": 15, "95%": 19}


def add_quantiles(df: DataFrame, facts: Sequence[ColumnFacts]) -> None:
    """Add exact quantiles to the facts of numbers and times; two to seven jobs for 64 columns.

    Parameters
    ----------
    df : the table.
    facts : its columns, which are completed. Those whose values doubles cannot tell apart are
        searched one by one, in as many jobs each.
    """
    told = [f for f in facts if f.kind in {"number", "time"} and f.filled]
    kind = kinds(df)
    wide = [f for f in told if _beyond_doubles(f, kind[f.name])]
    told = [f for f in told if f not in wide]
    found: dict[str, list[Any]] = {}
    for at in range(0, len(told), AT_ONCE):
        plain = {f"v{at + i}": f.name for i, f in enumerate(told[at : at + AT_ONCE])}
        columns = [coordinate(df, name).alias(own) for own, name in plain.items()]
        found |= values_of_each([df.select(*columns)], list(plain), PARTS)
    for i, f in enumerate(wide):
        own = df.select(comparable(df, f.name).alias("at"))
        found[f"v{len(told) + i}"] = values_of_each([own], ["at"], PARTS)["at"]
    for i, f in enumerate([*told, *wide]):
        values = found[f"v{i}"]
        f.quantiles = {
            name: at_coordinate(values[part - 1], kind[f.name]) for name, part in SHOWN.items()
        }


def _beyond_doubles(f: ColumnFacts, kind: T.DataType) -> bool:
    """Whether a column's values have more digits than a double."""
    if isinstance(kind, T.FloatType | T.DoubleType) or f.low is None or f.high is None:
        return False
    digits, scale = (kind.precision, kind.scale) if isinstance(kind, T.DecimalType) else (0, 0)
    if digits == 38:  # see ``core.quantiles``
        return False
    ends = [abs(coordinate_of(end, kind)) for end in (f.low, f.high)]
    return not max(ends) * 10.0**scale <= 2**53  # NaN: a time that Python has not
