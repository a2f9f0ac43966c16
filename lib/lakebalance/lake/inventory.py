"""Finds the Delta tables below paths and keeps what their logs say, as a Delta table.

The logs are read by Spark, so wherever Spark can read tables, with its credentials; a library that
opens storage by itself would need them again, and would not know the file systems that a cluster
has. One job lists all logs, one reads those of changed tables, each table's in one task.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from pyspark.sql import SparkSession

from lakebalance.core.errors import TableError
from lakebalance.core.progress import Progress
from lakebalance.core.tables import Table, newest_version
from lakebalance.lake.facts import TableFacts, is_below
from lakebalance.lake.log import BrokenLog
from lakebalance.lake.log_files import LogFiles, needed
from lakebalance.lake.log_reading import each_or_said, log_files, read_logs

NOT_FOUND = re.compile(r"PATH_NOT_FOUND|does not exist")
KEPT = pa.schema(
    [("table", pa.string()), ("version", pa.int64()), ("rows", pa.int64()),
     ("bytes", pa.int64()), ("files", pa.int64()), ("last_written", pa.timestamp("ms", "UTC")),
     ("partition_by", pa.list_(pa.string())), ("problem", pa.string()),
     ("committed", pa.timestamp("us", "UTC")), ("facts", pa.string())]
)  # fmt: skip


@dataclass(frozen=True)
class Entry:
    """A table as the inventory keeps it: its facts, or why there are none.

    ``committed`` is when the newest file of its log was written: a table that was deleted and made
    again has another time, though it may have the same version.
    """

    table: str
    version: int | None
    committed: dt.datetime | None
    facts: TableFacts | None
    problem: str | None


@dataclass(frozen=True)
class Inventory:
    """All tables known, in order of their paths, and how many logs were read for that now."""

    entries: tuple[Entry, ...]
    read: int = 0

    @property
    def tables(self) -> list[TableFacts]:
        """The tables of which something is known."""
        return [entry.facts for entry in self.entries if entry.facts is not None]

    @property
    def problems(self) -> dict[str, str]:
        """Why nothing is known of the others."""
        return {entry.table: entry.problem for entry in self.entries if entry.problem}

    def to_dict(self) -> dict[str, Any]:
        """The inventory as plain data; ``last_written`` in milliseconds since 1970."""
        tables = [
            {
                "table": t.table, "version": t.version, "rows": t.rows, "bytes": t.bytes,
                "files": t.files, "columns": len(t.columns), "partition_by": list(t.partition_by),
                "last_written": t.last_written, "borrows_files_of": list(t.borrowed),
                "files_without_statistics": t.without_statistics,
            }
            for t in self.tables
        ]  # fmt: skip
        return {"tables": tables, "problems": self.problems, "read": self.read}


@dataclass(frozen=True)
class _Listed:
    table: str
    files: LogFiles
    committed: dt.datetime


def scan(
    spark: SparkSession,
    paths: Sequence[str],
    state: str,
    depth: int = 3,
    progress: Progress = lambda stage: None,
) -> Inventory:
    """Take stock of the Delta tables below some paths, from their logs alone.

    Tables whose log has not changed since the last scan are not read again. Of tables that cannot
    be read, the reason is kept. Those of earlier scans below other paths stay in the inventory.

    Parameters
    ----------
    spark : a session, classic or Connect.
    paths : folders, as Spark names them; a table itself may be one.
    state : the folder for the inventory; tables below it are passed over.
    depth : how many folders deep tables are looked for, 0 for the paths themselves.
    progress : called with the name of each stage.

    Returns
    -------
    The inventory. In ``state`` it is the Delta table ``inventory``.

    Raises
    ------
    TableError : there is no Delta table below any of the paths, or one may not be listed.

    Examples
    --------
    >>> scan(spark, ["lake"], "lake_state").tables[0].rows  # doctest: +SKIP
    336776
    """
    roots = [local(path).rstrip("/") or "/" for path in paths]
    folder = local(state).rstrip("/")
    progress("listing Delta logs")
    listed, problems = _listed(spark, roots, depth, folder)
    before = {entry.table: entry for entry in _kept(spark, folder) or ()}
    changed = [found for found in listed if _is_new(found, before.get(found.table))]
    progress(f"reading {len(changed):,} of {len(listed):,} Delta logs")
    entries = _replayed(spark, changed)
    again = {entry.table for entry in entries} | {entry.table for entry in problems}
    seen = again | {found.table for found in listed}
    entries += problems
    for entry in before.values():
        elsewhere = not any(is_below(entry.table, root) for root in roots)
        if entry.table not in again and (entry.table in seen or elsewhere):
            entries.append(entry)
    inventory = Inventory(tuple(sorted(entries, key=lambda e: e.table)), len(changed))
    if {entry.table: entry for entry in inventory.entries} != before:
        _keep(spark, inventory, folder)
    return inventory


def load(spark: SparkSession, state: str) -> Inventory:
    """The inventory that an earlier scan kept.

    Raises
    ------
    TableError : there is none in the folder.
    """
    entries = _kept(spark, local(state).rstrip("/"))
    if entries is None:
        raise TableError(
            f"{state} has no inventory; make one: lakebalance lake scan PATH --state {state}"
        )
    return Inventory(tuple(entries))


def local(path: str) -> str:
    """A path without the scheme of local files, which Spark writes in several ways.

    Examples
    --------
    >>> local("file:///lake/t"), local("file:/lake/t"), local("s3a://lake/t")
    ('/lake/t', '/lake/t', 's3a://lake/t')
    """
    return re.sub(r"^file:/+", "/", path)


def _listed(
    spark: SparkSession, roots: Sequence[str], depth: int, state: str
) -> tuple[list[_Listed], list[Entry]]:
    """The logs below the roots, and what cannot be read of them."""
    rows, failed = each_or_said(roots, lambda some: log_files(spark, some, depth), "its log")
    empty = [root for root, why in failed if NOT_FOUND.search(why)]
    if empty and len(empty) == len(roots):
        raise TableError(
            f"no Delta table below {', '.join(empty)}, down to {depth} folders deep; check the "
            "path, or look deeper with --depth"
        )
    if len(failed) == len(roots):
        raise TableError(f"{failed[0][0]}: {failed[0][1]}")
    said = {root: "no Delta table below it" if root in empty else why for root, why in failed}
    problems = [Entry(root, None, None, None, why) for root, why in said.items()]
    found = []
    for table, times in sorted(dict(rows).items()):
        if is_below(table, state):
            continue
        try:
            log = needed(times)
        except BrokenLog as error:
            problems.append(Entry(table, None, max(times.values()), None, str(error)))
            continue
        found.append(_Listed(table, log, times[[*log.checkpoint, *log.commits][-1]]))
    return found, problems


def _is_new(found: _Listed, entry: Entry | None) -> bool:
    return (
        entry is None
        or entry.facts is None
        or (entry.version, entry.committed) != (found.files.version, found.committed)
    )


def _replayed(spark: SparkSession, listed: Sequence[_Listed]) -> list[Entry]:
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


def _kept(spark: SparkSession, state: str) -> list[Entry] | None:
    table = Table(f"{state}/inventory")
    if newest_version(spark, table) is None:
        return None
    rows = spark.read.format("delta").load(table.name)
    return [
        Entry(
            row["table"],
            row["version"],
            row["committed"],
            None if row["facts"] is None else TableFacts.from_json(row["facts"]),
            row["problem"],
        )
        for row in rows.select("table", "version", "committed", "facts", "problem")
        .toArrow()
        .to_pylist()
    ]


def _keep(spark: SparkSession, inventory: Inventory, state: str) -> None:
    rows = []
    for entry in inventory.entries:
        facts = entry.facts
        known = {} if facts is None else {
            "rows": facts.rows, "bytes": facts.bytes, "files": facts.files,
            "last_written": facts.last_written, "partition_by": list(facts.partition_by),
            "facts": facts.to_json(),
        }  # fmt: skip
        rows.append({
            "table": entry.table, "version": entry.version, "committed": entry.committed,
            "problem": entry.problem, **known,
        })  # fmt: skip
    df = spark.createDataFrame(pa.Table.from_pylist(rows, schema=KEPT))
    df.coalesce(1).write.format("delta").mode("overwrite").save(f"{state}/inventory")
