"""Spherical k-means of directions, in one task, the same on every machine.

Directions are on a grid of whole numbers (see ``directions``): sums over members are exact in any
order, and which centroid is nearest does not hang on how a machine multiplies matrices.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lakebalance.core.directions import Singles, on_grid

Ints = NDArray[np.int64]
BLOCK = 8192


class Assigned(NamedTuple):
    """The nearest centroid of each direction, and the inner product with it, in the grid's units.

    The product is what a cosine is, times the square of the grid's scale: greater is nearer.
    """

    cluster: Ints
    product: Singles


def assign(directions: Singles, centroids: Singles) -> Assigned:
    """The nearest centroid of each direction; of equally near ones the first.

    Examples
    --------
    >>> found = assign(on_grid(np.array([[1.0, 0.1], [0.1, 1.0]])), on_grid(np.eye(2)))
    >>> found.cluster.tolist()
    [0, 1]
    """
    cluster = np.empty(len(directions), np.int64)
    product = np.empty(len(directions), np.float32)
    for start in range(0, len(directions), BLOCK):
        part = slice(start, start + BLOCK)
        near = directions[part] @ centroids.T
        cluster[part] = near.argmax(axis=1)
        product[part] = near[np.arange(len(near)), cluster[part]]
    return Assigned(cluster, product)


def kmeans(directions: Singles, k: int, max_iter: int = 10) -> Singles:
    """Centroids of directions by Lloyd's algorithm, from the first k of them on.

    Parameters
    ----------
    directions : at least k of them, on the grid, in an order that is as good as chance.
    k : how many centroids.
    max_iter : most rounds; it ends sooner where no direction changes its centroid.

    Returns
    -------
    k centroids, on the grid: the directions of their members' sums. One that has no member, or
    whose members cancel out, stays where it was.

    References
    ----------
    Dhillon, Modha, "Concept decompositions for large sparse text data using clustering", 2001.
    """
    centroids = directions[:k].copy()
    before = np.full(len(directions), -1)
    for _ in range(max_iter):
        cluster = assign(directions, centroids).cluster
        if (cluster == before).all():
            break
        before = cluster
        sums = _sums(directions, cluster, k)
        there = (sums != 0).any(axis=1)
        centroids[there] = on_grid(sums[there])
    return centroids


def _sums(directions: Singles, cluster: Ints, k: int) -> NDArray[np.float64]:
    """The sum of each cluster's members: of whole numbers, far below where doubles have gaps."""
    order = np.argsort(cluster, kind="stable")
    edges = np.searchsorted(cluster[order], np.arange(k + 1))
    sums = np.zeros((k, directions.shape[1]))
    for i in range(k):
        members = order[edges[i] : edges[i + 1]]
        if len(members):
            sums[i] = directions[members].sum(axis=0, dtype=np.float64)
    return sums
