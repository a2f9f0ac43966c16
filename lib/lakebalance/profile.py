"""Says how many rows each source and group has, before any gate or pruning."""

from __future__ import annotations

from typing import Any

from pyspark.sql import SparkSession

from lakebalance.core.counts import count_groups
from lakebalance.core.sources import pin, unite
from lakebalance.plan import json_value
from lakebalance.recipe.models import Recipe


def profile(recipe: Recipe, spark: SparkSession) -> dict[str, Any]:
    """Count rows per source and group in one job; reads the ``by`` columns, writes nothing.

    Parameters
    ----------
    recipe : its sources, their filters and the columns of its balance rule are used.
    spark : a session, classic or Connect; used as it is.

    Returns
    -------
    ``sources`` (name, version) and ``groups`` (source, group, rows), as ``profile --json``
    prints them.

    Raises
    ------
    TableError : a source is not there.
    RecipeError : a filter, key or ``by`` names a column that is not there.
    """
    pinned = pin(spark, recipe.sources)
    names = [source.name for source in recipe.sources]
    counts = count_groups(unite(pinned), recipe.allocate.by, names)
    return {
        "sources": [{"name": source.name, "version": source.version} for source in pinned],
        "groups": [
            {
                "source": count.source,
                "group": {name: json_value(value) for name, value in count.values.items()},
                "rows": count.rows,
            }
            for count in counts
        ],
    }
