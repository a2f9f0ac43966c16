"""Reads tables at a pinned version: Delta by path or catalog name, Parquet by path."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import types as T

from lakebalance.core.columns import quoted
from lakebalance.core.delta import without_delta
from lakebalance.core.errors import TableError, first_line
from lakebalance.core.paths import from_root
from lakebalance.core.spark_errors import for_users, is_denied

PART = re.compile(r"`((?:[^`]|``)+)`|([^.`]+)")
NO_VERSION = 2**62
AVAILABLE = re.compile(r"\[\d+, (\d+)\]")
NO_TABLE = re.compile(
    r"FileNotFoundException\W+File .*/_delta_log does not exist|\[TABLE_OR_VIEW_NOT_FOUND\]"
)
MAPPING = "delta.columnMapping.mode"
# Commits that change no data.
MAINTENANCE = (
    "OPTIMIZE",
    "REORG",
    "VACUUM START",
    "VACUUM END",
    "SET TBLPROPERTIES",
    "CLUSTER BY",
)
MOST_COMMITS = 1000
# What a commit's notes call the condition whose rows it replaced.
REPLACED = "replace_where"
UPDATED = "numTargetRowsUpdated"
PLAIN_NAME = re.compile(r"[^ ,;{}()\n\t=]+")


@dataclass(frozen=True)
class Table:
    """A table as a recipe names it: a path, or a catalog name of one to three parts.

    Examples
    --------
    >>> Table("/lake/flights").sql, Table("main.`my-db`.flights").sql
    ('delta.`/lake/flights`', '`main`.`my-db`.`flights`')
    """

    name: str

    @property
    def is_path(self) -> bool:
        """Whether the name is a path: a path has a slash."""
        return "/" in self.name

    @property
    def sql(self) -> str:
        """The table in SQL, quoted; a local path from the root, as Delta takes no others there."""
        if self.is_path:
            return "delta." + quoted(
                self.name if self.name.startswith("/") else from_root(self.name)
            )
        return ".".join(map(quoted, self.parts))

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts of a catalog name.

        Examples
        --------
        >>> Table("main.`my.db`.`a``b`").parts
        ('main', 'my.db', 'a`b')
        """
        found = PART.findall(self.name)
        return tuple(inner.replace("``", "`") or plain for inner, plain in found)


def history(spark: SparkSession, table: Table, limit: int = 1) -> list[Row] | None:
    """The newest commits of a Delta table, newest first; None if it is no Delta table.

    Parameters
    ----------
    table : the table.
    limit : at most so many commits.

    Raises
    ------
    TableError : the table may be there, but its log may not be read.
    """
    try:
        return spark.sql(f"DESCRIBE HISTORY {table.sql} LIMIT {int(limit)}").collect()
    except Exception as error:  # a log that may not be read can come as a plain Java error
        if is_denied(error):
            raise for_users(error, table.name) or error from error
        if isinstance(error, PySparkException):
            return None
        raise


def only_deleted_since(spark: SparkSession, table: Table, version: int) -> bool:
    """Whether no row of a Delta table is new or other than in a version; some may be deleted.

    Commits that change no data, such as OPTIMIZE, may be among those looked at, the newest 1,000.
    """
    for commit in history(spark, table, MOST_COMMITS) or []:
        if commit["version"] <= version:
            return True
        if commit["operation"] == "MERGE":
            done = commit["operationMetrics"]
            if any(int(done.get(name, 1)) for name in ("numTargetRowsInserted", UPDATED)):
                return False
        elif commit["operation"] not in (*MAINTENANCE, "DELETE"):
            return False
    return False


def detail(spark: SparkSession, table: Table) -> Row:
    """What DESCRIBE DETAIL says of a Delta table that is there: properties, clustering and more."""
    return spark.sql(f"DESCRIBE DETAIL {table.sql}").collect()[0]


def newest_version(spark: SparkSession, table: Table) -> int | None:
    """The newest version of a Delta table; None if it is no Delta table."""
    # Delta refuses a version that cannot be there by naming the newest: no Spark job, and a tenth
    # of the time of DESCRIBE HISTORY, which decides where the refusal says something else.
    try:
        _at(spark, table, NO_VERSION)
    except Exception as error:  # a missing log comes as a plain Java error
        if without := without_delta(error):
            raise without from error
        if newest := _newest_named(error):
            return int(newest)
        if NO_TABLE.search(str(error)):
            return None
    commits = history(spark, table)
    return int(commits[0]["version"]) if commits else None


def _newest_named(error: Exception) -> str | None:
    if not isinstance(error, PySparkException):
        return None
    if error.getCondition() != "DELTA_VERSION_NOT_FOUND":
        return None
    # In a map from the JVM each parameter takes as long as all else here.
    named = AVAILABLE.search(str(error))
    return named[1] if named else (error.getMessageParameters() or {}).get("latest")


def _at(spark: SparkSession, table: Table, version: int) -> DataFrame:
    reader = spark.read.format("delta").option("versionAsOf", version)
    df = reader.load(table.name) if table.is_path else reader.table(table.sql)
    df.schema  # noqa: B018  Connect reports a missing version only here
    return df


def needs_mapping(kind: T.DataType) -> bool:
    """Whether a schema has a name, nested ones too, that Parquet itself cannot hold.

    Examples
    --------
    >>> inner = T.StructType().add("b c", T.IntegerType())
    >>> needs_mapping(inner), needs_mapping(T.StructType().add("b.c", T.ArrayType(inner)))
    (True, True)
    """
    if isinstance(kind, T.StructType):
        return any(not PLAIN_NAME.fullmatch(f.name) or needs_mapping(f.dataType) for f in kind)
    if isinstance(kind, T.MapType):
        return needs_mapping(kind.keyType) or needs_mapping(kind.valueType)
    return isinstance(kind, T.ArrayType) and needs_mapping(kind.elementType)


def read_delta(
    spark: SparkSession, table: Table, version: int, where: str | None = None
) -> DataFrame:
    """A Delta table at one version, or its rows of a condition; failures are said for users.

    Raises
    ------
    TableError : the version or its files are not there.
    """
    try:
        rows = _at(spark, table, version)
        return rows if where is None else rows.where(where)
    except PySparkException as error:
        raise TableError(
            f"{table.name}: version {version} cannot be read: {first_line(error)}"
        ) from error


def run_of_commit(commit: Row) -> str | None:
    """The run id that a commit's ``userMetadata`` names; None for commits of others."""
    return _noted(commit, "lakebalance_run")


def replaced_by_commit(commit: Row) -> str | None:
    """The condition whose rows a run's commit replaced; None where it replaced all, or is none."""
    return _noted(commit, REPLACED)


def _noted(commit: Row, name: str) -> str | None:
    """A text of a commit's ``userMetadata``."""
    try:
        metadata: Any = json.loads(commit["userMetadata"] or "null")
    except ValueError:
        return None
    text = metadata.get(name) if isinstance(metadata, dict) else None
    return text if isinstance(text, str) else None
