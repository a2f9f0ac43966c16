"""``weight``: keeps every row once and adds its weight, target / available of its group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import Field
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakebalance.core.columns import require_free
from lakebalance.core.registry import Method, MethodOptions
from lakebalance.core.small_tables import small_table
from lakebalance.core.sources import unite
from lakebalance.sample.thresholds import GROUP, HASH, Share


class Weight(MethodOptions):
    """Keep every row and add a weight column instead of sampling."""

    method: Literal["weight"]
    column: str = Field("weight", min_length=1, description="Name of the new column.")


def weight(frames: Sequence[DataFrame], shares: Mapping[int, Share], options: Weight) -> DataFrame:
    """Every row of every group that has a target, with weight = target / available.

    With a budget in another unit than rows, both are of that unit, so that weights times units sum
    to what each group is to have.

    Parameters
    ----------
    frames : frames of one schema with ``__lb_group`` and ``__lb_hash``.
    shares : per group: available and target, in rows or in units; threshold (of no use here).
    options : the name of the weight column.

    Returns
    -------
    One frame without the two columns and with a double column of weights.
    """
    rows = unite(frames)
    weights = [(g, s.target / s.available) for g, s in shares.items() if s.available and s.target]
    table = small_table(rows.sparkSession, [GROUP, "__lb_weight"], weights)
    joined = rows.join(F.broadcast(table), GROUP)
    return joined.withColumn(options.column, F.col("__lb_weight")).drop(GROUP, HASH, "__lb_weight")


def check_columns(df: DataFrame, options: Weight, deciding: Sequence[str]) -> None:
    """Raise ``RecipeError`` where the column of weights exists already."""
    require_free(df, options.column, "sample.column")


def every_row(available: int, target: int) -> int:
    """Rows put out for a group: all of them, unless it has no target."""
    return available if target else 0


METHOD = Method(
    "weight",
    Weight,
    weight,
    rows_out=every_row,
    weighs=True,
    any_unit=True,
    check_columns=check_columns,
    example="{method: weight, column: weight}",
)
