"""Hashes rows to 64 bits, the same on any cluster: all randomness of the product comes from here.

Values are hashed in a canonical form, so that a column widened from int to bigint, or a timestamp
read under another session time zone, hashes the same.
"""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from lakebalance.core.columns import column

INTEGRALS = (T.ByteType, T.ShortType, T.IntegerType, T.LongType)


def canonical(value: Column, kind: T.DataType) -> Column:
    """A column in the form that is hashed and grouped by.

    Integrals become bigint, timestamps UTC microseconds, floats double with one NaN and no -0.0;
    within arrays and structs likewise. Maps become arrays of entries sorted by key.

    Parameters
    ----------
    value : the column.
    kind : its type.
    """
    if isinstance(kind, INTEGRALS):
        return value.cast("bigint")
    if isinstance(kind, T.TimestampType):
        return F.unix_micros(value)
    if isinstance(kind, (T.FloatType, T.DoubleType)):
        double = value.cast("double")
        return (
            F.when(double == 0.0, F.lit(0.0))
            .when(F.isnan(double), F.lit(float("nan")))
            .otherwise(double)
        )
    if isinstance(kind, T.DecimalType):
        # The hash of a decimal depends on its scale; its plain text without end zeros does not.
        text = value.cast("string")
        return F.when(
            text.contains("."), F.regexp_replace(text, r"\.?0+$", "")
        ).otherwise(text)
    if isinstance(kind, T.ArrayType):
        return F.transform(value, lambda item: _kept_null(canonical(item, kind.elementType)))
    if isinstance(kind, T.StructType):
        fields = [
            _kept_null(canonical(value.getField(field.name), field.dataType)).alias(field.name)
            for field in kind.fields
        ]
        return F.when(value.isNotNull(), F.struct(*fields))
    if isinstance(kind, T.MapType):
        entries = F.array_sort(F.map_entries(value))
        return canonical(entries, T.ArrayType(T.StructType([
            T.StructField("key", kind.keyType), T.StructField("value", kind.valueType)])))
    if isinstance(kind, T.VariantType):
        return F.to_json(value)
    return value


def _kept_null(value: Column) -> Column:
    """Spark's hash passes over nulls; a flag beside the value keeps [1, null] from [null, 1]."""
    return F.struct(value.isNull().alias("n"), value.alias("v"))


def hash64(df: DataFrame, names: Sequence[str], *salt: str | int) -> Column:
    """A 64-bit hash of some columns of a row, uniform over bigint.

    Parameters
    ----------
    df : the frame, for the columns' types.
    names : the columns hashed, in this order.
    salt : what makes this hash another one than the next stage's: seed, stage.

    Returns
    -------
    A bigint column, never null.

    Examples
    --------
    >>> from lakebalance.core.session import local_session
    >>> df = local_session().createDataFrame([(1, "a")], "id int, name string")
    >>> df.select(hash64(df, ["id"], 7, "sample")).count()
    1
    """
    kinds = {field.name: field.dataType for field in df.schema.fields}
    parts = [_kept_null(canonical(column(name), kinds[name])) for name in names]
    salted = F.lit("|".join(str(part) for part in salt))
    # The second round takes out what structure xxhash64 leaves in short inputs.
    return F.xxhash64(F.xxhash64(salted, *parts), salted)
