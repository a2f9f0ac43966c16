"""Marks on rows of tables: hashes by which they are found, wherever the table is read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakebalance.core.identity import Identity
from lakebalance.core.sources import ROW_ID, Pinned
from lakebalance.core.tables import Table
from lakebalance.forgotten import (
    HALVES,
    HASH,
    IDENTITY,
    LOCATION,
    MARK,
    REASON,
    TABLE_ID,
    Place,
    in_halves,
)

FOUND = "__lb_found"


@dataclass(frozen=True)
class Marks:
    """Rows of one table that are to be forgotten: ``hash`` by one identity, and ``reason``."""

    place: Place
    identity: Identity
    rows: DataFrame

    @property
    def as_entries(self) -> DataFrame:
        """The marks as a state remembers them."""
        return self.rows.select(
            F.lit(self.place.location).alias(LOCATION),
            F.lit(self.place.table_id).alias(TABLE_ID),
            F.lit(self.identity.text).alias(IDENTITY),
            HASH,
            REASON,
        )


def own_identity(source: Pinned) -> Identity:
    """What tells a source's rows apart in its table: its key columns, else all columns."""
    names = source.key if source.key and source.key != [ROW_ID] else None
    return Identity.of(source.df, names or [field.name for field in source.columns])


def of_place(marks: Iterable[Marks], place: Place) -> list[Marks]:
    """The marks on rows of a table."""
    return [own for own in marks if own.place.is_one_with(place)]


def hashes(marks: Sequence[Marks]) -> list[tuple[Identity, DataFrame]]:
    """The marks of one table by identity: frames ``__lb_mark`` and ``reason``, a hash once."""
    found = []
    for text in sorted({own.identity.text for own in marks}):
        frames = [own.rows for own in marks if own.identity.text == text]
        united = reduce(DataFrame.unionByName, frames)
        once = united.groupBy(F.col(HASH).alias(MARK)).agg(F.min(REASON).alias(REASON))
        found.append((Identity.from_text(text), once))
    return found


def flagged(rows: DataFrame, marks: Sequence[Marks], table: str) -> DataFrame:
    """The rows of a table with whether they are marked, in ``__lb_found``."""
    found = rows.withColumn(FOUND, F.lit(False))
    for identity, once in hashes(marks):
        seen = in_halves(once.withColumn("__lb_seen", F.lit(True)), "__lb_seen")
        found = found.join(seen, identity.is_same(rows, table, *HALVES), "left")
        found = found.withColumn(FOUND, F.col(FOUND) | F.coalesce("__lb_seen", F.lit(False)))
        found = found.drop(*HALVES, "__lb_seen")
    return found


def count_found(rows: DataFrame, marks: Sequence[Marks], table: str) -> tuple[int, int]:
    """How many rows there are, and how many of them are marked."""
    row = flagged(rows, marks, table).agg(F.count(F.lit(1)), F.count_if(FOUND)).collect()[0]
    return row[0], row[1]


def erase(rows: DataFrame, marks: Sequence[Marks], table: Table) -> None:
    """Delete the marked rows of a Delta table: a commit for each identity.

    Parameters
    ----------
    rows : the table's newest version, for its columns.
    marks : which rows.
    table : the table.
    """
    for identity, once in hashes(marks):
        same = identity.is_same(rows, table.name, *HALVES)
        in_halves(once).mergeInto(table.sql, same).whenMatched().delete().merge()
