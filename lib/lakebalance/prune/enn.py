"""``enn``: drops rows that their nearest neighbours do not agree with."""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import Field
from pyspark.sql import DataFrame

from lakebalance.core.exact_neighbours import nearest_others
from lakebalance.core.neighbours import Ints
from lakebalance.core.registry import Method
from lakebalance.prune.neighbourhoods import Dropped, Points, dropped_for_neighbours
from lakebalance.prune.options import CleaningOptions
from lakebalance.prune.survey import check_columns


class EditedNearestNeighbours(CleaningOptions):
    """Drop rows whose nearest neighbours are of other groups."""

    method: Literal["enn"]
    n_neighbors: int = Field(3, ge=1, le=100, description="Neighbours that a row is judged by.")
    kind_sel: Literal["all", "mode"] = Field(
        "all",
        description="A row stays where all its neighbours are of its group, or where no other "
        "group has more of them; of groups with as many, the first in order counts.",
    )


def contradicted(points: Points, options: EditedNearestNeighbours) -> Dropped:
    """The rows that are asked about and have neighbours of other groups, each with the nearest.

    Examples
    --------
    >>> at, group = np.array([[0.0], [1.0], [2.0], [2.1], [9.0]]), np.array([0, 0, 0, 1, 1])
    >>> options = EditedNearestNeighbours(
    ...     method="enn", by=["g"], features=["x"], n_neighbors=2, kind_sel="mode"
    ... )
    >>> found = contradicted(Points(at, group, np.arange(5)), options)
    >>> found.rows.tolist(), found.neighbours.tolist()
    ([3, 4], [2, 2])
    """
    near, distances = nearest_others(points.at, points.asked, options.n_neighbors)
    own, of_near = points.group[points.asked], points.group[near]
    if options.kind_sel == "mode":
        most = _mode(of_near)
        against = of_near == np.where(most != own, most, -1)[:, None]
    else:
        against = of_near != own[:, None]
    bad = np.flatnonzero(against.any(axis=1))
    first = against[bad].argmax(axis=1)
    return Dropped(points.asked[bad], near[bad, first], distances[bad, first])


def _mode(groups: Ints) -> Ints:
    """The group that most of a row's neighbours are of; of several, the first in order."""
    votes = (groups[:, :, None] == groups[:, None, :]).sum(axis=2)
    best = np.lexsort((groups, -votes), axis=-1)[:, 0]
    most: Ints = groups[np.arange(len(groups)), best]
    return most


def enn(df: DataFrame, options: EditedNearestNeighbours, place: str) -> DataFrame:
    """The matches of rows whose nearest neighbours disagree: with the nearest that does.

    Nearest by Euclidean distance over the features among all rows for training, found exactly;
    ties go to the smaller key hash.

    Parameters
    ----------
    df : the rows for training, with ``__lb_key``.
    options : groups, features, scaling, neighbours, which groups may lose rows.
    place : path in the recipe, for messages.

    Returns
    -------
    Frame ``dropped`` and ``neighbour`` (key hashes), ``rows``, ``left``, ``method``, ``distance``.

    Raises
    ------
    RecipeError : there is one group, there are no more rows than neighbours, a feature has no
        value, or there are too many rows for a task.

    References
    ----------
    Wilson, "Asymptotic Properties of Nearest Neighbor Rules Using Edited Data", 1972.
    """
    return dropped_for_neighbours(df, options, place, contradicted, options.n_neighbors + 1)


METHOD = Method(
    "enn",
    EditedNearestNeighbours,
    enn,
    example="{method: enn, by: [label], features: [x, y], n_neighbors: 3}",
    check_columns=check_columns,
    fate="cleaned",
    training_only=True,
)
