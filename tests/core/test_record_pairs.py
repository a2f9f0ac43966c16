"""Which pairs of records are looked at: none that agrees is missed."""

import math

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from lakebalance.core.record_pairs import Overlap, Rule, Within, pairs, prefix_length
from lakebalance.core.record_values import Values


@settings(deadline=None)
@given(
    st.lists(st.sets(st.integers(0, 12), min_size=1, max_size=9), min_size=2, max_size=12),
    st.floats(0.01, 1) | st.sampled_from([1 / 3, 0.5, 0.6, 0.7, 2 / 3, 0.8, 1.0]),
    st.permutations(range(13)),
)
def test_sets_that_overlap_share_one_of_their_first_members(sets, least, order):
    firsts = [set(sorted(own, key=order.index)[: prefix_length(len(own), least)]) for own in sets]
    for i, one in enumerate(sets):
        for j, other in enumerate(sets[:i]):
            if len(one & other) / len(one | other) >= least:
                assert firsts[i] & firsts[j]


@settings(deadline=None)
@given(st.lists(st.integers(0, 6), min_size=1, max_size=20), st.integers(1, 12))
def test_pairs_come_once_each_in_chunks(lengths, most):
    starts = np.cumsum(lengths) - lengths
    start = np.repeat(starts, lengths)
    count = np.arange(len(start)) - start
    found = list(pairs(start, count, most))
    assert all(len(a) == len(b) and 0 < len(a) <= max(most, 6) for a, b in found)
    said = [pair for a, b in found for pair in zip(a.tolist(), b.tolist(), strict=True)]
    wanted = [
        (s + i, s + j)
        for s, n in zip(starts, lengths, strict=True)
        for j in range(n)
        for i in range(j)
    ]
    assert said == wanted


def test_rules_agree_by_all_their_parts_and_nothing_agrees_with_what_is_missing():
    table = pa.table(
        {
            "same": pa.array([1, 1, 1, 2, None, None], pa.int64()),
            "at": pa.array([0.0, 5.0, 5.1, 0.0, 0.0, 0.0]),
            "share": pa.array([100.0, 95.0, 94.0, 100.0, 100.0, None]),
            "set": pa.array([[1, 2, 3], [2, 3], [3], [1, 2, 3], [1, 2, 3], None]),
        }
    )
    a, b = (side.astype(np.int64) for side in np.triu_indices(6, 1))

    def agreeing(rule):
        near = rule.agrees(Values(table), a, b)
        assert near.tolist() == rule.agrees(Values(table), b, a).tolist()
        return list(zip(a[near].tolist(), b[near].tolist(), strict=True))

    assert agreeing(Rule("same")) == [(0, 1), (0, 2), (1, 2)]
    assert agreeing(Rule("same", [Within("at", 5.0, False)])) == [(0, 1), (1, 2)]
    assert agreeing(Rule("same", [Within("share", 0.05, True)])) == [(0, 1), (1, 2)]
    assert agreeing(Rule("same", [], Overlap("set", 2 / 3))) == [(0, 1)]
    assert agreeing(Rule("same", [], Overlap("set", 0.5))) == [(0, 1), (1, 2)]


def test_infinite_numbers_agree_with_themselves():
    values = [math.inf, math.inf, -math.inf, 1e308, 0.0, -0.0]
    table = pa.table({"same": [0] * 6, "at": values})
    a, b = (side.astype(np.int64) for side in np.triu_indices(6, 1))
    for relative in (False, True):
        near = Rule("same", [Within("at", 0.5, relative)]).agrees(Values(table), a, b)
        assert list(zip(a[near].tolist(), b[near].tolist(), strict=True)) == [(0, 1), (4, 5)]
