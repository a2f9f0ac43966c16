"""Which tables to keep where there are too many for exact methods, and how far that may be off."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence

import numpy as np

Sources = Sequence[Mapping[int, int]]
STEPS = 200
PATIENCE = 15


def greedy(keep: Sequence[int], sources: Sources, pinned: frozenset[int]) -> list[int | None]:
    """Drop, as long as that saves, the table whose drop saves most.

    What was served by it goes to its next kept source. What a drop saves only gets less as others
    are dropped, so that most of it need not be computed again.

    Parameters
    ----------
    keep : what each table costs to keep.
    sources : what each costs if rebuilt from another.
    pinned : the tables that are kept.

    Examples
    --------
    >>> greedy([100, 50, 20], [{}, {0: 9}, {0: 9, 1: 4}], frozenset())
    [None, 0, 0]
    """
    chosen: list[int | None] = [None] * len(keep)
    served: list[set[int]] = [set() for _ in keep]
    ranked = [sorted((cost, u) for u, cost in serving.items()) for serving in sources]

    def best(v: int, without: int) -> tuple[int, int] | None:
        found = (pair for pair in ranked[v] if chosen[pair[1]] is None and pair[1] != without)
        return next(found, None)

    def saving(v: int) -> int | None:
        own = best(v, v)
        if own is None:
            return None
        total = keep[v] - own[0]
        for w in served[v]:
            other = best(w, v)
            if other is None:
                return None
            total -= other[0] - sources[w][v]
        return total

    heap = [(-s, v) for v in range(len(keep)) if v not in pinned and (s := saving(v)) is not None]
    heapq.heapify(heap)
    while heap:
        promised, v = heapq.heappop(heap)
        now = saving(v)
        if now is None or now <= 0:
            continue
        if -now > promised:
            heapq.heappush(heap, (-now, v))
            continue
        moved = [v, *sorted(served[v])]
        served[v] = set()
        targets = [best(w, v) for w in moved]
        for w, target in zip(moved, targets, strict=True):
            assert target is not None
            chosen[w] = target[1]
            served[target[1]].add(w)
    return chosen


def lower_bound(keep: Sequence[int], sources: Sources, pinned: frozenset[int], cost: int) -> int:
    """What no solution costs less than, by Lagrangian relaxation with subgradient steps.

    "Each table is kept or served once" goes into the objective with a price for each table; what is
    left falls apart by serving table. Whole costs let the bound be rounded up.

    Parameters
    ----------
    keep, sources, pinned : as for ``greedy``.
    cost : of a known solution, which sets the steps.

    References
    ----------
    Cornuéjols, Fisher, Nemhauser, "Location of Bank Accounts to Optimize Float", 1977.

    Examples
    --------
    >>> lower_bound([100, 50, 20], [{}, {0: 9}, {0: 9, 1: 4}], frozenset(), 118)
    118
    """
    n = len(keep)
    pairs = [(v, u, c) for v, serving in enumerate(sources) for u, c in sorted(serving.items())]
    served, serving = (np.array([p[i] for p in pairs], dtype=np.int64) for i in (0, 1))
    costs = np.array([p[2] for p in pairs], dtype=np.float64)
    storage = np.array(keep, dtype=np.float64)
    held = np.zeros(n, dtype=bool)
    held[sorted(pinned)] = True
    prices, best, reach, waited = storage.copy(), 0.0, 2.0, 0
    for _ in range(STEPS):
        gains = np.minimum(costs - prices[served], 0.0)
        reduced = storage - prices + np.bincount(serving, gains, n)
        is_open = held | (reduced < 0)
        value = float(prices.sum() + reduced[is_open].sum())
        waited = 0 if value > best else waited + 1
        best = max(best, value)
        if waited > PATIENCE:
            reach, waited = reach / 2, 0
        used = (gains < 0) & is_open[serving]
        slack = 1.0 - is_open - np.bincount(served, used, n)
        norm = float(slack @ slack)
        if norm == 0 or best >= cost:
            break
        prices += reach * max(cost - value, 1.0) / norm * slack
    # Rounding of the sums, about 1e-16 of them for each term, is taken off before rounding up.
    return int(np.ceil(best - 1e-12 * max(abs(cost), 1)))
