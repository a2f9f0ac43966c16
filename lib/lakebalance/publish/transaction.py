"""Writes the output in one Delta transaction that happens once for a run."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from pyspark.errors import PythonException
from pyspark.sql import DataFrame, DataFrameWriter, Row, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from lakebalance.core.columns import column, quoted
from lakebalance.core.errors import TableError, first_line
from lakebalance.core.row_hash import fingerprint
from lakebalance.core.secrets import hide
from lakebalance.core.spark_errors import for_users, is_conflict
from lakebalance.core.sql_types import nullable, sql_columns
from lakebalance.core.tables import (
    MAINTENANCE,
    MAPPING,
    MOST_COMMITS,
    REPLACED,
    Table,
    detail,
    history,
    needs_mapping,
    newest_version,
    read_delta,
    replaced_by_commit,
    run_of_commit,
)
from lakebalance.publish.state import again_on_conflict

# What a task says, as an error of ours: core.spark_errors finds it in Spark's.
EMPTY = (
    'lakebalance.core.errors.TableError: publish.partition_by: "{}" has empty texts, of which '
    "Delta makes null where it partitions by them; leave it out, or use cluster_by"
)
BROKEN = re.compile(r"(?:CHECK|NOT NULL) constraint .*")
VARIABLE = "${"
NOT_REPLACED = "DELTA_REPLACE_WHERE_MISMATCH"
OTHER_SCHEMA = re.compile(r"mismatch|DELTA_FAILED_TO_MERGE_FIELDS", re.IGNORECASE)


@dataclass(frozen=True)
class Layout:
    """How the output lies in its table."""

    partition_by: Sequence[str] = ()
    cluster_by: Sequence[str] = ()
    merge_schema: bool = False
    in_order: bool = False  # whether tasks and their rows are in the order wanted already
    replace_where: str | None = None  # the rows that are replaced; all of them if None


def published_version(
    spark: SparkSession, target: Table, run: str, replace_where: str | None = None
) -> int | None:
    """The version that holds this run's output as the newest data; None if it must be written.

    Commits that change no data (OPTIMIZE, VACUUM, properties) may follow it. Where the run replaced
    the rows of a condition, runs that replaced those of other ones may follow, too, as long as its
    own rows are the same.
    """
    # The newest commit nearly always decides, and each commit looked at is a file to open.
    for limit in (1, MOST_COMMITS):
        since: list[Row] = []
        for commit in history(spark, target, limit) or []:
            if run_of_commit(commit) == run:
                version = int(commit["version"])
                if all(later["operation"] in MAINTENANCE for later in since):
                    return version
                ends = (version, int(since[0]["version"]))
                rows = [read_delta(spark, target, end, replace_where) for end in ends]
                return version if _same_rows(*rows) else None
            if not _is_beside(commit, replace_where):
                return None
            since.append(commit)
    return None


def _is_beside(commit: Row, replaced: str | None) -> bool:
    """Whether a commit changes no data, or is a run's that replaced rows of another condition."""
    if commit["operation"] in MAINTENANCE:
        return True
    return replaced is not None and replaced_by_commit(commit) not in (None, hide(replaced))


def _same_rows(before: DataFrame, after: DataFrame) -> bool:
    """Whether two frames hold the same rows as often, by sums of hashes; two jobs.

    Columns that only one has, as it came before or after the table's schema grew, do not count.
    """
    both = T.StructType([field for field in before.schema if field.name in after.columns])
    return fingerprint(before, both) == fingerprint(after, both)


def write(
    df: DataFrame,
    target: Table,
    run: str,
    layout: Layout,
    notes: Mapping[str, object] | None = None,
) -> tuple[int, int | None]:
    """Replace the target's rows, or those of a condition, by ``df`` in one transaction.

    Parameters
    ----------
    df : the output.
    target : the table; made if it is not there.
    run : the run's id, written into the commit.
    layout : partitioning, clustering, schema evolution, and which rows are replaced.
    notes : what else the commit's ``userMetadata`` is to say, as JSON.

    Returns
    -------
    (the version written, the version before it or None).

    Raises
    ------
    TableError : another writer came first, the schema differs, or the table can't be written.
    """
    spark = df.sparkSession
    before = newest_version(spark, target)
    if before is None and (layout.cluster_by or layout.replace_where):
        # Delta checks that rows fulfil a condition only where they replace rows of a table.
        _create(df, target, layout)
        before = newest_version(spark, target)
    if before is not None and not (layout.merge_schema and layout.replace_where is None):
        _check_spelling(df.columns, read_delta(spark, target, before).columns, target)
    df = _without_empty_texts(df, layout.partition_by)
    writer = _writer(df, run, layout, before, notes or {})
    beside = partial(_all_beside, spark, target, before, layout.replace_where)
    try:
        again_on_conflict(partial(_save, writer, target), beside)
    except Exception as error:
        if not is_conflict(error):
            raise _for_users(error, target, layout.replace_where) from error
        version = published_version(spark, target, run, layout.replace_where)
        if version is None:
            raise _lost(target) from error
        # The same run, started twice: the other one has made it.
        return version, _just_before(version, before)
    version = newest_version(spark, target)
    # A single commit since is this one, or that of the same run, started twice; to look into it
    # takes ten times as long.
    if version != _next(before):
        version = published_version(spark, target, run, layout.replace_where)
    if version is None:
        raise _lost(target)
    if layout.cluster_by:
        _cluster(spark, target, layout.cluster_by)
    return version, _just_before(version, before)


