"""Checks that keys which a recipe calls unique are."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import functions as F

from lakebalance.core.columns import column
from lakebalance.core.errors import TableError
from lakebalance.core.sources import KEY, ROW_ID, Pinned, branches, unite

EXAMPLES = 3


def check_unique(pinned: Sequence[Pinned]) -> None:
    """Raise where rows of a source share a key; one Spark job over the key columns.

    Parameters
    ----------
    pinned : the sources; those without a key, or with row ids, need no check.

    Raises
    ------
    TableError : with the number of such keys and three of them.
    """
    places = {s.name: i for i, s in enumerate(pinned) if s.key and s.key != [ROW_ID]}
    if not places:
        return
    hashes = unite(
        [
            branch.select(F.col(KEY).getField("hi").alias("hi"))
            for source in pinned
            if source.name in places
            for branch in branches([source])
        ]
    )
    # Nearly every key is alone: without this, Spark would first aggregate within each partition.
    # Half of the hash is enough to find whoever shares a key; who does not is told apart below.
    repeated = hashes.repartition(F.col("hi")).groupBy("hi").count().where("count > 1")
    if repeated.limit(1).count() == 0:
        return
    for place in places.values():
        if message := _not_unique(pinned[place], place):
            raise TableError(message)


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
