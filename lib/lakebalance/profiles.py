"""Rows per source and group as they stand, before gates, pruning and allocation."""

from __future__ import annotations

from typing import Any

from pyspark.sql import SparkSession

from lakebalance.frames import Frames
from lakebalance.plans import json_group
from lakebalance.recipe.models import Recipe


def profile(recipe: Recipe, spark: SparkSession) -> dict[str, Any]:
    """Count the rows of every source and group in one job.

    Parameters
    ----------
    recipe : the sources, and the ``by`` columns of ``allocate.balance``.
    spark : a session, classic or Connect.

    Returns
    -------
    ``{"sources": [{"name", "table", "version", "rows"}], "groups": [{"source", "group", "rows"}]}``

    Raises
    ------
    LakebalanceError : a table or column is not there.
    """
    frames = Frames(recipe, spark)
    census = frames.census(frames.branches)
    rows = census.rows_of([source.name for source in recipe.sources])
    return {
        "sources": [
            {"name": s.name, "table": s.table, "version": s.version, "rows": rows[s.name]}
            for s in frames.pinned
        ],
        "groups": [
            {
                "source": g.source,
                "group": json_group(g.values),
                "rows": g.rows,
            }
            for g in census.groups
        ],
    }
