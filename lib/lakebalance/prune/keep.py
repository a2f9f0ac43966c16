"""Which of the rows that say the same stays."""

from __future__ import annotations

from pydantic import Field
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakebalance.core.columns import column, require
from lakebalance.core.registry import MethodOptions
from lakebalance.core.sources import KEY


class FirstBy(MethodOptions):
    """Keep the row that comes first by a column; nulls come last."""

    first_by: str = Field(min_length=1, description="Column whose least value stays.")


def rank(df: DataFrame, keep: FirstBy | None, place: str) -> Column:
    """A struct that is least in the row that stays; its field ``__lb_key`` tells all rows apart.

    Parameters
    ----------
    df : rows with ``__lb_key``.
    keep : which row stays; the one of smallest key hash where left out.
    place : path of the method in the recipe, for messages.

    Raises
    ------
    RecipeError : there is no such column.
    """
    if keep is None:
        order = F.lit(0)
    else:
        require(df, [keep.first_by], f"{place}.keep.first_by")
        order = column(keep.first_by)
    return F.struct(order.isNull().alias("last"), order.alias("order"), F.col(KEY))
