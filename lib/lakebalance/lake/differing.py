"""Says what a table has that another lacks: how many rows, which, in which columns they differ."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from lakebalance.core.columns import column
from lakebalance.core.errors import RecipeError, nearest
from lakebalance.core.hashing import parts_of, salted
from lakebalance.core.progress import Progress
from lakebalance.core.row_hash import hashed
from lakebalance.lake.conditions import condition, measured, measures, with_few_values
from lakebalance.lake.facts import TableFacts
from lakebalance.lake.finding import HASH, short_of
from lakebalance.lake.inventory import load
from lakebalance.lake.pinned import Pinned
from lakebalance.lake.rebuild import columns_of, selected_by
from lakebalance.lake.schema_graph import Names, edges

# So many different rows are looked at closely, those with the least hashes.
MOST_LOOKED_AT = 10_000


@dataclass(frozen=True)
class Difference:
    """What a table has that another lacks; ``rows`` and ``missing`` count copies.

    Of ``looked_at`` different missing rows: ``conditions`` are what all of them meet, by column,
    where the whole table meets another one; ``differs`` counts, by column, those that the other
    table has but for this column; ``examples`` are some of them.
    """

    table: str
    other: str
    columns: dict[str, str]
    rows: int
    missing: int
    looked_at: int
    conditions: dict[str, str]
    differs: dict[str, int]
    examples: list[dict[str, Any]]

    def to_dict(self) -> dict[str, Any]:
        """The same as plain data."""
        return asdict(self)


def difference(
    spark: SparkSession,
    state: str,
    table: str,
    other: str,
    names: Names | None = None,
    examples: int = 5,
    progress: Progress = lambda stage: None,
) -> Difference:
    """Find the rows of a table that another lacks, at the versions that were scanned.

    Parameters
    ----------
    spark : a session, classic or Connect.
    state : the folder that ``scan`` was given.
    table, other : by path or by name; the other has all columns of the table.
    names : aliases and case of columns.
    examples : at most so many rows to show.
    progress : called with the name of each stage.

    Raises
    ------
    RecipeError : the inventory has not one of them, or the other lacks a column.
    TableError : there is no inventory, or a version is gone.

    Examples
    --------
    >>> difference(spark, "state", "/lake/copy", "/lake/base").missing  # doctest: +SKIP
    1
    """
    inventory = load(spark, state)
    facts = {t.table: t for t in inventory.tables}
    own, others = (facts[inventory.path_of(name, "diff")] for name in (table, other))
    pairs = _columns(own, others, names or Names())
    progress(f"comparing all rows of {own.table} and {others.table}")
    rows, source = (Pinned.of(t).read(spark) for t in (own, others))
    schema = rows.schema
    there = source.selectExpr(*selected_by(columns_of(schema, source.schema, pairs)))
    different, looked_at, missing = _missing(rows, there, schema)
    total = rows.count() if own.rows is None else own.rows
    if not missing:
        return Difference(own.table, others.table, dict(pairs), total, 0, 0, {}, {}, [])
    progress("looking at the rows that are missing")
    gone = hashed(rows, schema, "*").join(F.broadcast(different), HASH).dropDuplicates(HASH)
    return Difference(
        own.table,
        others.table,
        dict(pairs),
        total,
        missing,
        looked_at,
        _conditions(gone, rows, schema),
        _differs(gone, there, schema),
        _examples(gone, schema, examples),
    )


def _columns(own: TableFacts, other: TableFacts, names: Names) -> list[tuple[str, str]]:
    """Pairs of the table's and the other's name of a column."""
    if own.table == other.table:
        raise RecipeError(f"diff: {own.table} is the same table twice")
    for edge in edges([own, other], names):
        if edge.child == own.table:
            return list(edge.columns)
    there = {names.of(c.name) for c in other.columns}
    lacking = [c.name for c in own.columns if names.of(c.name) not in there]
    if lacking:
        raise RecipeError(
            f'diff: {other.table} has no column "{lacking[0]}"; '
            f"{nearest(lacking[0], (c.name for c in other.columns))} Name it with --alias"
        )
    raise RecipeError(
        f"diff: a column of {other.table} is of a type that does not hold the table's"
    )


def _missing(rows: DataFrame, there: DataFrame, schema: T.StructType) -> tuple[DataFrame, int, int]:
    """The hashes of different missing rows, at most so many, their number, and all that miss."""
    found = short_of(rows, there, schema).where("lb_short > 0")
    some = found.orderBy(*HASH).limit(MOST_LOOKED_AT + 1).toArrow()
    if some.num_rows <= MOST_LOOKED_AT:
        missing = sum(some["lb_short"].to_pylist())
    else:
        missing = int(found.agg(F.sum("lb_short")).collect()[0][0])
    looked_at = some.slice(0, MOST_LOOKED_AT).select(HASH)
    return rows.sparkSession.createDataFrame(looked_at), looked_at.num_rows, missing


def _conditions(gone: DataFrame, rows: DataFrame, schema: T.StructType) -> dict[str, str]:
    """What the missing rows meet, of each column of which not all rows do."""

    def said(df: DataFrame) -> dict[str, str]:
        parts = [part.alias(f"s{i}") for i, part in enumerate(measures(schema))]
        if not parts:
            return {}
        known = with_few_values(df, measured(schema, df.agg(*parts).collect()[0]))
        found = {name: condition(name, of) for name, of in known.items()}
        return {name: text for name, text in found.items() if text is not None}

    of_all = said(rows)
    return {name: text for name, text in said(gone).items() if of_all.get(name) != text}


def _differs(gone: DataFrame, there: DataFrame, schema: T.StructType) -> dict[str, int]:
    """By column, how many of the missing rows the other table has but for this column."""
    lacking = _but_for_each(gone, schema, HASH)
    found = (
        _but_for_each(there, schema, [])
        .join(F.broadcast(lacking), ["place", "rest"])
        .select("place", *HASH)
        .distinct()
        .groupBy("place")
        .count()
        .collect()
    )
    counts = {schema.names[row["place"]]: row["count"] for row in found}
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _but_for_each(df: DataFrame, schema: T.StructType, keep: Sequence[str]) -> DataFrame:
    """For each row and column, the column's ``place`` and a hash of the ``rest`` of the row."""
    hashes = [
        salted(f"differs|{i}", parts_of([(column(f.name), f.dataType)]))
        for i, f in enumerate(schema.fields)
    ]
    each = df.select(*keep, F.array(*hashes).alias("each"))
    whole = F.aggregate("each", F.lit(0).cast("bigint"), lambda a, b: a.bitwiseXOR(b))
    parts = each.select(*keep, whole.alias("whole"), F.posexplode("each").alias("place", "own"))
    # What is taken in twice is taken out.
    return parts.select(*keep, "place", F.col("whole").bitwiseXOR(F.col("own")).alias("rest"))


def _examples(gone: DataFrame, schema: T.StructType, most: int) -> list[dict[str, Any]]:
    values = F.struct(*[column(name) for name in schema.names])
    text = F.to_json(values, {"ignoreNullFields": "false"}).alias("lb_row")
    rows = gone.orderBy(*HASH).limit(most).select(text).collect()
    return [json.loads(row[0]) for row in rows]
