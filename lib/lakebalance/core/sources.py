"""Reads a recipe's sources at pinned versions as one frame with a key hash per row."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from lakebalance.core.columns import column, require
from lakebalance.core.errors import RecipeError, TableError
from lakebalance.core.hashing import hash64
from lakebalance.core.tables import Table, first_line, newest_version, read_delta

SOURCE, KEY = "__lb_source", "__lb_key"
WIDTH: list[type[T.DataType]] = [
    T.ByteType, T.ShortType, T.IntegerType, T.LongType, T.FloatType, T.DoubleType,
]


class SourceSpec(Protocol):
    """What is asked of a source; ``recipe.models.Source`` is one."""

    name: str
    table: str
    format: str
    version: int | None
    timestamp: str | None
    where: str | None
    key: list[str] | None


@dataclass(frozen=True)
class Pinned:
    """A source at one version: ``version`` of Delta, or a hash of the list of Parquet files."""

    name: str
    table: str
    version: int | str
    df: DataFrame
    key: list[str] | None


def pin(spark: SparkSession, specs: Sequence[SourceSpec],
        versions: dict[str, int | str] | None = None) -> list[Pinned]:
    """Open each source at its version: the recipe's, else the plan's, else the newest.

    Parameters
    ----------
    spark : the session.
    specs : the recipe's sources.
    versions : versions of an earlier plan by source name, to read again.

    Raises
    ------
    TableError : a table or version is not there.
    RecipeError : a filter or key names a column that is not there.
    """
    return [
        _pin(spark, spec, i, (versions or {}).get(spec.name)) for i, spec in enumerate(specs)
    ]


def _pin(spark: SparkSession, spec: SourceSpec, i: int, earlier: int | str | None) -> Pinned:
    place = f"sources.{i}"
    version: int | str
    if spec.format == "parquet":
        try:
            df = spark.read.parquet(spec.table)
        except PySparkException as error:
            raise TableError(f"{place}.table: {spec.table}: {first_line(error)}") from error
        version = hashlib.sha256("\n".join(sorted(df.inputFiles())).encode()).hexdigest()[:16]
    else:
        table = Table(spec.table)
        newest = newest_version(spark, table)
        if newest is None:
            raise TableError(
                f"{place}.table: {spec.table} is not a Delta table; check the "
                + ("path" if table.is_path else "name")
                + ", or write format: parquet if it is Parquet"
            )
        df, version = _at_version(spark, table, spec, earlier, newest)
    if clash := [name for name in df.columns if name.startswith("__lb_")]:
        raise RecipeError(f"{place}: columns may not start with __lb_: {clash}")
    if spec.where:
        try:
            df = df.where(spec.where)
            df.schema  # noqa: B018  Connect analyses only here
        except PySparkException as error:
            raise RecipeError(f"{place}.where: {first_line(error)}") from error
    require(df, spec.key or [], f"{place}.key")
    return Pinned(spec.name, spec.table, version, df, spec.key)


def _at_version(
    spark: SparkSession, table: Table, spec: SourceSpec, earlier: int | str | None, newest: int
) -> tuple[DataFrame, int]:
    if spec.version is not None and spec.version > newest:
        raise TableError(f"{table.name}: there is no version {spec.version}; newest is {newest}")
    if spec.timestamp is not None and earlier is None:
        rows = spark.sql(f"DESCRIBE HISTORY {table.sql}").where(
            F.col("timestamp") <= F.lit(spec.timestamp).cast("timestamp")
        ).agg(F.max("version")).collect()
        if rows[0][0] is None:
            raise TableError(f"{table.name}: there is no version as old as {spec.timestamp}")
        earlier = int(rows[0][0])
    version = spec.version if spec.version is not None else earlier
    version = newest if version is None else int(version)
    return read_delta(spark, table, version), version


def unite(pinned: Sequence[Pinned]) -> DataFrame:
    """All sources as one frame: columns by name, types widened, with source and key hash.

    Parameters
    ----------
    pinned : the opened sources.

    Returns
    -------
    The first source's columns in its order, ``__lb_source`` string and ``__lb_key`` bigint.

    Raises
    ------
    RecipeError : the sources' columns differ, or two types have no common wider one.
    """
    schema = _common_schema(pinned)
    frames = []
    for source in pinned:
        key = source.key or source.df.columns
        frames.append(
            source.df.select(
                *[
                    column(field.name).cast(field.dataType).alias(field.name)
                    for field in schema.fields
                ],
                F.lit(source.name).alias(SOURCE),
                hash64(source.df, key, "key", source.name).alias(KEY),
            )
        )
    united = frames[0]
    for frame in frames[1:]:
        united = united.unionByName(frame)
    return united


def _common_schema(pinned: Sequence[Pinned]) -> T.StructType:
    first = pinned[0]
    kinds = {f.name: (f.dataType, first.name) for f in first.df.schema.fields}
    for source in pinned[1:]:
        other = {f.name: f.dataType for f in source.df.schema.fields}
        if missing := sorted(kinds.keys() ^ other.keys()):
            raise RecipeError(
                f'sources: "{first.name}" and "{source.name}" do not have the same columns; '
                f"only in one of them: {', '.join(missing[:10])}"
            )
        for name, kind in other.items():
            known, owner = kinds[name]
            wider = _wider(known, kind)
            if wider is None:
                raise RecipeError(
                    f'sources: column "{name}" is {known.simpleString()} in "{owner}" and '
                    f'{kind.simpleString()} in "{source.name}"; cast one of the tables'
                )
            kinds[name] = (wider, owner if wider == known else source.name)
    return T.StructType([T.StructField(n, kind) for n, (kind, _) in kinds.items()])


def _wider(a: T.DataType, b: T.DataType) -> T.DataType | None:
    """The type that holds both without loss of order of magnitude; None where there is none."""
    if a == b or a.simpleString() == b.simpleString():
        return a
    if type(a) in WIDTH and type(b) in WIDTH:
        wide = max(WIDTH.index(type(a)), WIDTH.index(type(b)))
        if wide == 4 and {type(a), type(b)} & {T.IntegerType, T.LongType}:
            wide = 5
        return WIDTH[wide]()
    if isinstance(a, T.DecimalType) and isinstance(b, T.DecimalType):
        scale = max(a.scale, b.scale)
        digits = max(a.precision - a.scale, b.precision - b.scale) + scale
        return T.DecimalType(digits, scale) if digits <= 38 else None
    if {type(a), type(b)} == {T.DateType, T.TimestampType}:
        return T.TimestampType()
    return None
