"""Conditions in SQL that a table's rows may meet and others of its parent not.

What a table's columns say is measured once: each column's least and greatest value, its few values,
its nulls. Which condition selects exactly the table's rows is decided by comparing them, elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from lakebalance.core.columns import column, quoted
from lakebalance.core.hashing import INTEGRALS

# A condition that lists more values is hard to read; a range may do.
MOST_VALUES = 16
LONGEST = 100
# A dollar may begin a variable of Spark's, which it fills in before it reads SQL.
READABLE = re.compile(r"[^'\\$\x00-\x1f]*")
COMPARED = (*INTEGRALS, T.FloatType, T.DoubleType, T.DecimalType, T.StringType, T.DateType,
            T.TimestampType, T.TimestampNTZType, T.BooleanType)  # fmt: skip


@dataclass(frozen=True)
class Measured:
    """What a column's values are: least and greatest as text, nulls, and about how many differ."""

    kind: T.DataType
    low: str | None
    high: str | None
    nulls: int
    distinct: int
    values: tuple[str, ...] | None = None


def measures(schema: T.StructType) -> list[Column]:
    """Aggregates that say of each comparable column what ``measured`` takes."""
    parts = []
    for field in schema.fields:
        if isinstance(field.dataType, COMPARED):
            value = column(field.name)
            low, high = (as_text(f(value), field.dataType) for f in (F.min, F.max))
            nulls = F.count(F.when(value.isNull(), 1))
            parts += [low, high, nulls, F.approx_count_distinct(value)]
    return parts


def measured(schema: T.StructType, values: Sequence[Any]) -> dict[str, Measured]:
    """The columns' measures, from what the aggregates came to."""
    compared = [field for field in schema.fields if isinstance(field.dataType, COMPARED)]
    return {
        field.name: Measured(field.dataType, *values[4 * i : 4 * i + 4])
        for i, field in enumerate(compared)
    }


def with_few_values(df: DataFrame, known: Mapping[str, Measured]) -> dict[str, Measured]:
    """The measures, with all values of columns that seem to have few, as text; in one job.

    Parameters
    ----------
    df : the table.
    known : its columns' measures.
    """
    few = [name for name, m in known.items() if 1 < m.distinct <= MOST_VALUES]
    if not few:
        return dict(known)
    sets = [F.array_sort(F.collect_set(as_text(column(n), known[n].kind))).alias(n) for n in few]
    listed = zip(few, df.agg(*sets).collect()[0], strict=True)
    return {
        **known,
        **{
            name: replace(known[name], values=tuple(values))
            for name, values in listed
            if len(values) <= 2 * MOST_VALUES
        },
    }


def as_text(value: Column, kind: T.DataType) -> Column:
    """A value as a text that names it exactly, in any session's time zone."""
    if isinstance(kind, T.TimestampType):
        value = F.unix_micros(value)
    return value.cast("string")


def condition(name: str, known: Measured) -> str | None:
    """What all of the column's values meet; None where nothing can be said in a few words.

    Parameters
    ----------
    name : the column, as the parent calls it.
    known : its values in the child.

    Examples
    --------
    >>> condition("x", Measured(T.LongType(), "1", "9", 0, 9))
    '`x` BETWEEN 1 AND 9'
    >>> condition("x", Measured(T.StringType(), "a", "c", 2, 2, ("a", "c")))
    "(`x` IN ('a', 'c') OR `x` IS NULL)"
    >>> condition("x", Measured(T.LongType(), "5", "5", 0, 1))
    '`x` = 5'
    """
    value = quoted(name)
    if known.low is None or known.high is None:
        return f"{value} IS NULL"
    if max(map(len, (known.low, known.high, *(known.values or ())))) > LONGEST:
        return None
    if known.low == known.high:
        said = f"{value} = {literal(known.low, known.kind)}"
    elif known.values is not None:
        said = f"{value} IN ({', '.join(literal(v, known.kind) for v in known.values)})"
    else:
        said = (
            f"{value} BETWEEN {literal(known.low, known.kind)} AND "
            f"{literal(known.high, known.kind)}"
        )
    return f"({said} OR {value} IS NULL)" if known.nulls else said


def literal(text: str, kind: T.DataType) -> str:
    """A value in SQL, from the text that ``measures`` has of it.

    Examples
    --------
    >>> literal("EWR", T.StringType()), literal("it's", T.StringType())
    ("'EWR'", "CAST(X'69742773' AS STRING)")
    >>> literal("2013-01-31", T.DateType()), literal("0.5", T.DoubleType())
    ("DATE '2013-01-31'", "CAST('0.5' AS DOUBLE)")
    """
    if isinstance(kind, T.StringType):
        if READABLE.fullmatch(text):
            return f"'{text}'"
        return f"CAST(X'{text.encode().hex()}' AS STRING)"
    if isinstance(kind, T.TimestampType):
        return f"TIMESTAMP_MICROS({text})"
    if isinstance(kind, T.DateType):
        return f"DATE '{text}'"
    if isinstance(kind, T.TimestampNTZType):
        return f"TIMESTAMP_NTZ '{text}'"
    if isinstance(kind, T.FloatType | T.DoubleType | T.DecimalType):
        return f"CAST('{text}' AS {kind.simpleString().upper()})"
    return text
