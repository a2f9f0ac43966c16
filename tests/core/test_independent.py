"""Which nodes stay when they are taken in order: in one task, in rounds, and what is refused."""

import itertools
import time

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakebalance.core.errors import TableError
from lakebalance.core.independent import _solving, dependent, independent

ENDS = ["hi", "lo", "to_hi", "to_lo"]


def judged(a, b, nodes):
    """The nodes that stay, one after the other."""
    before = [[] for _ in range(nodes)]
    for one, other in zip(a, b, strict=True):
        before[other].append(one)
    stays = []
    for i in range(nodes):
        stays.append(not any(stays[j] for j in before[i]))
    return stays


@given(st.data())
def test_it_is_the_greedy_set_of_that_order(data):
    nodes = data.draw(st.integers(1, 30))
    one = st.integers(0, nodes - 1)
    pairs = [(min(p), max(p)) for p in data.draw(st.lists(st.tuples(one, one))) if p[0] != p[1]]
    a, b = (np.array([pair[i] for pair in pairs], np.int64) for i in (0, 1))
    assert independent(a, b, nodes).tolist() == judged(a, b, nodes)


def test_long_chains_and_large_stars_are_soon_solved():
    start = time.perf_counter()
    chain = np.arange(10_000)
    assert independent(chain[:-1], chain[1:], 10_000).tolist() == [True, False] * 5000
    star = np.arange(1_000_000)
    assert independent(np.zeros(999_999, np.int64), star[1:], 1_000_000).sum() == 1
    assert time.perf_counter() - start < 10


def edges_of(rng, nodes=300, edges=900):
    pairs = np.sort(rng.integers(0, nodes, (edges, 2)), axis=1)
    pairs = pairs[pairs[:, 0] < pairs[:, 1]]
    return pairs[:, 0], pairs[:, 1]


@given(st.integers(0, 2**32), st.lists(st.integers(0, 120), max_size=4))
def test_taken_in_batches_the_same_stay_if_batches_see_those_that_stayed(seed, ends):
    a, b = edges_of(np.random.default_rng(seed), 120, 300)
    stays, node = np.zeros(120, bool), np.arange(120)
    bounds = [0, *sorted(ends), 120]
    for first, end in itertools.pairwise(bounds):
        new = (node >= first) & (node < end)
        # No edge between two nodes of earlier batches, and none from one that went.
        seen = new[b] & (new[a] | stays[a])
        stays |= new & independent(a[seen], b[seen], 120)
    assert stays.tolist() == judged(a, b, 120)


def flat(a, b):
    """Edges of nodes (i mod 7, i), which are not in the order in which they are taken."""
    return pa.RecordBatch.from_arrays([pa.array(x) for x in (a % 7, a, b % 7, b)], ENDS)


def test_one_task_solves_what_it_may_hold_and_refuses_more():
    a, b = edges_of(np.random.default_rng(1))
    batches = [flat(a[i : i + 100], b[i : i + 100]) for i in range(0, len(a), 100)]
    (gone,) = _solving(900, "prune.3")(iter(batches))
    stays = judged(a, b, 300)
    assert sorted(gone["lo"].to_pylist()) == [i for i in range(300) if not stays[i]]
    with pytest.raises(TableError, match=r"prune\.3: more than 500 .* run the recipe instead"):
        list(_solving(500, "prune.3")(iter(batches)))
    assert list(_solving(500, "prune.3")(iter([]))) == []


@pytest.mark.slow
def test_in_rounds_until_one_task_can_hold_the_rest(spark, tmp_path):
    a, b = edges_of(np.random.default_rng(2))
    df = spark.createDataFrame(pa.Table.from_batches([flat(a, b)])).repartition(3).selectExpr(
        "named_struct('hi', hi, 'lo', lo) node", "named_struct('hi', to_hi, 'lo', to_lo) to"
    )  # fmt: skip
    names = []

    def scratch(frame, name):
        names.append(name)
        frame.write.parquet(str(tmp_path / f"{len(names)}"))
        return spark.read.parquet(str(tmp_path / f"{len(names)}"))

    gone = dependent(df, "prune.0", scratch, at_once=100).toArrow()["node"].combine_chunks()
    stays = judged(a, b, 300)
    assert sorted(gone.field("lo").to_pylist()) == [i for i in range(300) if not stays[i]]
    assert names[-1] != "ordered-0"
    with pytest.raises(TableError, match=r"prune\.0: more than 100 .* after 0 rounds; write link"):
        dependent(df, "prune.0", scratch, at_once=100, most_rounds=0)
