"""Which trained models have seen forgotten rows, by a table that the user keeps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pyspark.sql import SparkSession

from lakebalance.core.columns import require
from lakebalance.core.errors import TableError
from lakebalance.core.tables import Table, newest_version, read_delta
from lakebalance.erasure.marks import Marks, count_found, of_place, sought
from lakebalance.forgotten import place_of

COLUMNS = ("model", "table", "version")


def models_that_saw(
    spark: SparkSession, models: str, marks: Sequence[Marks]
) -> list[dict[str, Any]]:
    """The models that were trained on a version of a table which held forgotten rows.

    Parameters
    ----------
    spark : the session.
    models : a Delta table with columns ``model``, ``table`` (path or catalog name) and ``version``:
        a row for each table that a model was trained on.
    marks : on rows of tables.

    Returns
    -------
    ``model``, ``table``, ``version``, and ``rows``, how many forgotten ones that version holds;
    None where its files are gone, so that nobody can say.

    Raises
    ------
    TableError : there is no such table.
    RecipeError : it lacks a column.
    """
    table = Table(models)
    version = newest_version(spark, table)
    if version is None:
        raise TableError(f"--models {models} is no Delta table that can be read")
    rows = read_delta(spark, table, version)
    require(rows, COLUMNS, f"--models {models}")
    known = rows.select(*COLUMNS).distinct().orderBy(*COLUMNS).collect()
    counted: dict[tuple[str, int], int | None] = {}
    for row in known:
        key = (row["table"], row["version"])
        if key not in counted:
            counted[key] = _rows_in(spark, *key, marks)
    return [
        {**row.asDict(), "rows": rows_seen}
        for row in known
        if (rows_seen := counted[row["table"], row["version"]]) != 0
    ]


def _rows_in(spark: SparkSession, name: str, version: int, marks: Sequence[Marks]) -> int | None:
    try:
        own = of_place(marks, place_of(spark, name))
        if not own:
            return 0
        rows = read_delta(spark, Table(name), version)
        return count_found(rows, sought(rows, own, name))[1]
    except Exception:  # a missing file comes as a plain Java error in classic Spark
        return None