def _next(before: int | None) -> int:
    """The version that follows one, or nothing."""
    return 0 if before is None else before + 1


def _just_before(version: int, before: int | None) -> int | None:
    """The version that a commit followed; others may have come since ``before`` was the newest."""
    return None if before is None else version - 1


def _all_beside(
    spark: SparkSession, target: Table, before: int | None, replaced: str | None
) -> bool:
    """Whether a run's rows may lie beside all that came since a version."""
    if replaced is None or before is None:
        return False
    commits = history(spark, target, MOST_COMMITS) or []
    return all(_is_beside(commit, replaced) for commit in commits if commit["version"] > before)


def _writer(
    df: DataFrame, run: str, layout: Layout, before: int | None, notes: Mapping[str, object]
) -> DataFrameWriter:
    replaced = layout.replace_where
    writer = (
        df.write.format("delta")
        .mode("overwrite")
        .option("userMetadata", _notes(run, replaced, notes))
        # A retried commit of the same try changes nothing; a later run may publish again.
        .option("txnAppId", f"lakebalance-{run}")
        .option("txnVersion", _next(before))
    )
    if before is None and needs_mapping(df.schema):
        writer = writer.option(MAPPING, "name")
    if layout.merge_schema:
        grown = "overwriteSchema" if replaced is None else "mergeSchema"
        writer = writer.option(grown, "true")
    if replaced is not None:
        writer = writer.option("replaceWhere", replaced)
    elif before is not None and not layout.merge_schema:
        # A plain overwrite takes a table's clustering away; replacing where true keeps it.
        writer = writer.option("replaceWhere", "true")
    if layout.partition_by:
        # Gathers each partition's rows first: else every task writes a file into each of them.
        gather = "false" if layout.in_order else "true"
        writer = writer.partitionBy(*layout.partition_by).option("optimizeWrite", gather)
    return writer


def _notes(run: str, replaced: str | None, notes: Mapping[str, object]) -> str:
    """What a commit says about itself."""
    said = {} if replaced is None else {REPLACED: hide(replaced)}
    return json.dumps({"lakebalance_run": run, **said, **notes})


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


def return_to(
    spark: SparkSession, target: Table, version: int, run: str, replace_where: str | None = None
) -> int:
    """Take a table back to the version that a run published, so that it is the newest data again.

    Parameters
    ----------
    spark : the session.
    target : the table.
    version : what the run published.
    run : its id.
    replace_where : the rows that the run replaced: they alone are taken back, and written anew.

    Returns
    -------
    The table's newest version, whose commit names the run.

    Raises
    ------
    TableError : the version's files are gone, or another writer came in between.
    """
    try:
        rows = read_delta(spark, target, version, replace_where)
        if replace_where is None:
            spark.sql(f"RESTORE TABLE {target.sql} TO VERSION AS OF {int(version)}")
            # RESTORE takes no notes. A commit of no rows does, by which a run knows what it made.
            writer = rows.limit(0).write.mode("append")
        else:
            writer = rows.write.mode("overwrite").option("replaceWhere", replace_where)
        writer = (
            writer.format("delta")
            .option("userMetadata", _notes(run, replace_where, {}))
            # Without it, Delta leaves out a commit that changes nothing.
            .option("txnAppId", f"lakebalance-rollback-{run}")
            .option("txnVersion", (newest_version(spark, target) or 0) + 1)
        )
        _save(writer, target)
    except Exception as error:
        raise TableError(
            f"{target.name}: cannot be taken back to version {version}: {first_line(error)}"
        ) from error
    now = published_version(spark, target, run, replace_where)
    if now is None:
        raise _lost(target)
    return now


def _save(writer: DataFrameWriter, target: Table) -> None:
    if target.is_path:
        writer.save(target.name)
    else:
        writer.saveAsTable(target.sql)


def _check_spelling(names: Sequence[str], there: Sequence[str], target: Table) -> None:
    """Raise where a column is there in other letters: Delta would keep them, and readers differ."""
    spelled = {name.lower(): name for name in there}
    for name in names:
        if (other := spelled.get(name.lower(), name)) != name:
            raise TableError(
                f'{target.name}: it has a column "{other}" where the output has "{name}"; write '
                "publish.merge_schema: true to have it as in the output, or give it one name"
            )


def _create(df: DataFrame, target: Table, layout: Layout) -> None:
    """Make the table, without rows.

    Raises
    ------
    TableError : it is to be clustered, and Spark would take a name in it for a variable.
    """
    if not layout.cluster_by:
        writer = df.where(F.lit(False)).write.format("delta").mode("ignore")
        if needs_mapping(df.schema):
            writer = writer.option(MAPPING, "name")
        if layout.partition_by:
            writer = writer.partitionBy(*layout.partition_by)
        _save(writer, target)
        return
    for name in (target.name, *df.columns):
        if VARIABLE in name:
            raise TableError(
                f"publish.cluster_by: Spark takes {VARIABLE}…}} in {name} for a variable where it "
                "makes a table that is clustered; leave it out, or write another name"
            )
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


def _for_users(error: Exception, target: Table, replaced: str | None) -> Exception:
    known = for_users(error, target.name)
    if known is not None:
        return known
    if replaced is not None and NOT_REPLACED in str(error):
        return TableError(
            f"{target.name}: publish.replace_where: the output has rows that are not {replaced}, "
            "so that a later run would not replace them; write it in the sources' where, too"
        )
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
