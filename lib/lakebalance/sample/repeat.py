"""``repeat``: keeps rows by hash when there are too many, repeats them when there are too few."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pyspark.sql import DataFrame

from lakebalance.core.registry import Method, MethodOptions
from lakebalance.sample.thresholds import GROUP, HASH, find_thresholds, keep


class Repeat(MethodOptions):
    """Keep or repeat rows, exactly as many as planned."""

    method: Literal["repeat"] = "repeat"


def repeat(
    df: DataFrame, wanted: Mapping[int, tuple[int, int]], options: Repeat
) -> DataFrame:
    """Exactly the target number of rows of every group.

    Every row is kept ``target // available`` times, those of smallest hash once more.

    Parameters
    ----------
    df : frame with ``__lb_group`` and ``__lb_hash``.
    wanted : per group (rows available, target rows).
    options : none.

    Returns
    -------
    The frame without the two columns.
    """
    return keep(df, find_thresholds(df.select(GROUP, HASH), wanted))


METHOD = Method("repeat", Repeat, repeat)
