"""Which tables to keep, by an integer program that HiGHS solves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy import optimize, sparse

# By nodes and not by seconds, so that the same program ends the same on every machine.
MOST_NODES = 2_000
# HiGHS knows no difference in costs under about a billionth of the whole.
EXACT_TO = 1e-9


def integer_program(
    keep: Sequence[int], sources: Sequence[Mapping[int, int]], pinned: frozenset[int]
) -> list[int | None] | None:
    """The best sources; None where the program was not solved within its nodes.

    min Σ keep_v y_v + Σ cost_uv x_uv, so that y_v + Σ_u x_uv = 1 and x_uv ≤ y_u, y ∈ {0, 1}.

    Parameters
    ----------
    keep : what each table costs to keep.
    sources : what each costs if rebuilt from another.
    pinned : the tables that are kept.

    Examples
    --------
    >>> integer_program([5, 5, 5], [{1: 1, 2: 1}, {0: 1, 2: 1}, {0: 1, 1: 1}], frozenset({2}))
    [2, 2, None]
    """
    n = len(keep)
    pairs = [(v, u) for v, serving in enumerate(sources) for u in sorted(serving)]
    costs = np.array([*keep, *(sources[v][u] for v, u in pairs)], dtype=np.float64)
    served = np.array([v for v, _ in pairs], dtype=np.int64)
    serving = np.array([u for _, u in pairs], dtype=np.int64)
    x = n + np.arange(len(pairs))
    ones, rows = np.ones(len(pairs)), np.arange(len(pairs))
    once = sparse.csr_array(
        (np.ones(n + len(pairs)), (np.r_[np.arange(n), served], np.r_[np.arange(n), x])),
        shape=(n, n + len(pairs)),
    )
    by_kept = sparse.csr_array(
        (np.r_[ones, -ones], (np.r_[rows, rows], np.r_[x, serving])),
        shape=(len(pairs), n + len(pairs)),
    )
    least = np.zeros(n + len(pairs))
    least[sorted(pinned)] = 1.0
    found = optimize.milp(
        costs / max(costs.max(), 1.0),
        # Of kept tables given, each other takes its cheapest: only they need to be whole.
        integrality=np.r_[np.ones(n), np.zeros(len(pairs))],
        bounds=optimize.Bounds(least, np.ones(n + len(pairs))),
        constraints=[
            optimize.LinearConstraint(once, 1, 1),
            optimize.LinearConstraint(by_kept, -np.inf, 0),
        ],
        options={"mip_rel_gap": EXACT_TO, "node_limit": MOST_NODES},
    )
    if found.status != 0:
        return None
    kept = {v for v in range(n) if found.x[v] > 0.5}
    return [
        None if v in kept else min((cost, u) for u, cost in sources[v].items() if u in kept)[1]
        for v in range(n)
    ]
