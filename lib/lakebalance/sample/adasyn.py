"""``adasyn``: ``smote`` with more children where other groups are nearer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from pyspark.sql import DataFrame

from lakebalance.sample.borders import by_others
from lakebalance.sample.children import between_neighbours
from lakebalance.sample.options import BorderOptions
from lakebalance.sample.synthesis import State, synthesized, synthetic_method
from lakebalance.sample.thresholds import Share


class Adasyn(BorderOptions):
    """Like smote, but rows have more children the more of their neighbours are of other groups."""

    method: Literal["adasyn"]


def adasyn(
    frames: Sequence[DataFrame], shares: Mapping[int, Share], options: Adasyn, state: State
) -> DataFrame:
    """Exactly the target number of rows of every group, new ones where it has too few.

    A row has children in proportion to how many of its ``m_neighbors`` nearest in the source are of
    other groups; their number in all is exact.

    Parameters
    ----------
    frames : frames of one schema with ``__lb_group``, ``__lb_hash`` and ``__lb_key``.
    shares : per group: rows available, target rows, threshold.
    options : features, neighbours in the group and in the source, scaling, other columns.
    state : how long arrays are, as ``prepared`` found.

    Returns
    -------
    One frame without the first two columns, with the column of parents' keys.

    References
    ----------
    He et al., "ADASYN: Adaptive Synthetic Sampling Approach for Imbalanced Learning", 2008.
    """
    return synthesized(frames, shares, options, state, between_neighbours, by_others)


METHOD = synthetic_method(
    "adasyn",
    Adasyn,
    adasyn,
    "{method: adasyn, features: [x, y], m_neighbors: 10, k_neighbors: 5}",
    weighing=True,
)
