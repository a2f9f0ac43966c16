"""Reads a recipe's sources at pinned versions as one frame with a key hash per row."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from pyspark.errors import PySparkException
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from lakebalance.core.beside import each
from lakebalance.core.columns import RESERVED, column, filtered, require, without_nan
from lakebalance.core.errors import RecipeError, TableError, first_line
from lakebalance.core.hashing import hash128
from lakebalance.core.tables import Table, newest_version, read_delta
from lakebalance.core.types import wider

SOURCE, KEY, ROW_ID = "__lb_source", "__lb_key", "__lb_row_id"


class SourceSpec(Protocol):
    """What is asked of a source; ``recipe.models.Source`` is one."""

    @property
    def name(self) -> str: ...
    @property
    def table(self) -> str: ...
    @property
    def format(self) -> str: ...
    @property
    def version(self) -> int | None: ...
    @property
    def timestamp(self) -> str | None: ...
    @property
    def where(self) -> str | None: ...
    @property
    def key(self) -> list[str] | Literal["row_id"] | None: ...
    @property
    def nan_as_null(self) -> bool: ...


@dataclass(frozen=True)
class Pinned:
    """A source at one version: ``version`` of Delta, or a hash of the list of Parquet files.

    ``key`` names the columns of ``df`` that identify a row; None where all of them do.
    """

    name: str
    table: str
    version: int | str
    df: DataFrame
    key: list[str] | None
    where: str | None

    @property
    def columns(self) -> list[T.StructField]:
        """The columns that users know of."""
        return [field for field in self.df.schema.fields if field.name != ROW_ID]

    @property
    def key_hash(self) -> Column:
        """The 128-bit hash that tells a row from all others: of its key, or of all columns."""
        names = self.key or [field.name for field in self.columns]
        return hash128(self.df, names, "key", self.name)


def pin(
    spark: SparkSession,
    specs: Sequence[SourceSpec],
    versions: Mapping[str, int | str] | None = None,
) -> list[Pinned]:
    """Open each source at its version: an earlier plan's, else the recipe's, else the newest.

    Sources are opened at the same time, as each asks the Delta log once or twice.

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
    earlier = versions or {}

    def opened(place: int) -> Pinned:
        spec = specs[place]
        return pin_one(spark, spec, f"sources.{place}", earlier.get(spec.name))

    return each(spark, range(len(specs)), opened)


def pin_one(
    spark: SparkSession, spec: SourceSpec, place: str, earlier: int | str | None = None
) -> Pinned:
    """Open a table at its version; ``place`` is its path in the recipe. Errors as of ``pin``."""
    df, version = (
        _parquet(spark, spec, place)
        if spec.format == "parquet"
        else _delta(spark, spec, place, earlier)
    )
    if clash := [name for name in df.columns if name.lower().startswith(RESERVED)]:
        raise RecipeError(f"{place}: columns may not start with {RESERVED}: {clash}")
    key = spec.key
    if key == "row_id":
        df, key = _with_row_id(df, spec, place), [ROW_ID]
    if spec.nan_as_null:
        df = df.select(
            *[without_nan(column(f.name), f.dataType).alias(f.name) for f in df.schema.fields]
        )
    if spec.where:
        df = filtered(df, spec.where, f"{place}.where")
    require(df, key or [], f"{place}.key")
    return Pinned(spec.name, spec.table, version, df, key, spec.where)


def _parquet(spark: SparkSession, spec: SourceSpec, place: str) -> tuple[DataFrame, str]:
    try:
        return read_parquet(spark, spec.table)
    except PySparkException as error:
        raise TableError(f"{place}.table: {spec.table}: {first_line(error)}") from error


def read_parquet(spark: SparkSession, path: str) -> tuple[DataFrame, str]:
    """A folder of Parquet, and a hash of the list of its files in place of a version."""
    df = spark.read.parquet(path)
    return df, hashlib.sha256("\n".join(sorted(df.inputFiles())).encode()).hexdigest()[:16]


