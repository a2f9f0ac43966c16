"""Hashes rows, the same on any cluster: all randomness of the product comes from here.

Values are hashed in a canonical form, so that a column widened from int to bigint, or a timestamp
read under another session time zone, hashes the same.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from hashlib import sha256
from typing import Any, TypeVar, overload

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from lakebalance.core.columns import column, kinds, quoted

INTEGRALS = (T.ByteType, T.ShortType, T.IntegerType, T.LongType)
AS_THEY_ARE = (T.StringType, T.BooleanType, T.DateType)
Part = TypeVar("Part", str, Column)
"""What is hashed: a Column, or SQL for one.

A Column is put together in the JVM by a call for each of its parts, at a millisecond for each; one
that is made of a text takes a single call.
"""


def canonical(value: Column, kind: T.DataType, *, sized: bool = False) -> Column:
    """A column in the form that is hashed and grouped by.

    Integrals become bigint, timestamps UTC microseconds, floats double with one NaN and no -0.0,
    decimals text without end zeros; within arrays and structs likewise. Maps become arrays of
    entries sorted by key.

    Parameters
    ----------
    value : the column.
    kind : its type.
    sized : whether arrays and maps come with how many elements they have, which Spark's hash of
        them does not see: ([1], []) would hash as ([], [1]).
    """
    if isinstance(kind, INTEGRALS):
        return value.cast("bigint")
    if isinstance(kind, T.TimestampType):
        return F.unix_micros(value)
    if isinstance(kind, T.FloatType | T.DoubleType):
        double = value.cast("double")
        return (
            F.when(double == 0.0, F.lit(0.0))
            .when(F.isnan(double), F.lit(float("nan")))
            .otherwise(double)
        )
    if isinstance(kind, T.DecimalType):
        return _plain_decimal(value)
    if isinstance(kind, T.ArrayType):
        items = F.transform(
            value, lambda item: _kept_null(canonical(item, kind.elementType, sized=sized))
        )
        return _with_size(value, items) if sized else items
    if isinstance(kind, T.StructType):
        fields = [
            _kept_null(canonical(value.getField(field.name), field.dataType, sized=sized)).alias(
                f"f{i}"
            )
            for i, field in enumerate(kind.fields)
        ]
        # A struct without fields has nothing to tell apart but its being there.
        return F.when(value.isNotNull(), F.struct(*fields) if fields else F.lit(True))
    if isinstance(kind, T.MapType):
        # Entries can't be sorted where a value has no order (a map in a map); keys always can.
        entries = F.transform(
            F.array_sort(F.map_keys(value)),
            lambda key: F.struct(
                canonical(key, kind.keyType, sized=sized).alias("k"),
                _kept_null(canonical(value[key], kind.valueType, sized=sized)).alias("v"),
            ),
        )
        return _with_size(value, entries) if sized else entries
    if isinstance(kind, T.VariantType):
        return F.to_json(value)
    return value


def canonical_sql(df: DataFrame, names: Sequence[str]) -> list[str] | None:
    """What ``canonical`` makes of columns, as SQL where that is short; None where it is not."""
    kind_of, made = kinds(df), []
    for name in names:
        kind = kind_of[name]
        if "$" in name:  # may begin a variable of Spark's, which it fills in before it reads SQL
            return None
        if isinstance(kind, INTEGRALS):
            made.append(f"cast({quoted(name)} as bigint)")
        elif isinstance(kind, T.TimestampType):
            made.append(f"unix_micros({quoted(name)})")
        elif isinstance(kind, AS_THEY_ARE):
            made.append(quoted(name))
        else:
            return None
    return made


def _plain_decimal(value: Column) -> Column:
    """A decimal's digits without end zeros: the hash of a decimal itself depends on its scale.

    Spark writes decimals under 1e-6 in scientific or plain form, as ANSI mode goes; moving what is
    under one past it keeps the text plain in both.
    """
    moved = F.when(value < 0, value - 1).otherwise(value + 1)
    text = F.when(F.abs(value) < 1, F.concat(F.lit("s"), moved.cast("string"))).otherwise(
        value.cast("string")
    )
    return F.when(text.contains("."), F.regexp_replace(text, r"\.?0+$", "")).otherwise(text)


def _with_size(value: Column, items: Column) -> Column:
    return F.when(value.isNotNull(), F.struct(F.size(value).alias("s"), items.alias("v")))


def _kept_null(value: Column) -> Column:
    """Spark's hash passes over nulls; a flag beside the value keeps [1, null] from [null, 1]."""
    return F.struct(value.isNull().alias("n"), value.alias("v"))


def flagged(values: Sequence[Part], *, nested: bool = False) -> list[Part]:
    """The columns, with flags for nulls where they are needed.

    Spark's hash passes over nulls: without flags, (a, null) would hash as (null, a). A null that
    stands alone needs none.

    Parameters
    ----------
    values : the columns.
    nested : whether one of them has elements or fields. Then flags come first: those of what is
        within do, and no two rows are the same numbers one after the other.
    """
    if len(values) == 1 and not nested:
        return list(values)
    pairs = [(value, _is_null(value)) for value in values]
    return [part for pair in pairs for part in (reversed(pair) if nested else pair)]


