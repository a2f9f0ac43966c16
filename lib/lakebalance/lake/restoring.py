"""Gives removed tables their rows back, or nothing: what is not proven equal is not published."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from lakebalance.core.beside import each
from lakebalance.core.errors import AuditError, LakebalanceError, RecipeError, TableError, nearest
from lakebalance.core.paths import local
from lakebalance.core.progress import Progress
from lakebalance.core.row_hash import fingerprint
from lakebalance.core.tables import Table, detail, newest_version, read_delta
from lakebalance.lake.definition import CLAIM
from lakebalance.lake.emptying import commit_of, keep_files_again
from lakebalance.lake.kept import drop_rows
from lakebalance.lake.log_reading import reason
from lakebalance.lake.proof import proven
from lakebalance.lake.removals import Removal, record, removals_of


@dataclass(frozen=True)
class Restored:
    """A table that has its rows again, or ``why`` it has not.

    ``how`` is ``version`` (Delta had its files), ``rebuilt`` (from its parent, at
    ``parent_version``) or ``there`` (it had all rows already).
    """

    table: str
    how: str | None
    rows: int
    why: str = ""
    parent: str | None = None
    parent_version: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """The same as plain data."""
        return asdict(self)


def restore(
    spark: SparkSession,
    state: str,
    tables: Sequence[str] = (),
    *,
    plan: str | None = None,
    progress: Progress = lambda stage: None,
) -> list[Restored]:
    """Give removed tables their rows back.

    Of an archived table, Delta has the files until VACUUM; else the rows are made from the parent,
    at the version that was compared or, if it is gone, at the newest. Either way they are compared
    with the count and hashes that were written down, before they are published. A table whose
    folder is gone is made anew: columns, partitions, clustering, properties and checks. Running it
    again finishes what was broken off.

    Parameters
    ----------
    spark : a session, classic or Connect.
    state : the folder that ``apply`` was given.
    tables : the tables.
    plan : all tables that this plan removed, in place of ``tables``.
    progress : called with the name of each stage.

    Returns
    -------
    What became of each.

    Raises
    ------
    RecipeError : the record has no removal of a table, or of the plan.

    Examples
    --------
    >>> restore(spark, "lake_state", ["/lake/copy"])[0].how  # doctest: +SKIP
    'version'
    """
    removals = [r for r in removals_of(spark, state) if r.is_active]
    wanted = _wanted(removals, tables, plan, state)
    found = each(spark, wanted, lambda removal: _or_why(spark, removal, progress))
    back = [r for r, table in zip(wanted, found, strict=True) if table.how is not None]
    record(spark, state, back, "restored")
    for removal in back:
        drop_rows(spark, removal)
    return found


def _or_why(spark: SparkSession, removal: Removal, progress: Progress) -> Restored:
    progress(f"restoring {removal.table}")
    try:
        return _restored(spark, removal)
    except Exception as error:
        why = reason(error, removal.table)
        return Restored(removal.table, None, removal.fingerprint.rows, why)


def _wanted(
    removals: Sequence[Removal], tables: Sequence[str], plan: str | None, state: str
) -> list[Removal]:
    if plan is not None:
        of_plan = [r for r in removals if r.plan == plan]
        if not of_plan:
            known = nearest(plan, {r.plan for r in removals})
            raise RecipeError(f"{state} has no table that plan {plan} removed; {known}")
        return of_plan
    by_table = {r.table: r for r in removals}
    found = []
    for name in tables:
        table = local(name).rstrip("/")
        if table not in by_table:
            known = nearest(table, by_table)
            raise RecipeError(f"{state} has no table {name} that was removed; {known}")
        found.append(by_table[table])
    return found


def _restored(spark: SparkSession, removal: Removal) -> Restored:
    table, rows = Table(removal.table), removal.fingerprint.rows
    _made(spark, removal)
    version = newest_version(spark, table)
    if version is None:
        raise TableError(f"{removal.table} is not a Delta table")
    now = read_delta(spark, table, version)
    if not now.isEmpty():
        if not _is_equal(spark, removal, version):
            raise TableError(f"{removal.table} was written since it was emptied; it stays as it is")
        keep_files_again(spark, removal)
        return Restored(removal.table, "there", rows)
    if commit_of(spark, removal) is not None and _returned(spark, removal, version):
        return Restored(removal.table, "version", rows)
    rebuild = proven(spark, removal)
    if rebuild is None:
        raise AuditError(
            f"{removal.table}: neither version {removal.rebuild.version} nor the newest of "
            f"{removal.rebuild.parent} makes its {rows:,} rows; nothing was written"
        )
    _publish(spark, removal, version, lambda: _append(removal, spark.sql(rebuild.sql())))
    keep_files_again(spark, removal)
    return Restored(
        removal.table, "rebuilt", rows, parent=rebuild.parent, parent_version=rebuild.version
    )


def _made(spark: SparkSession, removal: Removal) -> None:
    """Make a table anew whose folder is gone; refuse one that others made there.

    Raises
    ------
    TableError : another table is in its place.
    """
    table = Table(removal.table)
    if newest_version(spark, table) is None:
        for statement in removal.definition.statements(table, removal.claim):
            spark.sql(statement)
    said = detail(spark, table)
    if said["id"] != removal.table_id and said["properties"].get(CLAIM) != removal.claim:
        raise TableError(f"{removal.table} is another table, made since; it stays as it is")


def _returned(spark: SparkSession, removal: Removal, version: int) -> bool:
    """Take a table back to the version with its rows; False if Delta has its files no more."""
    table = Table(removal.table)
    back = f"RESTORE TABLE {table.sql} TO VERSION AS OF {removal.version}"
    try:
        if commit_of(spark, removal) == version:
            _publish(spark, removal, version, lambda: spark.sql(back))
        else:  # columns or properties that came since are to stay
            rows = read_delta(spark, table, removal.version)
            _publish(spark, removal, version, lambda: _append(removal, rows))
    except LakebalanceError:
        raise
    except Exception:  # a file or the version is gone: the parent has the rows
        return False
    return True


def _append(removal: Removal, rows: DataFrame) -> None:
    writer = rows.write.format("delta").mode("append")
    note = json.dumps({"lakebalance_restored": removal.claim})
    writer = writer.option("userMetadata", note)
    # Two that restore at once must not both add the rows.
    writer = writer.option("txnAppId", f"lakebalance-restore-{removal.claim}")
    writer.option("txnVersion", 0).save(removal.table)


def _publish(
    spark: SparkSession, removal: Removal, before: int, write: Callable[[], object]
) -> None:
    """Write, and take it back unless the table then has the rows of the record.

    Raises
    ------
    AuditError : it has not; it is as it was before.
    """
    table = Table(removal.table)
    write()
    version = newest_version(spark, table)
    if version is not None and _is_equal(spark, removal, version):
        return
    if version == before + 1:
        spark.sql(f"RESTORE TABLE {table.sql} TO VERSION AS OF {before}")
        raise AuditError(f"{removal.table}: the rows that came back are others; it is empty again")
    raise TableError(f"{removal.table} was written by others meanwhile; look at its history")


def _is_equal(spark: SparkSession, removal: Removal, version: int) -> bool:
    rows, schema = read_delta(spark, Table(removal.table), version), removal.rebuild.child_schema
    if not set(schema.names) <= set(rows.columns):
        return False
    return fingerprint(rows, schema) == removal.fingerprint
