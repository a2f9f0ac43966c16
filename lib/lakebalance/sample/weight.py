"""``weight``: keeps every row once and adds its weight, target / available of its group."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import pandas as pd
from pydantic import Field
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakebalance.core.errors import RecipeError
from lakebalance.core.registry import Method, MethodOptions
from lakebalance.sample.thresholds import GROUP, HASH


class Weight(MethodOptions):
    """Keep every row and add a weight column instead of sampling."""

    method: Literal["weight"]
    column: str = Field("weight", min_length=1, description="Name of the new column.")


def weight(
    df: DataFrame, wanted: Mapping[int, tuple[int, int]], options: Weight
) -> DataFrame:
    """Every row of every group that has a target, with weight = target / available.

    Parameters
    ----------
    df : frame with ``__lb_group`` and ``__lb_hash``.
    wanted : per group (rows available, target rows).
    options : the name of the weight column.

    Returns
    -------
    The frame without the two columns and with a double column of weights.

    Raises
    ------
    RecipeError : the column exists already.
    """
    if options.column in df.columns:
        raise RecipeError(
            f'sample.column: the sources have a column "{options.column}" already; '
            "write another name"
        )
    table = df.sparkSession.createDataFrame(
        pd.DataFrame(
            [(g, target / n) for g, (n, target) in wanted.items() if n and target],
            columns=[GROUP, "__lb_weight"],
        ),
        f"{GROUP} bigint, __lb_weight double",
    )
    joined = df.join(F.broadcast(table), GROUP)
    return joined.withColumn(options.column, F.col("__lb_weight")).drop(GROUP, HASH, "__lb_weight")


METHOD = Method("weight", Weight, weight)
