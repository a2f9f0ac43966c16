"""Where rows stand in an ordered training run: their positions, as its tables have them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakebalance.core.columns import column
from lakebalance.core.hashing import hash128
from lakebalance.core.sources import KEY, ROW_ID, SOURCE
from lakebalance.core.tables import Table, read_delta
from lakebalance.recipe.models import Recipe
from lakebalance.recipe.outputs import BALANCED, Output

Hash = tuple[int, int]
CONTENT, PLACES = "__lb_content", "__lb_places"
MOST_POSITIONS = 100


def contents_of(rows: DataFrame, recipe: Recipe) -> DataFrame:
    """``__lb_key`` of the sources' rows, and a hash of all that each is published with."""
    given, names = _as_published(rows, recipe)
    return given.select(KEY, hash128(given, names, "position").alias(CONTENT))


def _as_published(rows: DataFrame, recipe: Recipe) -> tuple[DataFrame, list[str]]:
    """The sources' rows, and the columns that are published, the source's name where it is."""
    name = recipe.publish.source_column
    if name is not None:
        rows = rows.withColumnRenamed(SOURCE, name)
    return rows, [name for name in rows.columns if name not in (KEY, ROW_ID, SOURCE)]


def positions_of(
    spark: SparkSession,
    recipe: Recipe,
    outputs: Collection[Output],
    entry: Mapping[str, Any],
    where: str,
    like: DataFrame,
    wanted: Collection[Hash],
) -> dict[tuple[str, Hash], list[int]] | None:
    """The first positions of rows in the tables that a run wrote, by output and content.

    Parameters
    ----------
    spark, recipe, outputs : the session, the recipe, and its ordered outputs.
    entry : the run in the ledger.
    where : the condition that picked the rows, so that files without any are not read.
    like : the sources' rows, for their columns.
    wanted : the hashes of ``contents_of`` the picked rows.

    Returns
    -------
    At most 100 positions, rising, of each; None where the version is not there any more. Rows that
    are equal in all that is published have the positions of each other.
    """
    order = recipe.order
    assert order is not None
    others = {o["name"]: o["version"] for o in entry["result"].get("outputs", [])}
    versions = {BALANCED: entry["version"], **others}
    found: dict[tuple[str, Hash], list[int]] = {}
    halves = sorted({hi for hi, _ in wanted})
    _, names = _as_published(like, recipe)
    try:
        for output in outputs:
            rows = read_delta(spark, Table(output.table), versions[output.name]).where(where)
            if recipe.one_table:
                assert output.phase is not None
                rows = rows.where(column(order.phase) == output.phase + 1)
            hashed = rows.select(
                hash128(rows, names, "position").alias(CONTENT),
                column(order.position).alias(PLACES),
            )
            some = hashed.where(F.col(f"{CONTENT}.hi").isin(halves)).groupBy(CONTENT)
            first = F.slice(F.sort_array(F.collect_list(PLACES)), 1, MOST_POSITIONS)
            for line in some.agg(first.alias(PLACES)).collect():
                content = (line[CONTENT]["hi"], line[CONTENT]["lo"])
                found[output.name, content] = line[PLACES]
    except PySparkException:
        return None
    return found
