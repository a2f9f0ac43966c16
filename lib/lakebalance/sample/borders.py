"""Where rows of a group lie among all groups: what borderline SMOTE and ADASYN weigh by."""

from __future__ import annotations

import numpy as np

from lakebalance.core.neighbours import Ints
from lakebalance.core.probed_neighbours import nearest
from lakebalance.sample.children import Parents, measured
from lakebalance.sample.options import BorderOptions


def others_near(parents: Parents, group: Ints, options: BorderOptions) -> tuple[Ints, int]:
    """How many of each asked row's neighbours are of other groups, and of how many.

    Parameters
    ----------
    parents : all rows of a source; those with ``copies`` are asked about.
    group : the group of each row.
    options : neighbours, scaling, what nulls mean.
    """
    place = measured(parents, options)
    asked = np.flatnonzero(parents.copies > 0)
    m = min(options.m_neighbors, len(place) - 1)
    if not m:
        return np.zeros(len(asked), dtype=np.int64), 0
    near, _ = nearest(place, asked, m)
    return (group[near] != group[asked, None]).sum(axis=1).astype(np.int64), m


def in_danger(parents: Parents, group: Ints, options: BorderOptions) -> Ints:
    """1 for rows of whose neighbours half or more, but not all, are of other groups; else 0."""
    others, m = others_near(parents, group, options)
    return ((2 * others >= m) & (others < m)).astype(np.int64)


def by_others(parents: Parents, group: Ints, options: BorderOptions) -> Ints:
    """The number of neighbours of other groups."""
    return others_near(parents, group, options)[0]
