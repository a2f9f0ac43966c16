"""Connected components in DataFrames: in one task, in rounds, and what one task refuses."""

import numpy as np
import pyarrow as pa
import pytest

from lakebalance.core.components import _forests, _solving, components
from lakebalance.core.errors import TableError
from lakebalance.core.graph import components as solved

ENDS = ["hi", "lo", "to_hi", "to_lo"]


def batch(a, b):
    """Edges of nodes (i mod 7, i)."""
    return pa.RecordBatch.from_arrays([pa.array(x) for x in (a % 7, a, b % 7, b)], ENDS)


def frame(spark, a, b, partitions):
    flat = spark.createDataFrame(pa.Table.from_batches([batch(a, b)])).repartition(partitions)
    return flat.selectExpr("named_struct('hi', hi, 'lo', lo) node",
                           "named_struct('hi', to_hi, 'lo', to_lo) to")  # fmt: skip


def found(df):
    table = df.toArrow()
    nodes, least = (table[name].combine_chunks() for name in ("node", "to"))
    pairs = zip(nodes.field("lo").to_pylist(), least.field("lo").to_pylist(), strict=True)
    labels = dict(pairs)
    assert len(labels) == table.num_rows
    return labels


def judged(a, b):
    """The least of each component by (i mod 7, i), from a search without Spark."""
    n = int(max(a.max(), b.max())) + 1
    root, least = solved(a, b, n), {}
    touched = np.unique(np.concatenate([a, b])).tolist()
    for i in touched:
        least[root[i]] = min(least.get(root[i], (9, 0)), (i % 7, i))
    return {i: least[root[i]][1] for i in touched}


def some_edges(seed=5):
    """Chains, stars and pairs; edges twice, in both directions, and of nodes to themselves."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(1000)
    chain, star = order[:300], order[300:600]
    a = [chain[:-1], np.full(299, star[0]), order[600:800], order[600:650], order[990:]]
    b = [chain[1:], star[1:], order[800:1000], order[800:850], order[990:]]
    a, b = np.concatenate(a), np.concatenate(b)
    turned = rng.random(len(a)) < 0.5
    return np.where(turned, b, a), np.where(turned, a, b)


@pytest.mark.parametrize("at_once", [3, 50, 10_000])
def test_forests_keep_what_is_connected_and_are_bounded(at_once):
    a, b = some_edges()
    batches = [batch(a[i : i + 40], b[i : i + 40]) for i in range(0, len(a), 40)]
    forests = list(_forests(iter(batches), at_once))
    left = [f.batch(np.flatnonzero(f.root != np.arange(len(f.root)))) for f in forests]
    assert all(len(edges) <= 2 * at_once + 40 for edges in left)
    table = pa.Table.from_batches(left)
    linked = judged(table["lo"].to_numpy(), table["to_lo"].to_numpy())
    want = judged(a, b)
    assert linked == {i: least for i, least in want.items() if i in linked}
    assert all(least == i for i, least in want.items() if i not in linked)


def test_a_chain_of_10_000_and_a_star_of_100_000_in_one_task_however_edges_lie(spark):
    order = np.random.default_rng(6).permutation(110_000)
    chain, star = order[:10_000], order[10_000:]
    a = np.concatenate([chain[:-1], np.full(99_999, star[0])])
    b = np.concatenate([chain[1:], star[1:]])
    assert found(components(frame(spark, a, b, 3), "prune.0")) == judged(a, b)


@pytest.fixture
def scratch(spark, tmp_path):
    """Writes frames as Parquet and says how often."""
    names = []

    def write(df, name):
        path = str(tmp_path / f"{len(names)}")
        names.append(name)
        df.write.parquet(path)
        return spark.read.parquet(path)

    write.names = names
    return write


@pytest.mark.slow
def test_in_rounds_until_one_task_can_hold_them(spark, scratch):
    a, b = some_edges()
    # 798 nodes are not the least of their component: as many edges are left after a round.
    assert found(components(frame(spark, a, b, 3), "prune.0", scratch, 800)) == judged(a, b)


@pytest.mark.slow
def test_in_rounds_until_nothing_changes(spark, scratch):
    rng = np.random.default_rng(8)
    order = rng.permutation(60)
    a = np.concatenate([order[:29], np.full(29, order[30])])
    b = np.concatenate([order[1:30], order[31:]])
    assert found(components(frame(spark, a, b, 3), "prune.0", scratch, 5)) == judged(a, b)
    assert len(scratch.names) > 2


@pytest.mark.parametrize("size", [40, 1000])
def test_one_task_refuses_more_edges_than_it_may_hold(size):
    a, b = some_edges()
    batches = [batch(a[i : i + size], b[i : i + size]) for i in range(0, len(a), size)]
    with pytest.raises(TableError, match=r"prune\.3: more than 20 .* run the recipe"):
        list(_solving(20, "prune.3")(iter(batches)))
    (solved,) = _solving(800, "prune.3")(iter(batches))
    assert len(solved) == len(np.unique([a, b]))


@pytest.mark.slow
def test_a_chain_of_10_000_and_a_star_of_100_000_in_rounds(spark, scratch):
    order = np.random.default_rng(6).permutation(110_000)
    chain, star = order[:10_000], order[10_000:]
    a = np.concatenate([chain[:-1], np.full(99_999, star[0])])
    b = np.concatenate([chain[1:], star[1:]])
    assert found(components(frame(spark, a, b, 3), "prune.0", scratch, 500)) == judged(a, b)
    assert len(scratch.names) < 60
