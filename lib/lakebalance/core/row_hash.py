"""Hashes of rows as SQL, so that a script that rebuilds a table needs nothing but Spark.

Both sides of a comparison have the same columns of the same types, a table's own: so unlike
``core.hashing``, nothing has to be brought into a form that several types share.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from lakebalance.core.columns import quoted

# What makes the halves of a hash differ; any two texts would do.
HALVES = {"lb_hi": "X'6c616b65206869'", "lb_lo": "X'6c616b65206c6f'"}
SUMMED = "decimal(20,0)"


@dataclass(frozen=True)
class Fingerprint:
    """What tells multisets of rows apart: their number, and the sums of their hashes' halves."""

    rows: int
    hi: Decimal
    lo: Decimal


def hash_columns(schema: T.StructType) -> list[str]:
    """The 128-bit hash of a row as two columns of SQL, ``lb_hi`` and ``lb_lo``.

    Parameters
    ----------
    schema : the columns that are hashed, in their order.

    Examples
    --------
    >>> hash_columns(T.StructType().add("a.b", T.LongType()))[0]
    "xxhash64(xxhash64(X'6c616b65206869', `a.b` IS NULL, `a.b`)) AS lb_hi"
    """
    parts = []
    for field in schema.fields:
        name = quoted(field.name)
        # Spark's hash passes over nulls: a flag keeps (a, null) from (null, a). Flags, as sizes,
        # come before what they are of, so that no two rows are the same numbers one by one.
        parts += [f"{name} IS NULL", _hashable(name, field.dataType)]
    listed = ", ".join(parts)
    # The second round takes out what structure xxhash64 leaves in short inputs.
    return [f"xxhash64(xxhash64({salt}, {listed})) AS {name}" for name, salt in HALVES.items()]


def _hashable(value: str, kind: T.DataType, depth: int = 0) -> str:
    """A value as SQL's hash takes it: nulls within are flagged, maps are arrays sorted by key."""
    name = f"x{depth}"
    if isinstance(kind, T.ArrayType):
        item = _flagged(name, kind.elementType, depth + 1)
        return _sized(value, f"transform({value}, {name} -> {item})")
    if isinstance(kind, T.StructType):
        fields = [
            f"'f{i}', {_flagged(f'{value}.{quoted(field.name)}', field.dataType, depth)}"
            for i, field in enumerate(kind.fields)
        ]
        return f"IF({value} IS NULL, NULL, named_struct({', '.join(fields)}))"
    if isinstance(kind, T.MapType):
        key = _hashable(name, kind.keyType, depth + 1)
        item = _flagged(f"{value}[{name}]", kind.valueType, depth + 1)
        keys = f"array_sort(map_keys({value}))"
        return _sized(value, f"transform({keys}, {name} -> named_struct('k', {key}, 'v', {item}))")
    return f"to_json({value})" if isinstance(kind, T.VariantType) else value


def _sized(value: str, items: str) -> str:
    return f"IF({value} IS NULL, NULL, named_struct('s', size({value}), 'v', {items}))"


def _flagged(value: str, kind: T.DataType, depth: int) -> str:
    return f"named_struct('n', {value} IS NULL, 'v', {_hashable(value, kind, depth)})"


def hashed(df: DataFrame, schema: T.StructType, *keep: str) -> DataFrame:
    """The rows' hashes, ``lb_hi`` and ``lb_lo``, beside columns that are kept."""
    # Last: of a column that is renamed after them, Spark would derive all ways to write the hash.
    return df.selectExpr(*keep, *hash_columns(schema))


def sums(condition: Column | None = None) -> list[Column]:
    """The parts of a fingerprint as aggregates over ``hashed`` rows that meet a condition."""
    taken = F.lit(True) if condition is None else condition
    halves = [F.sum(F.when(taken, F.col(name).cast(SUMMED))) for name in HALVES]
    return [F.count(F.when(taken, 1)), *halves]


def fingerprint_of(values: Sequence[Any]) -> Fingerprint:
    """A fingerprint from what ``sums`` came to."""
    rows, hi, lo = values
    return Fingerprint(int(rows), Decimal(hi or 0), Decimal(lo or 0))


def fingerprint(df: DataFrame, schema: T.StructType) -> Fingerprint:
    """The fingerprint of a frame's rows, in one job without a shuffle of rows.

    Parameters
    ----------
    df : the rows.
    schema : the columns that count, with their types.
    """
    row = hashed(df, schema).agg(*[c.alias(f"s{i}") for i, c in enumerate(sums())]).collect()[0]
    return fingerprint_of(row)
