"""Reads tables at a pinned version: Delta by path or catalog name, Parquet by path."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, Row, SparkSession

from lakebalance.core.errors import TableError

CATALOG_NAME = re.compile(r"^[A-Za-z_][\w]*(\.[A-Za-z_][\w]*){0,2}$")


@dataclass(frozen=True)
class Table:
    """A table as a recipe names it: a path, or a catalog name of one to three parts."""

    name: str

    @property
    def is_path(self) -> bool:
        """Whether the name is a path: it has a slash, a scheme, or what a name cannot have."""
        return "/" in self.name or not CATALOG_NAME.match(self.name)

    @property
    def sql(self) -> str:
        """The table in SQL, quoted."""
        if self.is_path:
            return "delta.`" + self.name.replace("`", "``") + "`"
        return ".".join(f"`{part}`" for part in self.name.split("."))


def history(spark: SparkSession, table: Table, limit: int = 1) -> list[Row] | None:
    """The newest commits of a Delta table, newest first; None if it is no Delta table.

    Parameters
    ----------
    table : the table.
    limit : at most so many commits.
    """
    try:
        return spark.sql(f"DESCRIBE HISTORY {table.sql} LIMIT {int(limit)}").collect()
    except PySparkException:
        return None


def newest_version(spark: SparkSession, table: Table) -> int | None:
    """The newest version of a Delta table; None if it is no Delta table."""
    commits = history(spark, table)
    return int(commits[0]["version"]) if commits else None


def read_delta(
    spark: SparkSession, table: Table, version: int | None, timestamp: str | None = None
) -> DataFrame:
    """A Delta table at one version, with the failures of Delta said for users.

    Raises
    ------
    TableError : the version or its files are not there.
    """
    reader = spark.read.format("delta")
    if version is not None:
        reader = reader.option("versionAsOf", version)
    elif timestamp is not None:
        reader = reader.option("timestampAsOf", timestamp)
    try:
        df = reader.load(table.name) if table.is_path else reader.table(table.name)
        df.schema  # noqa: B018  Connect reports a missing version only here
    except PySparkException as error:
        at = f"version {version}" if version is not None else f"timestamp {timestamp}"
        raise TableError(f"{table.name}: {at} cannot be read: {first_line(error)}") from error
    return df


def run_of_commit(commit: Row) -> str | None:
    """The run id that a commit's ``userMetadata`` names; None for commits of others."""
    try:
        metadata: Any = json.loads(commit["userMetadata"] or "null")
    except ValueError:
        return None
    run_id = metadata.get("lakebalance_run") if isinstance(metadata, dict) else None
    return run_id if isinstance(run_id, str) else None


def first_line(error: BaseException) -> str:
    """The first line of an exception's text, where Spark says what was wrong."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