@overload
def _is_null(value: str) -> str: ...
@overload
def _is_null(value: Column) -> Column: ...
def _is_null(value: Any) -> Any:
    return f"{value} is null" if isinstance(value, str) else value.isNull()


def parts_of(values: Sequence[tuple[Column, T.DataType]]) -> list[Column]:
    """Columns of some types in canonical form, with flags for nulls where they are needed."""
    nested = any(isinstance(kind, T.ArrayType | T.MapType | T.StructType) for _, kind in values)
    return flagged([canonical(value, kind, sized=True) for value, kind in values], nested=nested)


def _parts(df: DataFrame, names: Sequence[str]) -> list[Column]:
    kind_of = kinds(df)
    return parts_of([(column(name), kind_of[name]) for name in names])


@overload
def xxhash64(first: str, *others: str) -> str: ...
@overload
def xxhash64(first: Column, *others: Column) -> Column: ...
def xxhash64(first: Any, *others: Any) -> Any:
    """Spark's own hash of columns."""
    parts = [first, *others]
    return f"xxhash64({', '.join(parts)})" if isinstance(first, str) else F.xxhash64(*parts)


@overload
def salted(salt: str, parts: Sequence[str]) -> str: ...
@overload
def salted(salt: str, parts: Sequence[Column]) -> Column: ...
def salted(salt: str, parts: Sequence[Any]) -> Any:
    """A 64-bit hash of columns that are hashes already, or of which only equality matters.

    Parameters
    ----------
    salt : what makes this hash another one than others of the same columns.
    parts : the columns.
    """
    # As eight bytes: a text would be hashed at length for each row, and a number would stand in the
    # code that Spark generates, which then had to be compiled again for each source.
    first = sha256(salt.encode()).digest()[:8]
    as_sql = bool(parts) and isinstance(parts[0], str)
    literal: Any = f"X'{first.hex()}'" if as_sql else F.lit(first)
    return xxhash64(literal, *parts)


def mixed(salt: str, parts: Sequence[Part]) -> Part:
    """A 64-bit hash of columns in canonical form, such that each of its bits looks like chance.

    Parameters
    ----------
    salt : what makes this hash another one than others of the same columns.
    parts : the columns.
    """
    # The second round takes out what structure xxhash64 leaves in short inputs.
    return xxhash64(salted(salt, parts))


def hash128(df: DataFrame, names: Sequence[str], *salt: str | int) -> Column:
    """A 128-bit hash of some columns of a row, for telling 10^10 rows apart.

    Parameters
    ----------
    df : the frame, for the columns' types.
    names : the columns hashed, in this order.
    salt : what makes this hash another one than others of the same columns.

    Returns
    -------
    A column of type ``struct<hi:bigint,lo:bigint>``, never null.

    Examples
    --------
    >>> from lakebalance.core.session import local_session
    >>> df = local_session().createDataFrame([(1, "a")], "id int, name string")
    >>> df.select(hash128(df, ["id"], "key").alias("key")).columns
    ['key']
    """
    parts = canonical_sql(df, names)
    return hashed(flagged(parts), *salt) if parts else hashed(_parts(df, names), *salt)


def hashed(parts: Sequence[Part], *salt: str | int) -> Column:
    """A 128-bit hash of columns in canonical form, as ``hash128`` makes it."""
    text = "|".join(str(part) for part in salt)
    hi, lo = mixed(f"{text}|hi", parts), mixed(f"{text}|lo", parts)
    if isinstance(hi, str):
        return F.expr(f"struct({hi} as hi, {lo} as lo)")
    return F.struct(hi.alias("hi"), lo.alias("lo"))


def rehash(key: Column, *salt: str | int) -> Column:
    """A 64-bit hash of a 128-bit one: the number that decides about a row in one stage.

    Of its upper half alone, so that the scan that samples need not compute the lower: rows that
    agree in it are ties, which sampling breaks exactly.

    Parameters
    ----------
    key : a column made by ``hash128``.
    salt : seed and stage.
    """
    return salted("|".join(str(part) for part in salt), [key.getField("hi")])


def is_one_of(name: str, keys: Collection[tuple[int, int]]) -> Column:
    """Whether a 128-bit hash is one of some; a scan can use that its upper half is.

    Parameters
    ----------
    name : a column made by ``hash128``.
    keys : the hashes, in halves.
    """
    pairs = [F.struct(F.lit(hi).alias("hi"), F.lit(lo).alias("lo")) for hi, lo in sorted(keys)]
    return F.col(f"{name}.hi").isin(sorted({hi for hi, _ in keys})) & F.col(name).isin(pairs)


def key_text(key: tuple[int, int]) -> str:
    """A 128-bit hash as 32 hexadecimal digits.

    Examples
    --------
    >>> key_text((1, -1))
    '0000000000000001ffffffffffffffff'
    """
    hi, lo = key
    return f"{hi % 2**64:016x}{lo % 2**64:016x}"


def key_text_of(key: Column) -> Column:
    """What ``key_text`` says of each row's 128-bit hash."""
    halves = [F.lpad(F.lower(F.hex(key.getField(half))), 16, "0") for half in ("hi", "lo")]
    return F.concat(*halves)