def _delta(
    spark: SparkSession, spec: SourceSpec, place: str, earlier: int | str | None
) -> tuple[DataFrame, int]:
    table = Table(spec.table)
    newest = newest_version(spark, table)
    if newest is None:
        raise TableError(
            f"{place}.table: {spec.table} is not a Delta table that can be read; check the "
            + ("path" if table.is_path else "name (a path has a slash: ./name)")
            + ", or write format: parquet if it is Parquet"
        )
    version = int(earlier) if earlier is not None else _asked_version(spark, table, spec, newest)
    if version > newest:
        raise TableError(
            f"{place}.version: {table.name} has no version {version}; newest is {newest}"
        )
    return read_delta(spark, table, version), version


def _asked_version(spark: SparkSession, table: Table, spec: SourceSpec, newest: int) -> int:
    if spec.version is not None:
        return spec.version
    if spec.timestamp is None:
        return newest
    try:
        rows = (
            spark.sql(f"DESCRIBE HISTORY {table.sql}")
            .where(F.col("timestamp") <= F.lit(spec.timestamp).cast("timestamp"))
            .agg(F.max("version"))
            .collect()
        )
    except PySparkException as error:
        raise RecipeError(
            f'{spec.name}: timestamp "{spec.timestamp}" is not a time: {first_line(error)}'
        ) from error
    if rows[0][0] is None:
        raise TableError(f"{table.name}: there is no version as old as {spec.timestamp}")
    return int(rows[0][0])


def _with_row_id(df: DataFrame, spec: SourceSpec, place: str) -> DataFrame:
    try:
        tracked = df.withColumn(ROW_ID, F.col("_metadata.row_id"))
        tracked.schema  # noqa: B018  Connect analyses only here
    except PySparkException as error:
        raise RecipeError(
            f"{place}.key: {spec.table} has no row tracking; write key columns, or ALTER TABLE … "
            "SET TBLPROPERTIES (delta.enableRowTracking = true)"
        ) from error
    return tracked


def branches(pinned: Sequence[Pinned]) -> list[DataFrame]:
    """Each source as a frame: columns by name, types widened, with source and key hash.

    Parameters
    ----------
    pinned : the opened sources.

    Returns
    -------
    Frames of one schema: the first source's columns in its order, ``__lb_source`` string and
    ``__lb_key`` struct<hi bigint, lo bigint>.

    Raises
    ------
    RecipeError : the sources' columns differ, or two types have no common wider one.
    """
    schema = _common_schema(pinned)
    return [_as(source, schema) for source in pinned]


def unite(frames: Sequence[DataFrame]) -> DataFrame:
    """The rows of all frames, which have one schema, as one frame."""
    united = frames[0]
    for frame in frames[1:]:
        united = united.union(frame)
    return united


def _as(source: Pinned, schema: T.StructType) -> DataFrame:
    own = {field.name: field.dataType for field in source.columns}
    tags = [F.lit(source.name).alias(SOURCE), source.key_hash.alias(KEY)]
    if list(own.items()) == [(f.name, f.dataType) for f in schema.fields]:
        tagged = source.df.select("*", *tags)
        return tagged.drop(ROW_ID) if source.key == [ROW_ID] else tagged
    columns = [
        column(f.name)
        if own[f.name] == f.dataType
        else column(f.name).cast(f.dataType).alias(f.name)
        for f in schema.fields
    ]
    return source.df.select(*columns, *tags)


def _common_schema(pinned: Sequence[Pinned]) -> T.StructType:
    first = pinned[0]
    kinds = {f.name: (f.dataType, first.name) for f in first.columns}
    for source in pinned[1:]:
        other = {f.name: f.dataType for f in source.columns}
        if missing := sorted(kinds.keys() ^ other.keys()):
            raise RecipeError(
                f'sources: "{first.name}" and "{source.name}" do not have the same columns; '
                f"only in one of them: {', '.join(missing[:10])}"
            )
        for name, kind in other.items():
            known, owner = kinds[name]
            common = wider(known, kind)
            if common is None:
                raise RecipeError(
                    f'sources: column "{name}" is {known.simpleString()} in "{owner}" and '
                    f'{kind.simpleString()} in "{source.name}"; cast one of the tables'
                )
            kinds[name] = (common, owner if common == known else source.name)
    return T.StructType([T.StructField(n, kind) for n, (kind, _) in kinds.items()])
