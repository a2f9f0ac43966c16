"""Which tables to keep, by an integer program that HiGHS solves."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from scipy import optimize, sparse

# By nodes and not by seconds, so that the same program ends the same on every machine.
MOST_NODES = 100
# Choices that cost the same but for so small a part of the whole are not told apart.
EXACT_TO = 1e-7


def integer_program(
    keep: Sequence[int], sources: Sequence[Mapping[int, int]], pinned: frozenset[int]
) -> tuple[list[int | None], int] | None:
    """The best sources found, and what no others cost less than; None where none were found.

    min Σ keep_v y_v + Σ cost_uv x_uv, so that y_v + Σ_u x_uv = 1 and x_uv ≤ y_u, y ∈ {0, 1}.

    Parameters
    ----------
    keep : what each table costs to keep.
    sources : what each costs if rebuilt from another.
    pinned : the tables that are kept.

    Examples
    --------
    >>> integer_program([5, 5, 5], [{1: 1, 2: 1}, {0: 1, 2: 1}, {0: 1, 1: 1}], frozenset({2}))
    ([2, 2, None], 7)
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
    unit = max(float(costs.max()), 1.0)
    found = optimize.milp(
        costs / unit,
        # Of kept tables given, each other takes its cheapest: only they need to be whole.
        integrality=np.r_[np.ones(n), np.zeros(len(pairs))],
        bounds=optimize.Bounds(least, np.ones(n + len(pairs))),
        constraints=[
            optimize.LinearConstraint(once, 1, 1),
            optimize.LinearConstraint(by_kept, -np.inf, 0),
        ],
        options={"mip_rel_gap": EXACT_TO, "node_limit": MOST_NODES},
    )
    if found.x is None:
        return None
    kept = {v for v in range(n) if found.x[v] > 0.5}
    chosen = [
        None if v in kept else min((cost, u) for u, cost in sources[v].items() if u in kept)[1]
        for v in range(n)
    ]
    # Costs are whole, so the bound may be rounded up; HiGHS' own rounding is taken off before.
    bound = float(found.mip_dual_bound)
    return chosen, math.ceil((bound - 1e-9 * max(abs(bound), 1.0)) * unit)
