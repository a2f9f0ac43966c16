"""``random_noise``: groups grow by new rows around single ones (ROSE)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from pyspark.sql import DataFrame

from lakebalance.sample.children import around_parents
from lakebalance.sample.options import NoiseOptions
from lakebalance.sample.synthesis import State, synthesized, synthetic_method
from lakebalance.sample.thresholds import Share


class RandomNoise(NoiseOptions):
    """Keeps or cuts large groups; small ones grow by copies with normal noise in their features."""

    method: Literal["random_noise"]


def random_noise(
    frames: Sequence[DataFrame], shares: Mapping[int, Share], options: RandomNoise, state: State
) -> DataFrame:
    """Exactly the target number of rows of every group, noisy copies where it has too few.

    The noise of a feature has the width ``shrinkage · (4 / ((d + 2) n))^(1 / (d + 4)) · s``: d
    features, n rows in the group, s the feature's standard deviation there.

    Parameters
    ----------
    frames : frames of one schema with ``__lb_group``, ``__lb_hash`` and ``__lb_key``.
    shares : per group: rows available, target rows, threshold.
    options : features, shrinkage, bounds, what becomes of other columns.
    state : how long arrays are, as ``prepared`` found.

    Returns
    -------
    One frame without the first two columns, with the column of the parent's key.

    References
    ----------
    Menardi, Torelli, "Training and assessing classification rules with imbalanced data", 2014.
    """
    return synthesized(frames, shares, options, state, around_parents)


METHOD = synthetic_method(
    "random_noise",
    RandomNoise,
    random_noise,
    "{method: random_noise, features: [x, y], bounds: {x: [0, null]}}",
)
