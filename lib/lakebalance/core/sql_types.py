"""Writes columns' types as SQL, with names, nullability and comments within; needs no session."""

from __future__ import annotations

from pyspark.sql import types as T

from lakebalance.core.columns import quoted, sql_text


def sql_type(kind: T.DataType) -> str:
    """A type as SQL declares it.

    Examples
    --------
    >>> sql_type(T.ArrayType(T.StructType().add("a b", T.LongType(), False)))
    'ARRAY<STRUCT<`a b`: BIGINT NOT NULL>>'
    """
    if isinstance(kind, T.StructType):
        return f"STRUCT<{', '.join(_declared(f, ': ') for f in kind.fields)}>"
    if isinstance(kind, T.ArrayType):
        return f"ARRAY<{sql_type(kind.elementType)}>"
    if isinstance(kind, T.MapType):
        return f"MAP<{sql_type(kind.keyType)}, {sql_type(kind.valueType)}>"
    return kind.simpleString().upper()


def sql_columns(schema: T.StructType) -> str:
    """The columns of a table as CREATE TABLE takes them.

    Examples
    --------
    >>> schema = T.StructType().add("a.b", T.LongType(), False, {"comment": "it's"})
    >>> sql_columns(schema.add("c", T.DecimalType(5, 2)))
    "`a.b` BIGINT NOT NULL COMMENT 'it\\\\'s', `c` DECIMAL(5,2)"
    """
    return ", ".join(_declared(field, " ") for field in schema.fields)


def nullable(kind: T.DataType) -> T.DataType:
    """A type that takes null in all places, as the columns of a new Delta table do.

    Examples
    --------
    >>> nullable(T.ArrayType(T.StructType().add("a", T.LongType(), False), False)).simpleString()
    'array<struct<a:bigint>>'
    >>> nullable(T.StructType().add("a", T.LongType(), False)).fields[0].nullable
    True
    """
    if isinstance(kind, T.StructType):
        return T.StructType(
            [T.StructField(f.name, nullable(f.dataType), True, f.metadata) for f in kind.fields]
        )
    if isinstance(kind, T.ArrayType):
        return T.ArrayType(nullable(kind.elementType), True)
    if isinstance(kind, T.MapType):
        return T.MapType(nullable(kind.keyType), nullable(kind.valueType), True)
    return kind


def _declared(field: T.StructField, between: str) -> str:
    said = f"{quoted(field.name)}{between}{sql_type(field.dataType)}"
    if not field.nullable:
        said += " NOT NULL"
    comment = field.metadata.get("comment")
    return said if comment is None else f"{said} COMMENT {sql_text(comment)}"
