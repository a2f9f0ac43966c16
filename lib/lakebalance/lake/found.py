"""Looks for tables: Delta logs and folders of Parquet, below paths and where catalogs say."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from pyspark.sql import SparkSession

from lakebalance.core.errors import TableError
from lakebalance.lake.catalog import Registered, same_name
from lakebalance.lake.entries import VIEW, Entry
from lakebalance.lake.facts import is_below
from lakebalance.lake.log import BrokenLog
from lakebalance.lake.log_files import LogFiles, needed
from lakebalance.lake.log_reading import each_or_said, log_files
from lakebalance.lake.parquet_folders import Folder, folders, not_in_delta

NOT_FOUND = re.compile(r"PATH_NOT_FOUND|does not exist")


@dataclass(frozen=True)
class Listed:
    """A Delta table's log: which of its files tell what is in it, and the newest one's time."""

    table: str
    files: LogFiles
    committed: dt.datetime


class Found:
    """What lies below paths and where catalogs say; ``problems`` are what cannot be read of it."""

    def __init__(self, spark: SparkSession, state: str) -> None:
        self.spark, self.state = spark, state
        self.registered: list[Registered] = []
        self.listed: list[Listed] = []
        self.folders: list[Folder] = []
        self.problems: list[Entry] = []
        # The paths of what is listed and of the folders.
        self.seen: set[str] = set()

    def look(self, roots: Sequence[str], depth: int, parquet: bool) -> None:
        """List what there is.

        Raises
        ------
        TableError : there is nothing.
        """
        failed = dict(self._look_for_logs(roots, depth))
        of_kind = {
            kind: [t.path for t in self.registered if t.kind == kind and t.path]
            for kind in ("delta", "parquet")
        }
        known = self.seen | {problem.table for problem in self.problems}
        places = [path for path in of_kind["delta"] if path not in known]
        gone = dict(self._look_for_logs(places, 0))
        delta = self.seen | {problem.table for problem in self.problems}
        if parquet:
            failed |= self._look_for_parquet(roots, depth, delta)
        gone |= self._look_for_parquet(of_kind["parquet"], 0, delta)
        empty = [root for root, why in failed.items() if NOT_FOUND.search(why)]
        some = [f for f in failed if not any(is_below(t.table, f) for t in self.folders)]
        if some and len(some) == len(roots) and not self.registered:
            raise TableError(
                f"no {'table' if parquet else 'Delta table'} below {', '.join(empty)}, down to "
                f"{depth} folders deep; check the path, or look deeper with --depth"
                if len(empty) == len(some)
                else f"{some[0]}: {failed[some[0]]}"
            )
        self._add(
            {root: "no Delta table below it" if root in empty else failed[root] for root in some}
        )
        self._add({path: "nothing lies where the catalog says" for path in gone})
        self._add_unread()
        if not (self.registered or self.listed or self.folders or self.problems):
            raise TableError("there are no tables in the schemas; name others, or paths")

    def _add(self, said: Mapping[str, str]) -> None:
        self.problems += [Entry(place, None, None, None, why) for place, why in said.items()]

    def _add_unread(self) -> None:
        for table in self.registered:
            if table.kind in ("delta", "parquet", VIEW) and (table.path or table.kind == VIEW):
                continue
            why = table.problem or (
                "the catalog does not say where it lies"
                if table.kind in ("delta", "parquet")
                else f"is {table.kind.upper() or 'of no known format'}, which is not looked into"
            )
            self.problems.append(Entry(table.name, None, None, None, why, table.kind or "unknown"))

    def _look_for_logs(self, roots: Sequence[str], depth: int) -> list[tuple[str, str]]:
        """Add the logs below roots; the roots that have none, or may not be listed."""
        rows, failed = each_or_said(roots, lambda s: log_files(self.spark, s, depth), "its log")
        for table, times in sorted(dict(rows).items()):
            if is_below(table, self.state):
                continue
            try:
                log = needed(times)
            except BrokenLog as error:
                self.problems.append(Entry(table, None, max(times.values()), None, str(error)))
                continue
            newest = times[[*log.checkpoint, *log.commits][-1]]
            self.listed.append(Listed(table, log, newest))
            self.seen.add(table)
        return failed

    def _look_for_parquet(
        self, roots: Sequence[str], depth: int, delta: Collection[str]
    ) -> dict[str, str]:
        """Add the folders of Parquet below roots; the roots that may not be listed, and why."""
        rows, failed = each_or_said(roots, lambda some: folders(self.spark, some), "its files")
        for folder in not_in_delta(rows, delta):
            near = any(_depth(folder.table, root) <= depth for root in roots)
            if near and folder.table not in self.seen and not is_below(folder.table, self.state):
                self.folders.append(folder)
                self.seen.add(folder.table)
        return dict(failed)

    def keeps(
        self, entry: Entry, roots: Sequence[str], schemas: Collection[tuple[str, ...]]
    ) -> bool:
        """Whether an entry of an earlier scan that was not read again stays as it is."""
        if entry.table in self.seen:
            return True
        names = entry.names or (() if "/" in entry.table else (entry.table,))
        asked = bool(names) and all(same_name(name)[:-1] in schemas for name in names)
        return not asked and not any(is_below(entry.table, root) for root in roots)


def _depth(table: str, root: str) -> float:
    """How many folders below a root a table lies; infinite elsewhere."""
    if not is_below(table, root):
        return float("inf")
    return len([part for part in table.removeprefix(root).split("/") if part])
