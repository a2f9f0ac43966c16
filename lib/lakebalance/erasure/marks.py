"""Marks on rows of tables: hashes by which they are found, wherever the table is read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce

from pyspark.sql import Column, DataFrame
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
    is_marked,
)

FOUND, SEEN = "__lb_found", "__lb_seen"
# A hash of each row, and those that are looked for, in ``__lb_mark``, each once.
Sought = tuple[Column, DataFrame]


@dataclass(frozen=True)
class Marks:
    """Rows of one table that are to be forgotten: ``hash`` by one identity, and ``reason``."""

    place: Place
    identity: Identity
    rows: DataFrame


def as_entries(marks: Sequence[Marks]) -> DataFrame:
    """Marks as a state remembers them, each once, with the first of its reasons."""
    frames = [
        own.rows.select(
            F.lit(own.place.location).alias(LOCATION),
            F.lit(own.place.table_id).alias(TABLE_ID),
            F.lit(own.identity.text).alias(IDENTITY),
            HASH,
            REASON,
        )
        for own in marks
    ]
    united = reduce(DataFrame.union, frames)
    return united.groupBy(LOCATION, TABLE_ID, IDENTITY, HASH).agg(F.min(REASON).alias(REASON))


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


def sought(rows: DataFrame, marks: Sequence[Marks], table: str) -> list[Sought]:
    """What is looked for in the rows of a table, by each identity."""
    return [(identity.hash(rows, table), once) for identity, once in hashes(marks)]


def count_found(rows: DataFrame, by: Sequence[Sought]) -> tuple[int, int]:
    """How many rows there are, and how many of them have one of the hashes."""
    found = rows.withColumn(FOUND, F.lit(False))
    for value, gone in by:
        seen = in_halves(gone.withColumn(SEEN, F.lit(True)), SEEN)
        found = found.join(seen, is_marked(value), "left")
        found = found.withColumn(FOUND, F.col(FOUND) | F.coalesce(SEEN, F.lit(False)))
        found = found.drop(*HALVES, SEEN)
    row = found.agg(F.count(F.lit(1)), F.count_if(FOUND)).collect()[0]
    return row[0], row[1]


def erase(table: Table, by: Sequence[Sought]) -> None:
    """Delete the rows of a Delta table that have one of the hashes: a commit for each of ``by``."""
    for value, gone in by:
        in_halves(gone).mergeInto(table.sql, is_marked(value)).whenMatched().delete().merge()
