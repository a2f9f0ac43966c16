"""Which pool of quality buckets is best for which budget, and at which budgets that switches.

Between the ends of the pools' epochs, the logarithm of each pool's loss is linear in the logarithm
of the budget. Lines cross once, so a pool that is best at both ends of such a stretch is best in
all of it, and where the ends differ, halving finds the first budget of the next pool.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from lakebalance.allocate.pools import SPENT, Bucket, Ints, Pool, best

# Epochs of all rows that the curve covers; fewer where there would be more losses to compute.
EPOCHS = (100, 50, 20, 10, 5, 2, 1)
MOST = 10**7
AT_A_TIME = 2**20


@dataclass(frozen=True)
class Stretch:
    """Budgets, both included, for which one pool is best; ``pool`` is its place."""

    first: int
    last: int
    pool: int


def reach(buckets: Sequence[Bucket]) -> int:
    """The epochs of all rows up to which the curve can be computed in seconds.

    Examples
    --------
    >>> reach([Bucket("top", 1000, -0.2, 2.0, 1000), Bucket("rest", 9000, -0.1, 2.0, 9000)])
    100
    """
    sizes = list(itertools.accumulate(bucket.rows for bucket in buckets))
    longest = max(bucket.half_life / bucket.measured_rows for bucket in buckets)

    def losses(epochs: int) -> float:
        ends = sum(min(epochs * sizes[-1] / rows, SPENT * longest * rows) for rows in sizes)
        return ends * len(sizes)

    return next((epochs for epochs in EPOCHS if losses(epochs) <= MOST), EPOCHS[-1])


def stretches(pools: Sequence[Pool], first: int, last: int) -> list[Stretch]:
    """The best pool for every budget of a range, exactly.

    Parameters
    ----------
    pools : at least one pool, each made for budgets up to ``last``.
    first, last : the range of budgets in samples seen, from 1.

    Examples
    --------
    >>> from lakebalance.allocate.pools import Law, pools_of
    >>> buckets = [Bucket("top", 10**6, -0.2, 2, 10**6), Bucket("rest", 10**6, -0.1, 4, 10**6)]
    >>> stretches(pools_of(Law(0.5, 0.05, 1e5), buckets, 10**7), 10**6, 10**7)
    [Stretch(first=1000000, last=7540583, pool=0), Stretch(first=7540584, last=10000000, pool=1)]
    """
    starts = [(first, int(best(pools, np.array([first]))[0])), *_switches(pools, first, last)]
    ends = [budget - 1 for budget, _ in starts[1:]] + [last]
    return [Stretch(a, b, pool) for (a, pool), b in zip(starts, ends, strict=True)]


def _switches(pools: Sequence[Pool], first: int, last: int) -> Iterator[tuple[int, int]]:
    """Budgets from which on another pool is best, and that pool."""
    ends = _ends(pools, first, last)
    size = max(AT_A_TIME // len(pools), 1)
    parts = [best(pools, ends[i : i + size]) for i in range(0, len(ends), size)]
    winners = np.concatenate(parts)
    for i in np.flatnonzero(winners[1:] != winners[:-1]).tolist():
        low, high = int(ends[i]), int(ends[i + 1])
        yield from _halved(pools, low, high, int(winners[i]), int(winners[i + 1]))


def _ends(pools: Sequence[Pool], first: int, last: int) -> Ints:
    """The range's ends, and where an epoch of a pool ends between them."""
    ends = [np.array([first, last])]
    for pool in pools:
        most = min(last // pool.rows, len(pool.utilities) - 1)
        ends.append(np.arange(first // pool.rows, most + 1) * pool.rows)
    every = np.unique(np.concatenate(ends))
    return np.asarray(every[(every >= first) & (every <= last)])


def _halved(
    pools: Sequence[Pool], low: int, high: int, at_low: int, at_high: int
) -> Iterator[tuple[int, int]]:
    if at_low == at_high:
        return
    if high - low == 1:
        yield high, at_high
        return
    middle = (low + high) // 2
    at_middle = int(best(pools, np.array([middle]))[0])
    yield from _halved(pools, low, middle, at_low, at_middle)
    yield from _halved(pools, middle, high, at_middle, at_high)
