"""Writes what a removed table is rebuilt with: a SQL script and, where needed, rows' hashes."""

from __future__ import annotations

import pyarrow as pa
from pyspark.sql import SparkSession

from lakebalance.core.paths import local
from lakebalance.core.tables import Table, detail, newest_version, read_delta
from lakebalance.lake.finding import counted
from lakebalance.lake.removals import BY_HAND, Removal


def rows_path(state: str, claim: str) -> str:
    """Where the hashes of a table's rows are kept."""
    return f"{local(state).rstrip('/')}/rows/{claim}"


def keep_rows(spark: SparkSession, removal: Removal) -> int:
    """Write the hashes of a table's different rows, and how often each is there.

    Returns
    -------
    The bytes that they take.
    """
    if removal.rebuild.kept is None:
        return 0
    rows = read_delta(spark, Table(removal.table), removal.version)
    kept = counted(rows, removal.rebuild.child_schema)
    kept.write.format("delta").mode("overwrite").save(removal.rebuild.kept)
    return int(detail(spark, Table(removal.rebuild.kept))["sizeInBytes"])


def drop_rows(spark: SparkSession, removal: Removal) -> None:
    """Take out the hashes of a table that has its rows again; VACUUM takes the files."""
    kept = removal.rebuild.kept
    if kept is not None and newest_version(spark, Table(kept)) is not None:
        spark.sql(f"DELETE FROM {Table(kept).sql}")


def script_path(state: str, claim: str) -> str:
    """Where the script that rebuilds a table lies: a folder, as Spark writes text."""
    return f"{local(state).rstrip('/')}/scripts/{claim}"


def write_script(spark: SparkSession, state: str, removal: Removal) -> str:
    """Write the SQL that makes the table's rows again.

    Returns
    -------
    The folder of the script.
    """
    place = script_path(state, removal.claim)
    at = "" if removal.event == BY_HAND else f" as of version {removal.version}"
    text = (
        f"-- All {removal.fingerprint.rows} rows of {_in_a_line(removal.table)}{at}.\n"
        "-- As a view: CREATE VIEW name AS, and what follows. Delta reads the version named below "
        "for a week after the next,\n-- unless delta.deletedFileRetentionDuration says otherwise; "
        "lakebalance lake restore looks further."
        f"\n{removal.rebuild.sql()};"
    )
    df = spark.createDataFrame(pa.table({"value": [text]}))
    df.coalesce(1).write.mode("overwrite").text(place)
    return place


def _in_a_line(path: str) -> str:
    return path.replace("\n", " ")
