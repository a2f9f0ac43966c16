"""Finds the files of an ordered table in the order in which a trainer is to read them."""

from __future__ import annotations

from urllib.parse import unquote

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from lakebalance.core.columns import column, require
from lakebalance.core.errors import TableError
from lakebalance.core.tables import Table, newest_version, read_delta


def files_in_order(
    spark: SparkSession, table: str, position: str = "lb_position", version: int | None = None
) -> list[str]:
    """The Parquet files of a table that a recipe with ``order`` made, by their positions.

    Reads the column of positions alone. Rows within a file are sorted by it.

    Parameters
    ----------
    spark : a session, classic or Connect.
    table : path or catalog name.
    position : the column of positions.
    version : Delta version; the newest if left out.

    Returns
    -------
    Paths of local files, and URIs of others. A column that partitions the table (``lb_phase``) is
    in the path, not in the file.

    Raises
    ------
    TableError : there is no such table, or files overlap, as after clustering by other columns.
    RecipeError : the table has no such column.

    Examples
    --------
    >>> files_in_order(spark, "lake/flights_balanced")  # doctest: +SKIP
    ['/lake/flights_balanced/lb_phase=1/part-00000-….snappy.parquet']
    """
    target = Table(table)
    version = newest_version(spark, target) if version is None else version
    if version is None:
        raise TableError(f"{target.name}: there is no Delta table")
    rows = read_delta(spark, target, version)
    require(rows, [position], "position")
    place = column(position)
    spans = (
        rows.groupBy(F.col("_metadata.file_path").alias("file"))
        .agg(F.min(place).alias("first"), F.max(place).alias("last"), F.count(place).alias("rows"))
        .orderBy("first")
        .toArrow()
        .to_pylist()
    )
    if any(span["last"] - span["first"] + 1 != span["rows"] for span in spans):
        raise TableError(
            f"{target.name}: its files overlap in {position}, as after OPTIMIZE with ZORDER; read "
            "an earlier version, or sort by the column"
        )
    return [_local(span["file"]) for span in spans]


def _local(uri: str) -> str:
    """The path of a local file's URI; other URIs as they are."""
    return unquote(uri.removeprefix("file://")) if uri.startswith("file:///") else uri
