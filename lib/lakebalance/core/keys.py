"""Checks that keys which a recipe calls unique are."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakebalance.core.columns import column
from lakebalance.core.errors import TableError
from lakebalance.core.sources import KEY, ROW_ID, SOURCE, Pinned, unite

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
    keys = reduce(
        DataFrame.unionByName, [unite([pinned[i]]).select(SOURCE, KEY) for i in places.values()]
    )
    # Nearly every key is alone: without this, Spark would first aggregate within each partition.
    apart = keys.repartition(KEY)
    repeated = apart.groupBy(SOURCE, KEY).count().where("count > 1")
    found = {
        r[SOURCE]: r["keys"]
        for r in repeated.groupBy(SOURCE).agg(F.count(F.lit(1)).alias("keys")).collect()
    }
    for name, total in found.items():
        raise TableError(_not_unique(pinned[places[name]], places[name], total))


def _not_unique(source: Pinned, place: int, total: int) -> str:
    names = source.key or []
    keys = [column(name) for name in names]
    repeated = source.df.groupBy(*keys).count().where("count > 1")
    examples = repeated.orderBy(F.col("count").desc(), *keys).limit(EXAMPLES).collect()
    shown = "; ".join(
        "/".join(str(value) for value in row[:-1]) + f" ({row[-1]:,} rows)" for row in examples
    )
    return (
        f"sources.{place}.key: [{', '.join(names)}] is not unique in {source.table}: {total:,} "
        f"values stand in more than one row, such as {shown}; add a column, or leave out key"
    )
