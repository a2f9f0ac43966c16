"""``borderline_smote``: ``smote`` from rows at the border to other groups alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from pyspark.sql import DataFrame

from lakebalance.sample.borders import in_danger
from lakebalance.sample.children import between_neighbours
from lakebalance.sample.options import BorderOptions
from lakebalance.sample.synthesis import State, synthesized, synthetic_method
from lakebalance.sample.thresholds import Share


class BorderlineSmote(BorderOptions):
    """Like smote, but new rows have a first parent at the border to other groups."""

    method: Literal["borderline_smote"]


def borderline_smote(
    frames: Sequence[DataFrame], shares: Mapping[int, Share], options: BorderlineSmote, state: State
) -> DataFrame:
    """Exactly the target number of rows of every group, new ones where it has too few.

    Parents are the rows in danger: of their ``m_neighbors`` nearest in the source, half or more,
    but not all, are of other groups. They share the children of their group alike.

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
    Han, Wang, Mao, "Borderline-SMOTE", 2005 (borderline-1).
    """
    return synthesized(frames, shares, options, state, between_neighbours, in_danger)


METHOD = synthetic_method(
    "borderline_smote",
    BorderlineSmote,
    borderline_smote,
    "{method: borderline_smote, features: [x, y], m_neighbors: 10, k_neighbors: 5}",
    weighing=True,
)
