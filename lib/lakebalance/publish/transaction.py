"""Writes the output in one Delta transaction that happens once for a run."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pyspark.errors import PythonException
from pyspark.sql import DataFrame, DataFrameWriter, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from lakebalance.core.columns import column, quoted
from lakebalance.core.errors import TableError, first_line
from lakebalance.core.spark_errors import for_users, is_conflict
from lakebalance.core.sql_types import nullable, sql_columns
from lakebalance.core.tables import (
    MAINTENANCE,
    MAPPING,
    MOST_COMMITS,
    Table,
    detail,
    history,
    needs_mapping,
    newest_version,
    read_delta,
    run_of_commit,
)

# What a task says, as an error of ours: core.spark_errors finds it in Spark's.
EMPTY = (
    'lakebalance.core.errors.TableError: publish.partition_by: "{}" has empty texts, of which '
    "Delta makes null where it partitions by them; leave it out, or use cluster_by"
)
BROKEN = re.compile(r"(?:CHECK|NOT NULL) constraint .*")
OTHER_SCHEMA = re.compile(r"mismatch|DELTA_FAILED_TO_MERGE_FIELDS", re.IGNORECASE)


@dataclass(frozen=True)
class Layout:
    """How the output lies in its table."""

    partition_by: Sequence[str] = ()
    cluster_by: Sequence[str] = ()
    merge_schema: bool = False
    in_order: bool = False  # whether tasks and their rows are in the order wanted already


def published_version(spark: SparkSession, target: Table, run: str) -> int | None:
    """The version that holds this run's output as the newest data; None if it must be written.

    Commits that change no data (OPTIMIZE, VACUUM, properties) may follow it.
    """
    # The newest commit nearly always decides, and each commit looked at is a file to open.
    for limit in (1, MOST_COMMITS):
        for commit in history(spark, target, limit) or []:
            if run_of_commit(commit) == run:
                return int(commit["version"])
            if commit["operation"] not in MAINTENANCE:
                return None
    return None


def write(
    df: DataFrame,
    target: Table,
    run: str,
    layout: Layout,
    notes: Mapping[str, object] | None = None,
) -> tuple[int, int | None]:
    """Replace the target's rows by ``df`` in one transaction.

    Parameters
    ----------
    df : the output.
    target : the table; made if it is not there.
    run : the run's id, written into the commit.
    layout : partitioning, clustering, schema evolution.
    notes : what else the commit's ``userMetadata`` is to say, as JSON.

    Returns
    -------
    (the version written, the version before it or None).

    Raises
    ------
    TableError : another writer came first, the schema differs, or the table can't be written.
    """
    spark = df.sparkSession
    if layout.cluster_by and newest_version(spark, target) is None:
        _create_clustered(df, target, layout)
    before = newest_version(spark, target)
    df = _without_empty_texts(df, layout.partition_by)
    writer = _writer(df, run, layout, before, notes or {})
    try:
        _save(writer, target)
    except Exception as error:
        if not is_conflict(error):
            raise _for_users(error, target) from error
        version = published_version(spark, target, run)
        if version is None:
            raise _lost(target) from error
        return version, before  # the same run, started twice: the other one has made it
    version = published_version(spark, target, run)
    if version is None:
        raise _lost(target)
    if layout.cluster_by:
        _cluster(spark, target, layout.cluster_by)
    return version, before


def _writer(
    df: DataFrame, run: str, layout: Layout, before: int | None, notes: Mapping[str, object]
) -> DataFrameWriter:
    writer = (
        df.write.format("delta")
        .mode("overwrite")
        .option("userMetadata", json.dumps({"lakebalance_run": run, **notes}))
        # A retried commit of the same try changes nothing; a later run may publish again.
        .option("txnAppId", f"lakebalance-{run}")
        .option("txnVersion", 0 if before is None else before + 1)
    )
    if before is None and needs_mapping(df.schema):
        writer = writer.option(MAPPING, "name")
    if layout.merge_schema:
        writer = writer.option("overwriteSchema", "true")
    elif before is not None:
        # A plain overwrite takes a table's clustering away; replacing where true keeps it.
        writer = writer.option("replaceWhere", "true")
    if layout.partition_by:
        # Gathers each partition's rows first: else every task writes a file into each of them.
        gather = "false" if layout.in_order else "true"
        writer = writer.partitionBy(*layout.partition_by).option("optimizeWrite", gather)
    return writer


def _without_empty_texts(df: DataFrame, names: Sequence[str]) -> DataFrame:
    """The rows, whose write fails where one has an empty text to be partitioned by.

    Delta would take it for null, and say nothing.
    """
    fields = [field for field in df.schema if field.name in names]
    texts = {field.name: field for field in fields if isinstance(field.dataType, T.StringType)}
    if not texts:
        return df
    checked = {
        name: F.when(column(name) == "", F.raise_error(F.lit(EMPTY.format(name))))
        .otherwise(column(name))
        .alias(name, metadata=field.metadata)
        for name, field in texts.items()
    }
    return df.select(*[checked.get(name, column(name)) for name in df.columns])


def _lost(target: Table) -> TableError:
    return TableError(
        f"{target.name}: another writer changed it during this run, which published nothing; "
        "run again"
    )


def restore(spark: SparkSession, target: Table, version: int, before: int | None) -> str:
    """Take the target back from ``version`` to the one before; if it was not there, empty it.

    Returns
    -------
    What was done, for the message: a version that somebody wrote since is left alone.
    """
    if newest_version(spark, target) != version:
        return f"{target.name} was written by others since and was left as it is"
    if before is None:
        spark.sql(f"DELETE FROM {target.sql}")
        return f"{target.name} was emptied"
    spark.sql(f"RESTORE TABLE {target.sql} TO VERSION AS OF {int(before)}")
    return f"{target.name} was taken back to version {before}"


def return_to(spark: SparkSession, target: Table, version: int, run: str) -> int:
    """Take a table back to the version that a run published, so that it is the newest data again.

    Parameters
    ----------
    spark : the session.
    target : the table.
    version : what the run published.
    run : its id.

    Returns
    -------
    The table's newest version, whose commit names the run.

    Raises
    ------
    TableError : the version's files are gone, or another writer came in between.
    """
    try:
        spark.sql(f"RESTORE TABLE {target.sql} TO VERSION AS OF {int(version)}")
        # RESTORE takes no notes. A commit of no rows does, by which a run knows what it has made.
        newest = newest_version(spark, target) or 0
        writer = (
            read_delta(spark, target, newest)
            .limit(0)
            .write.format("delta")
            .mode("append")
            .option("userMetadata", json.dumps({"lakebalance_run": run}))
            # Without it, Delta leaves out a commit that changes nothing.
            .option("txnAppId", f"lakebalance-rollback-{run}")
            .option("txnVersion", newest + 1)
        )
        _save(writer, target)
    except Exception as error:
        raise TableError(
            f"{target.name}: cannot be taken back to version {version}: {first_line(error)}"
        ) from error
    now = published_version(spark, target, run)
    if now is None:
        raise _lost(target)
    return now


def _save(writer: DataFrameWriter, target: Table) -> None:
    if target.is_path:
        writer.save(target.name)
    else:
        writer.saveAsTable(target.sql)


def _create_clustered(df: DataFrame, target: Table, layout: Layout) -> None:
    schema = nullable(df.schema)
    assert isinstance(schema, T.StructType)
    mapped = f" TBLPROPERTIES ('{MAPPING}' = 'name')" if needs_mapping(df.schema) else ""
    df.sparkSession.sql(
        f"CREATE TABLE IF NOT EXISTS {target.sql} ({sql_columns(schema)}) USING delta "
        f"CLUSTER BY ({_listed(layout.cluster_by)}){mapped}"
    )


def _cluster(spark: SparkSession, target: Table, names: Sequence[str]) -> None:
    if detail(spark, target)["clusteringColumns"] != list(names):
        spark.sql(f"ALTER TABLE {target.sql} CLUSTER BY ({_listed(names)})")


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(quoted, names))


def _for_users(error: Exception, target: Table) -> Exception:
    known = for_users(error, target.name)
    if known is not None:
        return known
    if broken := BROKEN.search(str(error)):
        said = broken[0].removesuffix(" by row with values:")
        return TableError(f"{target.name}: a row of the output breaks what it demands: {said}")
    # A Python worker's failure may speak of types as well; it is none of the target's.
    if OTHER_SCHEMA.search(str(error)) and not isinstance(error, PythonException):
        return TableError(
            f"{target.name}: its schema differs from the output's: {first_line(error)}; write "
            "publish.merge_schema: true to change it"
        )
    return TableError(f"{target.name}: cannot be written: {first_line(error)}")
