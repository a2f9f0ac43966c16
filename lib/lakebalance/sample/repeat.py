"""``repeat``: keeps rows by hash when there are too many, repeats them when there are too few."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from pyspark.sql import DataFrame

from lakebalance.core.registry import Method, MethodOptions
from lakebalance.sample.thresholds import Share, keep


class Repeat(MethodOptions):
    """Keep or repeat rows, exactly as many as planned."""

    method: Literal["repeat"] = "repeat"


def repeat(frames: Sequence[DataFrame], shares: Mapping[int, Share], options: Repeat) -> DataFrame:
    """Exactly the target number of rows of every group.

    Every row is kept ``target // available`` times, those of smallest hash once more.

    Parameters
    ----------
    frames : frames of one schema with ``__lb_group`` and ``__lb_hash``.
    shares : per group: rows available, target rows, threshold.
    options : none.

    Returns
    -------
    One frame without the two columns.
    """
    return keep(frames, {group: share.threshold for group, share in shares.items()})


METHOD = Method("repeat", Repeat, repeat, any_unit=True)
