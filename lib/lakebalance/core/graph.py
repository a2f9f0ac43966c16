"""Connected components in one task, in numpy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


def components(a: Ints, b: Ints, nodes: int) -> Ints:
    """The least node of each node's component.

    In each round every root that has a lesser one beside it is hung under the least of these, so
    that at most half of those with neighbours are left: rounds are logarithmic, for chains too.

    Parameters
    ----------
    a, b : the ends of each edge, from 0 to below ``nodes``.
    nodes : how many nodes there are.

    Examples
    --------
    >>> components(np.array([4, 3, 0]), np.array([3, 2, 1]), 6).tolist()
    [0, 0, 2, 2, 2, 5]
    """
    root = np.arange(nodes)
    while True:
        a, b = root[a], root[b]
        apart = a != b
        if not apart.any():
            return root
        a, b = np.minimum(a, b)[apart], np.maximum(a, b)[apart]
        np.minimum.at(root, b, a)
        while True:
            above = root[root]
            if np.array_equal(above, root):
                break
            root = above
