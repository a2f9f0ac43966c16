"""Adds to an inventory's tables what catalogs say of them: names, owners, views that read them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from pyspark.sql import SparkSession

from lakebalance.core.beside import each
from lakebalance.lake.catalog import Registered, read_by, same_name
from lakebalance.lake.entries import VIEW, Entry
from lakebalance.lake.log_reading import reason


def with_catalogs(
    spark: SparkSession,
    entries: Mapping[str, Entry],
    before: Mapping[str, Entry],
    tables: Sequence[Registered],
    schemas: Collection[tuple[str, ...]],
) -> list[Entry]:
    """The entries with their names, owners and the views that read them, and views that fail.

    Parameters
    ----------
    spark : the session.
    entries : what is known of tables now, by path.
    before : what was known, of which names in schemas that were not asked now still hold.
    tables : what the catalogs say now.
    schemas : the schemas that were asked, as ``same_name`` has them.
    """

    def elsewhere(names: Sequence[str]) -> set[str]:
        """Names in schemas that were not asked now."""
        return {name for name in names if same_name(name)[:-1] not in schemas}

    paths = {same_name(n): e.table for e in before.values() for n in elsewhere(e.names)}
    paths |= {same_name(t.name): t.path for t in tables if t.path is not None}

    def seen(view: Registered) -> Registered:
        try:
            return replace(view, reads=read_by(spark, view.name, paths, entries.keys()))
        except Exception as error:
            return replace(view, problem=reason(error, view.name))

    views = each(spark, [table for table in tables if table.kind == VIEW], seen)
    by_path: dict[str | None, list[Registered]] = defaultdict(list)
    for table in tables:
        by_path[table.path].append(table)
    reading_it: dict[str, set[str]] = defaultdict(set)
    for view in views:
        for path in view.reads:
            reading_it[path].add(view.name)
    made = []
    for entry in entries.values():
        old = before.get(entry.table, entry)
        own = by_path[entry.table]
        names = elsewhere(old.names) | {table.name for table in own}
        owners = [table.owner for table in own if table.owner]
        owner = owners[0] if owners else (old.owner if names else None)
        reading = elsewhere(old.views) | reading_it[entry.table]
        made.append(
            replace(
                entry, names=tuple(sorted(names)), owner=owner, views=tuple(sorted(reading)),
                last_read=old.last_read, reads=old.reads,
            )
        )  # fmt: skip
    return made + [Entry(v.name, None, None, None, v.problem, VIEW) for v in views if v.problem]
