"""``repeat``: keeps rows by hash when there are too many, repeats them when there are too few."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pyspark.sql import DataFrame

from lakebalance.core.registry import Method, MethodOptions
from lakebalance.sample.thresholds import Share, keep


class Repeat(MethodOptions):
    """Keep or repeat rows, exactly as many as planned."""

    method: Literal["repeat"] = "repeat"


def repeat(df: DataFrame, shares: Mapping[int, Share], options: Repeat) -> DataFrame:
    """Exactly the target number of rows of every group.

    Every row is kept ``target // available`` times, those of smallest hash once more.

    Parameters
    ----------
    df : frame with ``__lb_group`` and ``__lb_hash``.
    shares : per group: rows available, target rows, threshold.
    options : none.

    Returns
    -------
    The frame without the two columns.
    """
    return keep(df, {group: share.threshold for group, share in shares.items()})


METHOD = Method("repeat", Repeat, repeat)
