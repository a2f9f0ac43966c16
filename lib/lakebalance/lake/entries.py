"""The inventory: what is known of each table, kept as a Delta table in the state's folder."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import pyarrow as pa
from pyspark.sql import SparkSession

from lakebalance.core.errors import RecipeError, nearest
from lakebalance.core.paths import local
from lakebalance.core.tables import Table, newest_version
from lakebalance.lake.catalog import same_name
from lakebalance.lake.facts import TableFacts

VIEW = "view"
KEPT = pa.schema(
    [("table", pa.string()), ("version", pa.int64()), ("rows", pa.int64()),
     ("bytes", pa.int64()), ("files", pa.int64()), ("last_written", pa.timestamp("ms", "UTC")),
     ("partition_by", pa.list_(pa.string())), ("problem", pa.string()),
     ("committed", pa.timestamp("us", "UTC")), ("facts", pa.string()), ("kind", pa.string()),
     ("names", pa.list_(pa.string())), ("owner", pa.string()),
     ("views", pa.list_(pa.string())),
     ("last_read", pa.timestamp("us", "UTC")), ("reads", pa.float64())]
)  # fmt: skip


@dataclass(frozen=True)
class Entry:
    """A table as the inventory keeps it: its facts, or why there are none.

    ``committed`` is when the newest file of its log, or of its Parquet, was written: a table that
    was deleted and made again has another time, though it may have the same version. ``names`` are
    those in catalogs, ``views`` the names of views that read it, and ``reads`` how often a month
    it is read, as far as a log of reads tells.
    """

    table: str
    version: int | None
    committed: dt.datetime | None
    facts: TableFacts | None
    problem: str | None
    kind: str = "delta"
    names: tuple[str, ...] = ()
    owner: str | None = None
    views: tuple[str, ...] = ()
    last_read: dt.datetime | None = None
    reads: float | None = None


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

    @property
    def views(self) -> dict[str, tuple[str, ...]]:
        """The views that read a table, of tables that some read."""
        return {entry.table: entry.views for entry in self.entries if entry.views}

    @property
    def reads(self) -> dict[str, float]:
        """How often a month tables are read, of those of which it is known."""
        return {e.table: e.reads for e in self.entries if e.reads is not None}

    @cached_property
    def _paths(self) -> dict[str | tuple[str, ...], str]:
        """The paths of tables by their paths and their names."""
        found: dict[str | tuple[str, ...], str] = {}
        for entry in self.entries:
            if entry.facts is not None:
                found |= dict.fromkeys(map(same_name, entry.names), entry.table)
                found[entry.table] = entry.table
        return found

    def path_of(self, name: str, place: str) -> str:
        """The path of a table that is named by its path or by its name in a catalog.

        Raises
        ------
        RecipeError : there is none; ``place`` is where it was named.
        """
        found = local(name).rstrip("/")
        if path := self._paths.get(found) or self._paths.get(same_name(name)):
            return path
        there = {table.table for table in self.tables}.union(*(e.names for e in self.entries))
        raise RecipeError(f'{place}: the inventory has no table "{name}"; {nearest(found, there)}')

    def to_dict(self) -> dict[str, Any]:
        """The inventory as plain data; times in milliseconds since 1970."""
        tables = [
            {
                "table": t.table, "version": t.version, "rows": t.rows, "bytes": t.bytes,
                "files": t.files, "columns": len(t.columns), "partition_by": list(t.partition_by),
                "last_written": t.last_written, "borrows_files_of": list(t.borrowed),
                "files_without_statistics": t.without_statistics, "format": t.format,
                "names": list(entry.names), "owner": entry.owner, "views": list(entry.views),
                "last_read": _millis(entry.last_read), "reads": entry.reads,
            }
            for entry in self.entries
            if (t := entry.facts) is not None
        ]  # fmt: skip
        return {"tables": tables, "problems": self.problems, "read": self.read}


def _millis(time: dt.datetime | None) -> int | None:
    return None if time is None else int(time.timestamp() * 1000)


def kept(spark: SparkSession, state: str) -> list[Entry] | None:
    """The entries of the last scan; None if there was none."""
    table = Table(f"{state}/inventory")
    if newest_version(spark, table) is None:
        return None
    df = spark.read.format("delta").load(table.name)
    # An inventory that an older version kept has fewer columns.
    names = [own.name for own in fields(Entry) if own.name in df.columns]
    return [_entry(row) for row in df.select(*names).toArrow().to_pylist()]


def _entry(row: Mapping[str, Any]) -> Entry:
    facts = row["facts"]
    return Entry(
        **{
            **row,
            "facts": None if facts is None else TableFacts.from_json(facts),
            "kind": row.get("kind") or "delta",
            "names": tuple(row.get("names") or ()),
            "views": tuple(row.get("views") or ()),
        }
    )


def keep(spark: SparkSession, inventory: Inventory, state: str) -> None:
    """Write the entries in place of those of the last scan."""
    rows = []
    for entry in inventory.entries:
        facts = entry.facts
        known = {} if facts is None else {
            "rows": facts.rows, "bytes": facts.bytes, "files": facts.files,
            "last_written": facts.last_written, "partition_by": list(facts.partition_by),
            "facts": facts.to_json(),
        }  # fmt: skip
        own = {part.name: getattr(entry, part.name) for part in fields(Entry)}
        rows.append({**own, "facts": None, **known})
    df = spark.createDataFrame(pa.Table.from_pylist(rows, schema=KEPT))
    written = df.coalesce(1).write.format("delta").mode("overwrite")
    written.option("overwriteSchema", "true").save(f"{state}/inventory")
