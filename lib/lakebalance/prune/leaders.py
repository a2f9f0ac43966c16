"""Near-duplicates in giant buckets: each set is compared with those that lead the bucket.

All pairs of a bucket of a million would be too many. Its sets come in order of their hashes; one
that is near none of the leaders so far becomes a leader itself, and any other is linked to the
leader that it is nearest to. So each set is compared exactly with every leader before it: sets that
lead are no near-duplicates of each other, and no other set is without a link. What is not found out
is whether two sets that follow different leaders are near-duplicates of each other, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lakebalance.core.chance import Words
from lakebalance.core.errors import RecipeError

Ints = NDArray[np.int64]
FOUND = "a_hi bigint, a_lo bigint, b_hi bigint, b_lo bigint"
# Numbers of all leaders of a bucket, 16 bytes each, and as many again while they are merged.
MOST = 20_000_000
Key = tuple[int, int]


class Leaders:
    """The sets that lead a bucket, with an index of which number is in which of them.

    Examples
    --------
    >>> leaders = Leaders(0.5)
    >>> sets = ([1, 2, 3], [7, 8], [2, 3, 4], [8])
    >>> [leaders.nearest(np.array(numbers, np.uint64)) for numbers in sets]
    [None, None, 0, 1]
    """

    def __init__(self, threshold: float) -> None:
        self.threshold = threshold
        self.sizes = np.empty(0, np.int64)
        # Sorted runs of falling lengths, so that a new one costs little on average.
        self.runs: list[tuple[Words, Ints]] = []

    def nearest(self, values: Words) -> int | None:
        """The number of the leader that a set is linked to; None for one that becomes a leader."""
        shared = np.zeros(len(self.sizes), np.int64)
        for numbers, owners in self.runs:
            low, high = (np.searchsorted(numbers, values, side) for side in ("left", "right"))
            count = high - low
            at = np.repeat(high - np.cumsum(count), count) + np.arange(count.sum())
            shared += np.bincount(owners[at], minlength=len(shared))
        if len(shared):
            similar = shared / (self.sizes + len(values) - shared)
            best = int(similar.argmax())
            if similar[best] >= self.threshold:
                return best
        self._lead(values)
        return None

    def _lead(self, values: Words) -> None:
        run = (values, np.full(len(values), len(self.sizes)))
        self.sizes = np.append(self.sizes, len(values))
        while self.runs and len(self.runs[-1][0]) <= len(run[0]):
            numbers, owners = map(np.concatenate, zip(self.runs.pop(), run, strict=True))
            order = np.argsort(numbers, kind="stable")
            run = (numbers[order], owners[order])
        self.runs.append(run)


def following(
    threshold: float, place: str, most: int = MOST
) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """The task that links the sets of giant buckets, which come in order, to their leaders.

    Parameters
    ----------
    threshold : least Jaccard similarity of near-duplicates.
    place : path in the recipe, for messages.
    most : numbers that the leaders of a bucket may have in all.

    Raises
    ------
    RecipeError : a bucket has too many sets that are unlike each other.
    """

    def follow(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        band, leaders, keys = None, Leaders(threshold), list[Key]()
        for batch in batches:
            links = []
            columns = [batch[name].to_pylist() for name in ("band", "hi", "lo", "numbers")]
            for at, hi, lo, numbers in zip(*columns, strict=True):
                if at != band:
                    band, leaders, keys = at, Leaders(threshold), []
                found = leaders.nearest(np.frombuffer(numbers, np.uint64))
                if found is not None:
                    links.append((*keys[found], hi, lo))
                    continue
                keys.append((hi, lo))
                if int(leaders.sizes.sum()) > most:
                    raise RecipeError(
                        f"{place}: {len(keys):,} texts that are unlike each other share a band; "
                        f"write more rows to a band: {place}.rows"
                    )
            arrays = [pa.array(column, pa.int64()) for column in zip(*links, strict=True)]
            if links:
                yield pa.RecordBatch.from_arrays(arrays, ["a_hi", "a_lo", "b_hi", "b_lo"])

    return follow
