"""Takes the files of deleted rows away, and looks whether they are gone."""

from __future__ import annotations

from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from lakebalance.core.errors import TableError, first_line
from lakebalance.core.tables import Table, detail, newest_version, read_delta

DELETION_VECTORS = "deletionVectors"
UNCHECKED = "spark.databricks.delta.retentionDurationCheck.enabled"


def vacuum(spark: SparkSession, table: Table, hours: float) -> None:
    """Remove the files that the newest version does not need and that are older than some hours.

    Rows that a deletion vector hides are first written out of their files.

    Raises
    ------
    TableError : Delta refuses so few hours.
    """
    # Files keep theirs when no new ones are allowed any more.
    if DELETION_VECTORS in (detail(spark, table)["tableFeatures"] or []):
        spark.sql(f"REORG TABLE {table.sql} APPLY (PURGE)")
    try:
        spark.sql(f"VACUUM {table.sql} RETAIN {hours:g} HOURS")
    except Exception as error:  # Delta refuses by a plain Java error
        why = first_line(error)
        if "retention" in str(error).lower():
            why = f"Delta refuses to keep files for less than a week unless {UNCHECKED} is false"
        raise TableError(f"{table.name}: VACUUM RETAIN {hours:g} HOURS: {why}") from error


def old_files(spark: SparkSession, table: Table) -> int:
    """How many data files lie in a table's folder that its newest version does not read.

    Files of its change data feed count, too. Tables with files elsewhere, as shallow clones, have
    these looked at in their own folder alone.
    """
    version = newest_version(spark, table)
    assert version is not None
    live = _files(spark, table, version)
    folder = detail(spark, table)["location"].rstrip("/")
    return len(_listed(spark, folder) - live) + len(_listed(spark, f"{folder}/_change_data"))


def can_be_read(spark: SparkSession, table: Table, version: int) -> bool:
    """Whether a version's log and files are still there; what lies in other folders counts so."""
    newest = newest_version(spark, table)
    if newest is None or newest == version:
        return newest is not None
    try:
        older = _files(spark, table, version) - _files(spark, table, newest)
    except TableError:
        return False
    folder = detail(spark, table)["location"].rstrip("/")
    own = {file for file in older if file.startswith(f"{_path(folder)}/")}
    return not own or own <= _listed(spark, folder)


def _files(spark: SparkSession, table: Table, version: int) -> set[str]:
    """The paths of a version's data files."""
    return {_path(name) for name in read_delta(spark, table, version).inputFiles()}


def _listed(spark: SparkSession, folder: str) -> set[str]:
    files = spark.read.format("binaryFile").option("pathGlobFilter", "*.parquet")
    try:
        found = files.option("recursiveFileLookup", "true").load(folder).select("path").collect()
    except PySparkException:
        return set()  # there is no such folder
    return {_path(row["path"]) for row in found}


def _path(uri: str) -> str:
    """A file's path as both Delta and Spark's listing name it."""
    from urllib.parse import unquote

    scheme, colon, rest = uri.partition(":")
    return unquote(scheme + colon + "/" + rest.lstrip("/") if colon else uri)
