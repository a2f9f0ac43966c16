"""How often tables are read, from a table that says when each was."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace

from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from lakebalance.core.errors import RecipeError, TableError, nearest
from lakebalance.core.paths import local
from lakebalance.core.tables import Table, newest_version, read_delta
from lakebalance.lake.catalog import same_name
from lakebalance.lake.entries import Entry

MONTH = dt.timedelta(days=365.25 / 12)
COLUMNS = ("table", "read_at")


@dataclass(frozen=True)
class _Read:
    times: int
    last: dt.datetime


def with_reads(spark: SparkSession, entries: Sequence[Entry], log: str) -> list[Entry]:
    """The entries with when each was last read, and how often a month.

    A log of less than a month counts as one of a month; a table that is not in it was not read.

    Parameters
    ----------
    spark : a session, classic or Connect.
    entries : the inventory's.
    log : a Delta table, by path or name: ``table``, a path or a name in a catalog, and ``read_at``,
        a timestamp, one row for each time that it was read.

    Raises
    ------
    TableError : it is no Delta table.
    RecipeError : it lacks one of the columns, or ``read_at`` is of another type.
    """
    table = Table(log)
    version = newest_version(spark, table)
    if version is None:
        raise TableError(f"{log} is not a Delta table that can be read")
    df = read_delta(spark, table, version)
    for name in COLUMNS:
        if name not in df.columns:
            raise RecipeError(f'{log}: no column "{name}"; {nearest(name, df.columns)}')
    kind = df.schema["read_at"].dataType
    if not isinstance(kind, T.TimestampType | T.TimestampNTZType):
        raise RecipeError(f"{log}: read_at is {kind.simpleString()}; it has to be a timestamp")
    at = F.col("read_at").cast("timestamp")
    numbers = F.count("*").alias("times"), F.max(at).alias("last"), F.min(at).alias("first")
    rows = df.where(at.isNotNull()).groupBy("table").agg(*numbers).toArrow().to_pylist()
    if not rows:
        return list(entries)
    months = max((max(r["last"] for r in rows) - min(r["first"] for r in rows)) / MONTH, 1.0)
    found: dict[str | tuple[str, ...], _Read] = {}
    for row in rows:
        name = row["table"] or ""
        key = local(name).rstrip("/") if Table(name).is_path else same_name(name)
        before = found.get(key, _Read(0, row["last"]))
        found[key] = _Read(before.times + row["times"], max(before.last, row["last"]))
    return [_with(entry, found, months) for entry in entries]


def _with(entry: Entry, found: dict[str | tuple[str, ...], _Read], months: float) -> Entry:
    if entry.facts is None:
        return entry
    keys = {entry.table, *map(same_name, entry.names)}
    own = [found[key] for key in keys if key in found]
    last = max((read.last for read in own), default=None)
    return replace(entry, last_read=last, reads=sum(read.times for read in own) / months)
