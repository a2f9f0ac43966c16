"""``bootstrap``: draws rows with replacement, exactly as many as planned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from pyspark.sql import DataFrame

from lakebalance.core.registry import Method, MethodOptions
from lakebalance.sample.arrivals import decided, drawn, find_cuts, find_last_arrivals
from lakebalance.sample.thresholds import Share


class Bootstrap(MethodOptions):
    """Draw rows with replacement, exactly as many as planned."""

    method: Literal["bootstrap"]


def bootstrap(
    frames: Sequence[DataFrame], shares: Mapping[int, Share], options: Bootstrap
) -> DataFrame:
    """Exactly the target number of rows of every group, each drawn from all rows of the group.

    How often rows are there is multinomial, as in Efron's bootstrap, also where a group is to have
    as many rows as it has; another seed in the recipe makes another replicate. With a budget in
    another unit than rows, rows are drawn as long as they are within the group's part.

    Parameters
    ----------
    frames : frames of one schema with ``__lb_group`` and ``__lb_hash``.
    shares : per group: rows available, target rows, threshold.
    options : none.

    Returns
    -------
    One frame without the two columns.

    References
    ----------
    Efron, "Bootstrap Methods: Another Look at the Jackknife", Annals of Statistics 1979.
    """
    return drawn(frames, {group: share.threshold for group, share in shares.items()})


METHOD = Method(
    "bootstrap",
    Bootstrap,
    bootstrap,
    find_thresholds=find_last_arrivals,
    find_cuts=find_cuts,
    decided=decided,
    any_unit=True,
)
