"""Connected components in one task."""

import time

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lakebalance.core.graph import components

EDGES = st.lists(st.tuples(st.integers(0, 19), st.integers(0, 19)), max_size=30)


@given(EDGES)
def test_as_a_search_finds_them(edges):
    beside = {node: {node} for node in range(20)}
    for a, b in edges:
        whole = beside[a] | beside[b]
        for node in whole:
            beside[node] = whole
    ends = np.array(edges, np.int64).reshape(-1, 2)
    assert components(*ends.T, 20).tolist() == [min(beside[node]) for node in range(20)]


def test_a_chain_and_a_star_of_a_million():
    order = np.random.default_rng(4).permutation(1_000_000)
    start = time.perf_counter()
    assert not components(order[:-1], order[1:], 1_000_000).any()
    assert not components(np.full(999_999, order[0]), order[1:], 1_000_000).any()
    assert time.perf_counter() - start < 10
