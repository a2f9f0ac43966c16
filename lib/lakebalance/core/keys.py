"""Checks that keys which a recipe calls unique are."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import Column
from pyspark.sql import functions as F

from lakebalance.core.columns import column
from lakebalance.core.counts import Census
from lakebalance.core.errors import TableError
from lakebalance.core.hashing import INTEGRALS
from lakebalance.core.sources import ROW_ID, Pinned, unite

EXAMPLES = 3
BITS = 64
"""How many neighbouring numbers are marked in one number."""
ROWS_PER_MASK = 4
"""From so many on, marks take less room in a shuffle than hashes do, and less time."""


def number_key(pinned: Sequence[Pinned]) -> Column | None:
    """The one integral column that is the key of every source; None where there is none."""
    keys = {tuple(source.key or ()) for source in pinned}
    if len(keys) != 1 or len(names := next(iter(keys))) != 1:
        return None
    kinds = [field.dataType for s in pinned for field in s.columns if field.name == names[0]]
    if len(kinds) < len(pinned) or not all(isinstance(kind, INTEGRALS) for kind in kinds):
        return None
    return column(names[0])


def check_unique(pinned: Sequence[Pinned], census: Census) -> None:
    """Raise where rows of a source share a key; one Spark job over the key columns.

    Numbers that lie close together are marked in bits, so that little is shuffled; other keys are
    shuffled by hash.

    Parameters
    ----------
    pinned : the sources; those without a key, or with row ids, need no check.
    census : their rows, with the span of ``number_key`` where they have one.

    Raises
    ------
    TableError : with the number of such keys and three of them.
    """
    places = {s.name: i for i, s in enumerate(pinned) if s.key and s.key != [ROW_ID]}
    if not places:
        return
    number = number_key(pinned)
    if number is not None and _dense(census):
        unique = _unique_numbers(pinned, number)
    else:
        unique = _unique_hashes([pinned[i] for i in places.values()])
    if unique:
        return
    for place in places.values():
        if message := _not_unique(pinned[place], place):
            raise TableError(message)


def _dense(census: Census) -> bool:
    masks = sum((high - low) // BITS + 2 for low, high in census.spans.values())
    rows = sum(g.rows for g in census.groups)
    return bool(census.spans) and masks <= rows / ROWS_PER_MASK


def _unique_numbers(pinned: Sequence[Pinned], number: Column) -> bool:
    wide = number.cast("bigint")
    bit = F.call_function(
        "shiftleft", F.lit(1).cast("bigint"), wide.bitwiseAND(BITS - 1).cast("int")
    )
    # Spark's own bitmaps are sorted to be aggregated; these are hashed, in half of the time.
    marked = F.coalesce(F.bit_count(F.bit_or(bit)), F.lit(0))
    counted = unite(
        [
            s.df.groupBy(F.shiftright(wide, 6))
            .agg(marked.alias("marked"), F.count(F.lit(1)).alias("rows"))
            .select("marked", "rows")
            for s in pinned
        ]
    )
    return counted.where("marked < rows").count() == 0


def _unique_hashes(pinned: Sequence[Pinned]) -> bool:
    """Whether all keys' half hashes differ: whoever shares one is told apart by its key itself."""
    halves = [s.df.select(s.key_hash.getField("hi").alias("hi")) for s in pinned]
    # Nearly every key is alone: without this, Spark would first aggregate within each partition.
    hashes = unite(halves).repartition(F.col("hi"))
    return hashes.groupBy("hi").count().where("count > 1").count() == 0


def _not_unique(source: Pinned, place: int) -> str | None:
    names = source.key or []
    keys = [column(name) for name in names]
    repeated = source.df.groupBy(*keys).count().where("count > 1")
    examples = repeated.orderBy(F.col("count").desc(), *keys).limit(EXAMPLES).collect()
    if not examples:
        return None
    total = repeated.count()
    shown = "; ".join(
        "/".join(str(value) for value in row[:-1]) + f" ({row[-1]:,} rows)" for row in examples
    )
    return (
        f"sources.{place}.key: [{', '.join(names)}] is not unique in {source.table}: {total:,} "
        f"values stand in more than one row, such as {shown}; add a column, or leave out key"
    )
