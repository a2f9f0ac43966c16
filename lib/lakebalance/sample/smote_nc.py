"""``smote_nc``: ``smote`` for rows that have categorical columns beside numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from pyspark.sql import DataFrame

from lakebalance.sample.children import between_neighbours
from lakebalance.sample.options import CategoricalOptions, NeighbourOptions
from lakebalance.sample.synthesis import State, synthesized, synthetic_method
from lakebalance.sample.thresholds import Share


class SmoteNC(CategoricalOptions, NeighbourOptions):
    """Like smote, with categorical columns: they count in distances, and neighbours vote."""

    method: Literal["smote_nc"]


def smote_nc(
    frames: Sequence[DataFrame], shares: Mapping[int, Share], options: SmoteNC, state: State
) -> DataFrame:
    """Exactly the target number of rows of every group, new ones where it has too few.

    A differing category adds the median of the features' standard deviations in the group, squared,
    to the squared distance. A new row's category is the commonest among its first parent's
    neighbours; ties go to the least value, null counts as one.

    Parameters
    ----------
    frames : frames of one schema with ``__lb_group``, ``__lb_hash`` and ``__lb_key``.
    shares : per group: rows available, target rows, threshold.
    options : features, categorical columns, neighbours, scaling, other columns.
    state : how long arrays are, as ``prepared`` found.

    Returns
    -------
    One frame without the first two columns, with the column of parents' keys.

    References
    ----------
    Chawla et al., "SMOTE: Synthetic Minority Over-sampling Technique", 2002, section 6.1.
    """
    return synthesized(frames, shares, options, state, between_neighbours)


METHOD = synthetic_method(
    "smote_nc",
    SmoteNC,
    smote_nc,
    "{method: smote_nc, features: [x, y], categorical: [colour]}",
)
