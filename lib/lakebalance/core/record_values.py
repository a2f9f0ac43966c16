"""The columns of compared records in a task, as arrays that pairs of rows are looked up in."""

from __future__ import annotations

from functools import cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lakebalance.core.shingles import Sets, jaccard

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


class Values:
    """Some records' columns, each read as what it is compared as, once.

    Parameters
    ----------
    table : a column for each value: texts, doubles, hashes (bigint) or sets (array of bigint,
        rising). A null is a value that is missing.
    """

    def __init__(self, table: pa.Table) -> None:
        self.table = table
        self.there = cache(self._there)
        self.texts = cache(self._texts)
        self.numbers = cache(self._numbers)
        self.hashes = cache(self._hashes)
        self.sets = cache(self._sets)

    def _column(self, name: str) -> pa.Array:
        return self.table[name].combine_chunks()

    def _there(self, name: str) -> Flags:
        """Whether each record has a value."""
        flags: Flags = pc.is_valid(self._column(name)).to_numpy(zero_copy_only=False)
        return flags

    def _texts(self, name: str) -> NDArray[np.object_]:
        """Texts; empty where there is none."""
        texts = np.empty(len(self.table), object)
        texts[:] = pc.fill_null(self._column(name), "").to_pylist()
        return texts

    def _numbers(self, name: str) -> Floats:
        """Doubles; NaN where there is none."""
        found: Floats = pc.fill_null(self._column(name), float("nan")).to_numpy()
        return found

    def _hashes(self, name: str) -> Ints:
        """Hashes; 0 where there is none."""
        found: Ints = pc.fill_null(self._column(name), 0).to_numpy()
        return found

    def _sets(self, name: str) -> Sets:
        """Sets; empty where there is none."""
        lists = self._column(name)
        starts = np.zeros(len(lists) + 1, np.int64)
        sizes = pc.fill_null(pc.list_value_length(lists), 0)
        np.cumsum(sizes.to_numpy(zero_copy_only=False), out=starts[1:])
        return Sets(lists.flatten().to_numpy().astype(np.uint64), starts)


def taken(sets: Sets, which: Ints) -> Sets:
    """Some of the sets, in this order, any of them several times.

    Examples
    --------
    >>> sets = Sets(np.array([3, 5, 9], np.uint64), np.array([0, 1, 1, 3]))
    >>> taken(sets, np.array([2, 1, 2])).values.tolist()
    [5, 9, 5, 9]
    """
    sizes = sets.sizes[which]
    starts = np.zeros(len(which) + 1, np.int64)
    np.cumsum(sizes, out=starts[1:])
    first = np.repeat(sets.starts[which] - starts[:-1], sizes)
    return Sets(sets.values[first + np.arange(starts[-1])], starts)


def jaccard_of(sets: Sets, a: Ints, b: Ints) -> Floats:
    """The Jaccard similarity of the sets at the places ``a`` with those at ``b``."""
    return jaccard(taken(sets, a), taken(sets, b))
