"""Rows that somebody asked to have forgotten, and how runs leave them out.

A row is remembered by a hash of the columns that identify it in a table, and by nothing else. Every
run that shares the state leaves out all rows of that table with such a hash: in any version of it,
under any name that a recipe gives the source, and wherever the table was moved to.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property, reduce

from pyspark.errors import PySparkException
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from lakebalance.core.identity import Identity
from lakebalance.core.paths import from_root
from lakebalance.core.sources import Pinned
from lakebalance.core.tables import Table, detail, newest_version, read_delta
from lakebalance.publish.state import RUN, State

FORGOTTEN = "forgotten"
LOCATION, TABLE_ID, IDENTITY, HASH, REASON = "location", "table_id", "identity", "hash", "reason"
MARK = "__lb_mark"
HALVES = ("__lb_mark_hi", "__lb_mark_lo")


@dataclass(frozen=True)
class Place:
    """A table wherever it is read from: where it lies, and the id that Delta gave it, if any."""

    location: str
    table_id: str = ""

    def is_one_with(self, other: Place) -> bool:
        """Whether both are one table: it may have been moved, or made anew in its old place."""
        return self.location == other.location or self.table_id == other.table_id != ""


def place_of(spark: SparkSession, name: str, *, delta: bool = True) -> Place:
    """Where a table lies: by path or by catalog name, it is the same."""
    if delta:
        try:
            found = detail(spark, Table(name))
            return Place(found["location"].rstrip("/"), found["id"])
        except PySparkException:
            if not Table(name).is_path:
                raise
            # SQL cannot name it, as Spark takes ${…} in a path for a variable: it has no id then.
    path = from_root(name).rstrip("/")
    return Place(path if ":/" in path else f"file:{path}")


@dataclass
class Places:
    """Where tables lie, each looked up once."""

    spark: SparkSession
    known: dict[tuple[str, bool], Place | None] = field(default_factory=dict)

    def of(self, name: str, *, delta: bool = True) -> Place | None:
        """Where a table lies; None where it is not there any more."""
        if (name, delta) not in self.known:
            gone = delta and newest_version(self.spark, Table(name)) is None
            self.known[name, delta] = None if gone else place_of(self.spark, name, delta=delta)
        return self.known[name, delta]


def is_marked(value: Column) -> Column:
    """Whether a 128-bit hash is one that ``in_halves`` has: a condition to join by."""
    hi, lo = HALVES
    # Joined by one half, of which Spark looks a number up; the other is worked out for those few
    # rows that have found one.
    other = value.getField("lo").bitwiseXOR(F.col(lo)) == 0
    return (value.getField("hi") == F.col(hi)) & other


def in_halves(hashes: DataFrame, *more: Column | str) -> DataFrame:
    """Hashes in ``__lb_mark`` as two columns, and further columns."""
    halves = [F.col(MARK).getField(n).alias(h) for n, h in zip(("hi", "lo"), HALVES, strict=True)]
    return hashes.select(*halves, *more)


@dataclass(frozen=True)
class Entries:
    """The rows of one table that a request names, told by one identity."""

    request: str
    place: Place
    identity: Identity


@dataclass
class Forgotten:
    """What the requests in a state forbid.

    ``only`` are the requests that count, as when an earlier run is looked at; all where left out.
    """

    state: State
    spark: SparkSession
    only: Collection[str] | None = None

    @cached_property
    def places(self) -> Places:
        """Where tables lie."""
        return Places(self.spark)

    @cached_property
    def version(self) -> int | None:
        """The version of what is remembered that counts; None where nothing is."""
        return newest_version(self.spark, self.state.table(FORGOTTEN))

    @cached_property
    def marks(self) -> DataFrame | None:
        """All that is forgotten: a row for each row of a table; None where nothing is."""
        if self.only is not None and not self.only:
            return None
        if self.version is None:
            return None
        marks = read_delta(self.spark, self.state.table(FORGOTTEN), self.version)
        return marks if self.only is None else marks.where(F.col(RUN).isin(*self.only))

    @cached_property
    def entries(self) -> list[Entries]:
        """Which requests name rows of which tables."""
        if self.marks is None:
            return []
        names = [RUN, LOCATION, TABLE_ID, IDENTITY]
        named = self.marks.select(*names).distinct().orderBy(*names).collect()
        return [
            Entries(request, Place(location, table_id), Identity.from_text(text))
            for request, location, table_id, text in named
        ]

    def of(self, place: Place) -> list[Entries]:
        """What is forgotten of a table."""
        return [entries for entries in self.entries if entries.place.is_one_with(place)]

    def requests(self, read: Iterable[tuple[str, int | str]]) -> list[str]:
        """The requests that name rows of tables, which are read at some versions."""
        entries = [own for table, version in read for own in self.named(table, version)]
        return sorted({own.request for own in entries})

    def named(self, table: str, version: int | str) -> list[Entries]:
        """What is forgotten of a table that is read at a version; of Parquet, that is a text."""
        if not self.entries:
            return []
        place = self.places.of(table, delta=isinstance(version, int))
        return [] if place is None else self.of(place)

    def left_out(self, source: Pinned) -> Pinned:
        """A source without the rows that are forgotten."""
        own, rows = self.named(source.table, source.version), source.df
        for text in sorted({entries.identity.text for entries in own}):
            marked = is_marked(Identity.from_text(text).hash(rows, source.table))
            rows = rows.join(in_halves(self.hashes(own, text)), marked, "left_anti")
        return replace(source, df=rows)

    def asked_by(self, source: Pinned) -> DataFrame | None:
        """Which of a source's rows are forgotten: ``__lb_key`` and ``request``; None if none is."""
        found = [
            source.df.select(
                source.key_hash.alias("__lb_key"),
                entries.identity.hash(source.df, source.table).alias(MARK),
            )
            .join(self.hashes([entries], entries.identity.text), MARK)
            .select("__lb_key", F.lit(entries.request).alias("request"))
            for entries in self.named(source.table, source.version)
        ]
        return reduce(DataFrame.union, found) if found else None

    def hashes(self, entries: Collection[Entries], text: str) -> DataFrame:
        """What some entries name by one identity: ``__lb_mark``, a hash once, and ``reason``."""
        assert self.marks is not None
        own = [e for e in entries if e.identity.text == text]
        places = {(e.place.location, e.place.table_id) for e in own}
        here = reduce(
            lambda a, b: a | b,
            [(F.col(LOCATION) == at) & (F.col(TABLE_ID) == id_) for at, id_ in sorted(places)],
        )
        of_requests = F.col(RUN).isin(*sorted({e.request for e in own}))
        marks = self.marks.where(of_requests & here & (F.col(IDENTITY) == text))
        return marks.groupBy(F.col(HASH).alias(MARK)).agg(F.min(REASON).alias(REASON))
