"""Takes all rows out of a table in one commit, or takes the commit back if others wrote meanwhile.

An emptied table stays: schema, partitions, properties, checks and history are its log's, and until
VACUUM the files of its rows are there too.
"""

from __future__ import annotations

import json
from dataclasses import replace

from pyspark.sql import SparkSession

from lakebalance.core.errors import TableError, first_line
from lakebalance.core.progress import Progress
from lakebalance.core.spark_errors import is_conflict
from lakebalance.core.tables import Table, detail, history, newest_version, read_delta
from lakebalance.lake.definition import CLAIM, RETENTION
from lakebalance.lake.removals import Removal

NOTE = "lakebalance_removal"


class Untouched(TableError):
    """A table was not emptied, or has been given its rows back."""


def commit_of(spark: SparkSession, removal: Removal) -> int | None:
    """The version in which a removal emptied its table; None if it has not."""
    table = Table(removal.table)
    newest = newest_version(spark, table)
    if newest is None or newest <= removal.version:
        return None
    for commit in history(spark, table, newest - removal.version) or []:
        if f'"{NOTE}": "{removal.claim}"' in (commit["userMetadata"] or ""):
            return int(commit["version"])
    return None


def empty(spark: SparkSession, removal: Removal, progress: Progress) -> None:
    """Take all rows out of a table, unless it was written since the version that was compared.

    Parameters
    ----------
    spark : a session, classic or Connect.
    removal : the table and its version.
    progress : called before the table is written.

    Raises
    ------
    Untouched : it was written since or meanwhile, and has the rows that others gave it.
    TableError : it was written meanwhile and again since; its rows are in an older version.
    """
    table = Table(removal.table)
    if commit_of(spark, removal) is None:
        progress(f"removing {removal.table}")
        if newest_version(spark, table) != removal.version:
            raise Untouched(_written(removal))
        progress(f"emptying {removal.table}")
        try:
            _commit(spark, removal)
        except Exception as error:
            if is_conflict(error):
                raise Untouched(_written(removal)) from error
            raise
    version = commit_of(spark, removal)
    if version is None:
        raise Untouched(_written(removal))
    if version != removal.version + 1:
        # Delta cannot be told the version that a commit must follow; its number tells afterwards.
        _take_back(spark, removal, version, _written(removal))
    parent = replace(removal, table=removal.rebuild.parent, version=removal.rebuild.version)
    if commit_of(spark, parent) is not None:
        # By a link or another scheme, a table can have two names, which nothing tells before.
        why = f"{removal.table} and {removal.rebuild.parent} are one table"
        _take_back(spark, removal, version, why)


def _commit(spark: SparkSession, removal: Removal) -> None:
    nothing = read_delta(spark, Table(removal.table), removal.version).limit(0)
    (
        nothing.write.format("delta")
        .mode("overwrite")
        # A plain overwrite takes a table's clustering away; replacing where true keeps it.
        .option("replaceWhere", "true")
        .option("userMetadata", json.dumps({NOTE: removal.claim}))
        # Of two tries at once, one commits and the other finds that it is done.
        .option("txnAppId", f"lakebalance-removal-{removal.claim}")
        .option("txnVersion", 0)
        .save(removal.table)
    )


def _take_back(spark: SparkSession, removal: Removal, version: int, why: str) -> None:
    table = Table(removal.table)
    before = f"RESTORE TABLE {table.sql} TO VERSION AS OF {version - 1}"
    if newest_version(spark, table) != version:
        raise TableError(
            f"{removal.table} was written while it was emptied, and since; nothing is lost: its "
            f"rows are in version {version - 1} ({before})"
        )
    spark.sql(before)
    raise Untouched(f"{why}; it was taken back to version {version - 1}")


def _written(removal: Removal) -> str:
    return f"{removal.table} was written since version {removal.version}, which was compared"


def take_files(spark: SparkSession, removal: Removal) -> None:
    """Delete the files of an emptied table's rows, and with them its older versions.

    Raises
    ------
    TableError : it has rows again, or VACUUM failed.
    """
    table = Table(removal.table)
    version = newest_version(spark, table)
    if version is None or not read_delta(spark, table, version).isEmpty():
        raise TableError(f"{removal.table} has rows again; their files stay")
    try:
        # VACUUM keeps files for as long as the property says, and no setting of the session need
        # permit less. The commit also ends writers that have begun, whose files VACUUM would take.
        spark.sql(f"ALTER TABLE {table.sql} SET TBLPROPERTIES ('{RETENTION}' = 'interval 0 hours')")
        spark.sql(f"VACUUM {table.sql} RETAIN 0 HOURS").collect()
    except Exception as error:
        raise TableError(
            f"{removal.table}: is empty, but its files could not be deleted: {first_line(error)}"
        ) from error
    finally:
        # Who writes the empty table again must not lose files to a plain VACUUM.
        keep_files_again(spark, removal)


def keep_files_again(spark: SparkSession, removal: Removal) -> None:
    """Give a table the property back with which its old files are kept."""
    table = Table(removal.table)
    kept = removal.definition.properties.get(RETENTION)
    now = detail(spark, table)["properties"]
    for name, value in ((RETENTION, kept), (CLAIM, None)):
        if now.get(name) != value:
            change = f"UNSET TBLPROPERTIES ('{name}')"
            if value is not None:
                change = f"SET TBLPROPERTIES ('{name}' = '{value}')"
            spark.sql(f"ALTER TABLE {table.sql} {change}")
