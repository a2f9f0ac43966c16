"""Writes the output in one Delta transaction that happens once for a run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession

from lakebalance.core.errors import TableError
from lakebalance.core.tables import Table, first_line, history, newest_version, run_of_commit

CONFLICTS = ("Concurrent", "DELTA_CONCURRENT", "DELTA_METADATA_CHANGED", "ProtocolChanged",
             "MetadataChanged", "DELTA_PROTOCOL_CHANGED", "DELTA_TABLE_ALREADY_EXISTS")


@dataclass(frozen=True)
class Layout:
    """How the output lies in its table."""

    partition_by: Sequence[str] = ()
    cluster_by: Sequence[str] = ()
    merge_schema: bool = False


def published_version(spark: SparkSession, target: Table, run: str) -> int | None:
    """The version that holds this run's output as the newest data; None if it must be written.

    Commits that change no data (OPTIMIZE, VACUUM, properties) may follow it.
    """
    for commit in history(spark, target, 1000) or []:
        if run_of_commit(commit) == run:
            return int(commit["version"])
        if commit["operation"] in ("OPTIMIZE", "VACUUM START", "VACUUM END", "SET TBLPROPERTIES"):
            continue
        return None
    return None


def write(df: DataFrame, target: Table, run: str, layout: Layout) -> tuple[int, int | None]:
    """Replace the target's rows by ``df`` in one transaction.

    Parameters
    ----------
    df : the output.
    target : the table; made if it is not there.
    run : the run's id, written into the commit.
    layout : partitioning, clustering, schema evolution.

    Returns
    -------
    (the version written, the version before it or None).

    Raises
    ------
    TableError : another writer came first, the schema differs, or the table can't be written.
    """
    spark = df.sparkSession
    before = newest_version(spark, target)
    if layout.cluster_by:
        if before is None:
            _create_clustered(df, target, layout)
            before = newest_version(spark, target)
    writer = (
        df.write.format("delta")
        .mode("overwrite")
        .option("userMetadata", json.dumps({"lakebalance_run": run}))
        # A retried commit of the same try changes nothing; a later run may publish again.
        .option("txnAppId", f"lakebalance-{run}")
        .option("txnVersion", 0 if before is None else before + 1)
    )
    if layout.merge_schema:
        writer = writer.option("overwriteSchema", "true")
    if layout.partition_by:
        writer = writer.partitionBy(*layout.partition_by)
    try:
        if target.is_path:
            writer.save(target.name)
        else:
            writer.saveAsTable(target.name)
    except PySparkException as error:
        raise _for_users(error, target) from error
    version = published_version(spark, target, run)
    if version is None:
        raise TableError(f"{target.name}: another run was published at the same time; run again")
    return version, before


def restore(spark: SparkSession, target: Table, before: int | None) -> None:
    """Take the target back to the version before; a table that was not there becomes empty."""
    if before is None:
        spark.sql(f"DELETE FROM {target.sql}")
    else:
        spark.sql(f"RESTORE TABLE {target.sql} TO VERSION AS OF {int(before)}")


def _create_clustered(df: DataFrame, target: Table, layout: Layout) -> None:
    columns = ", ".join(
        f"`{f.name}` {f.dataType.simpleString()}" for f in df.schema.fields
    )
    clustered = ", ".join(f"`{name}`" for name in layout.cluster_by)
    df.sparkSession.sql(
        f"CREATE TABLE IF NOT EXISTS {target.sql} ({columns}) USING delta CLUSTER BY ({clustered})"
    )


def _for_users(error: PySparkException, target: Table) -> Exception:
    text = str(error)
    if any(mark in text for mark in CONFLICTS):
        return TableError(
            f"{target.name}: another writer changed it during this run, which published nothing; "
            "run again"
        )
    if "mismatch" in text.lower():
        return TableError(
            f"{target.name}: its schema differs from the output's: {first_line(error)}; write "
            "publish.merge_schema: true to change it"
        )
    return TableError(f"{target.name}: cannot be written: {first_line(error)}")
