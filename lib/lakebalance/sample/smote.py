"""``smote``: groups grow by new rows between a row and one of its neighbours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from pyspark.sql import DataFrame

from lakebalance.sample.children import between_neighbours
from lakebalance.sample.options import NeighbourOptions
from lakebalance.sample.synthesis import State, synthesized, synthetic_method
from lakebalance.sample.thresholds import Share


class Smote(NeighbourOptions):
    """Keeps or cuts large groups; small ones grow by new rows between neighbours of theirs."""

    method: Literal["smote"]


def smote(
    frames: Sequence[DataFrame], shares: Mapping[int, Share], options: Smote, state: State
) -> DataFrame:
    """Exactly the target number of rows of every group, new ones where it has too few.

    A new row is ``x + u · (z - x)``: x a row of the group, z one of its ``k_neighbors`` nearest
    there (Euclidean), u a number of 0 to 1 that follows from seed and keys. Each row has
    ``(target - available) // available`` children, those of smallest hash one more.

    Parameters
    ----------
    frames : frames of one schema with ``__lb_group``, ``__lb_hash`` and ``__lb_key``.
    shares : per group: rows available, target rows, threshold.
    options : features, neighbours, scaling, what becomes of other columns.
    state : how long arrays are, as ``prepared`` found.

    Returns
    -------
    One frame without the first two columns, with the column of parents' keys.

    References
    ----------
    Chawla et al., "SMOTE: Synthetic Minority Over-sampling Technique", 2002.
    """
    return synthesized(frames, shares, options, state, between_neighbours)


METHOD = synthetic_method(
    "smote",
    Smote,
    smote,
    "{method: smote, features: [x, y], k_neighbors: 5}",
)
