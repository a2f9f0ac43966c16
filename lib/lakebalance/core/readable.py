"""Rows as people and JSON read them, whatever types their columns have."""

from __future__ import annotations

import json
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from lakebalance.core.columns import RESERVED, column, kinds
from lakebalance.core.coordinates import TIMES
from lakebalance.core.counts import NESTED


def readable_rows(rows: DataFrame) -> list[dict[str, Any]]:
    """Rows by column: nested values as JSON holds them, bytes as hexadecimal digits, times as text.

    Python has no times after the year 9999, and no text for bytes.

    Parameters
    ----------
    rows : few rows; columns of ours come as they are.
    """
    kind_of = {n: k for n, k in kinds(rows).items() if not n.startswith(RESERVED)}
    shown = [
        _readable(column(name), kind_of[name]).alias(name) if name in kind_of else column(name)
        for name in rows.columns
    ]
    nested = {name for name, kind in kind_of.items() if isinstance(kind, NESTED)}
    return [
        {
            name: value
            if name not in kind_of
            else json.loads(value)
            if name in nested and value is not None
            else plain(value)
            for name, value in row.asDict().items()
        }
        for row in rows.select(*shown).collect()
    ]


def _readable(value: Column, kind: T.DataType) -> Column:
    if isinstance(kind, NESTED):
        return F.to_json(value, {"ignoreNullFields": "false"})
    if isinstance(kind, T.BinaryType):
        return F.hex(value)
    return value.cast("string") if isinstance(kind, TIMES) else value


def plain(value: Any) -> Any:
    """A value as JSON holds it."""
    return value if isinstance(value, str | int | float | bool | None) else str(value)
