"""``tomek``: drops rows that are linked with a row of another group."""

from __future__ import annotations

from typing import Literal

from pyspark.sql import DataFrame

from lakebalance.core.exact_neighbours import nearest_others
from lakebalance.core.registry import Method
from lakebalance.prune.neighbourhoods import Dropped, Points, dropped_for_neighbours
from lakebalance.prune.options import CleaningOptions
from lakebalance.prune.survey import check_columns


class Tomek(CleaningOptions):
    """Drop rows of which a row of another group is the nearest neighbour, and the other way round.

    Such links lie across the border between groups, or are noise.
    """

    method: Literal["tomek"]


def linked(points: Points, options: Tomek) -> Dropped:
    """The rows that are asked about and are part of a link.

    Examples
    --------
    >>> import numpy as np
    >>> at, group = np.array([[0.0], [0.9], [1.0], [3.0]]), np.array([0, 0, 1, 1])
    >>> options = Tomek(method="tomek", by=["g"], features=["x"])
    >>> linked(Points(at, group, np.arange(4)), options).rows.tolist()
    [1, 2]
    """
    near, distances = nearest_others(points.at, points.asked, 1)
    other = points.group[near[:, 0]] != points.group[points.asked]
    rows, neighbours, far = points.asked[other], near[other, 0], distances[other, 0]
    back, _ = nearest_others(points.at, neighbours, 1)
    both = back[:, 0] == rows
    return Dropped(rows[both], neighbours[both], far[both])


def tomek(df: DataFrame, options: Tomek, place: str) -> DataFrame:
    """The matches of rows in Tomek links: two rows of different groups, each nearest to the other.

    Of each link, the rows of groups that may lose rows go. Nearest by Euclidean distance over the
    features among all rows for training, found exactly; ties go to the smaller key hash.

    Parameters
    ----------
    df : the rows for training, with ``__lb_key``.
    options : groups, features, scaling, which groups may lose rows.
    place : path in the recipe, for messages.

    Returns
    -------
    Frame ``dropped`` and ``neighbour`` (key hashes), ``rows``, ``left``, ``method``, ``distance``.

    Raises
    ------
    RecipeError : there is one group, a feature has no value, or there are too many rows for a task.

    References
    ----------
    Tomek, "Two Modifications of CNN", 1976.
    """
    return dropped_for_neighbours(df, options, place, linked, needed=2)


METHOD = Method(
    "tomek",
    Tomek,
    tomek,
    example="{method: tomek, by: [label], features: [x, y]}",
    check_columns=check_columns,
    fate="cleaned",
    training_only=True,
)
