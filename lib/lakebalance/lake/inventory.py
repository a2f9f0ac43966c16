"""Takes stock of a lake: Delta tables and folders of Parquet below paths and in catalogs' schemas.

The logs are read by Spark, so wherever Spark can read tables, with its credentials; a library that
opens storage by itself would need them again, and would not know the file systems that a cluster
has. One job lists all logs, one reads those of changed tables, each table's in one task.
"""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import SparkSession

from lakebalance.core.beside import each
from lakebalance.core.errors import TableError
from lakebalance.core.paths import local
from lakebalance.core.progress import Progress
from lakebalance.lake.catalog import registered, same_name
from lakebalance.lake.entries import Entry, Inventory, keep, kept
from lakebalance.lake.facts import TableFacts
from lakebalance.lake.found import Found, Listed
from lakebalance.lake.log_reading import each_or_said, read_logs, reason
from lakebalance.lake.naming import with_catalogs
from lakebalance.lake.parquet_folders import Folder, facts_of
from lakebalance.lake.read_log import with_reads


def scan(
    spark: SparkSession,
    paths: Sequence[str],
    state: str,
    depth: int = 3,
    progress: Progress = lambda stage: None,
    *,
    schemas: Sequence[str] = (),
    parquet: bool = False,
    read_log: str | None = None,
) -> Inventory:
    """Take stock of the tables below some paths and in some schemas, from their logs alone.

    Tables whose log has not changed since the last scan are not read again. Of tables that cannot
    be read, the reason is kept. Those of earlier scans below other paths, or in other schemas, stay
    in the inventory.

    Parameters
    ----------
    spark : a session, classic or Connect.
    paths : folders, as Spark names them; a table itself may be one.
    state : the folder for the inventory; tables below it are passed over.
    depth : how many folders deep tables are looked for, 0 for the paths themselves.
    progress : called with the name of each stage.
    schemas : schemas of catalogs, all tables of which are looked at where they lie.
    parquet : look for folders of Parquet below the paths, too, which lists all files there.
    read_log : a Delta table of reads, with the columns ``table`` and ``read_at``.

    Returns
    -------
    The inventory. In ``state`` it is the Delta table ``inventory``.

    Raises
    ------
    TableError : there is no table below any of the paths or in the schemas, or none may be listed.
    RecipeError : ``read_log`` lacks a column.

    Examples
    --------
    >>> scan(spark, ["lake"], "lake_state").tables[0].rows  # doctest: +SKIP
    336776
    """
    roots = [local(path).rstrip("/") or "/" for path in paths]
    found = Found(spark, local(state).rstrip("/"))
    if schemas:
        progress("asking catalogs")
        found.registered = registered(spark, schemas)
    progress("listing Delta logs")
    found.look(roots, depth, parquet)
    before = {entry.table: entry for entry in kept(spark, found.state) or ()}
    changed = [listed for listed in found.listed if _is_new(listed, before.get(listed.table))]
    new = [f for f in found.folders if _is_new_folder(f, before.get(f.table))]
    progress(f"reading {len(changed):,} of {len(found.listed):,} Delta logs")
    entries = {e.table: e for e in [*_replayed(spark, changed), *_opened(spark, new)]}
    entries |= {entry.table: entry for entry in found.problems}
    scanned = {same_name(schema) for schema in schemas}
    for entry in before.values():
        if entry.table not in entries and found.keeps(entry, roots, scanned):
            entries[entry.table] = entry
    of_catalogs = with_catalogs(spark, entries, before, found.registered, scanned)
    if read_log is not None:
        progress(f"reading {read_log}")
        of_catalogs = with_reads(spark, of_catalogs, read_log)
    ordered = tuple(sorted(of_catalogs, key=lambda e: e.table))
    if {entry.table: entry for entry in ordered} != before:
        keep(spark, Inventory(ordered), found.state)
    return Inventory(ordered, len(changed) + len(new))


def load(spark: SparkSession, state: str) -> Inventory:
    """The inventory that an earlier scan kept.

    Raises
    ------
    TableError : there is none in the folder.
    """
    entries = kept(spark, local(state).rstrip("/"))
    if entries is None:
        raise TableError(
            f"{state} has no inventory; make one: lakebalance lake scan PATH --state {state}"
        )
    return Inventory(tuple(entries))


def _is_new_folder(folder: Folder, entry: Entry | None) -> bool:
    return entry is None or entry.facts is None or entry.facts.id != folder.id


def _opened(spark: SparkSession, new: Sequence[Folder]) -> list[Entry]:
    """What is known of folders of Parquet."""

    def opened(folder: Folder) -> Entry:
        try:
            facts = facts_of(spark, folder)
        except Exception as error:
            why = reason(error, folder.table)
            return Entry(folder.table, None, folder.written, None, why, "parquet")
        return Entry(folder.table, facts.version, folder.written, facts, None, "parquet")

    return each(spark, new, opened)


def _is_new(found: Listed, entry: Entry | None) -> bool:
    return (
        entry is None
        or entry.facts is None
        or (entry.version, entry.committed) != (found.files.version, found.committed)
    )


def _replayed(spark: SparkSession, listed: Sequence[Listed]) -> list[Entry]:
    by_table = {found.table: found for found in listed}
    rows, failed = each_or_said(
        listed,
        lambda some: read_logs(spark, {found.table: found.files for found in some}),
        "its log",
    )
    entries = [
        Entry(
            row["table"],
            row["version"],
            by_table[row["table"]].committed,
            None if row["facts"] is None else TableFacts.from_json(row["facts"]),
            row["problem"],
        )
        for row in rows
    ]
    return entries + [
        Entry(found.table, found.files.version, found.committed, None, why) for found, why in failed
    ]
