"""Rows that are worth little to their neighbours, or lie close, as recipes drop them."""

import itertools
import math

import numpy as np
import pytest

import lakebalance as lb
from lakebalance.core.errors import RecipeError
from lakebalance.frames import Frames
from lakebalance.prune.neighbours import shapley
from neighbourly import SCHEMA, dropped_ids, keyed, matches

PLACES = {"method": "neighbours", "by": ["label"], "features": ["x", "y"]}


def by_all_orders(at, group, asked, k):
    """Shapley values by their definition: what a row adds, averaged over all orders."""
    others = [i for i in range(len(at)) if i != asked]
    far = {i: float(((at[i] - at[asked]) ** 2).sum()) for i in others}

    def worth(members):
        near = sorted(members, key=lambda i: (far[i], i))[:k]
        return sum(group[i] == group[asked] for i in near) / k

    total = dict.fromkeys(others, 0.0)
    for order in itertools.permutations(others):
        for n, i in enumerate(order):
            total[i] += worth(order[: n + 1]) - worth(order[:n])
    return np.array([total.get(i, 0.0) for i in range(len(at))]) / math.factorial(len(others))


@pytest.mark.parametrize("k", [1, 2, 3])
def test_values_are_those_of_the_definition(k):
    rng = np.random.default_rng(k)
    at, group = rng.integers(0, 4, (7, 2)).astype(float), rng.integers(0, 2, 7)
    for asked in (0, 3):
        found = shapley(at, group, asked, k)
        assert found == pytest.approx(by_all_orders(at, group, asked, k), abs=1e-12)


def clouds(seed=4):
    """Two clouds, of which the first has half of its rows in one spot; some labels are wrong."""
    rng = np.random.default_rng(seed)
    at = np.concatenate(
        [rng.normal(0, 1, (60, 2)), rng.normal(0, 0.02, (60, 2)) + 2, rng.normal(6, 1, (40, 2))]
    )
    label = np.repeat([0, 0, 1], [60, 60, 40])
    label[[3, 130]] = 1 - label[[3, 130]]
    return [
        (i, int(lab), float(x), float(y), 0.0)
        for i, (lab, (x, y)) in enumerate(zip(label, at, strict=True))
    ]


@pytest.mark.slow
def test_wrong_labels_go_first_however_rows_lie_and_in_many_tasks(
    spark, table, recipe, monkeypatch
):
    rows, found = clouds(), []
    asked = PLACES | {"sampling_strategy": "all", "rows": 39, "validation_rows": 90}
    for partitions, distances in ((1, 10**9), (3, 2000)):
        monkeypatch.setattr("lakebalance.prune.neighbours.DISTANCES", distances)
        order = sorted(rows, key=lambda r: (r[0] * 7919) % (150 + partitions))
        frames = Frames(recipe(keyed(table(f"s{partitions}", order, SCHEMA, partitions))), spark)
        matched = matches(frames, asked)
        found.append(sorted(map(str, matched.collect())))
        gone = set(dropped_ids(matched, frames))
        worst = min(matched.collect(), key=lambda r: r["value"])
        assert worst["value"] < 0 and worst["rows"] == 1
    assert found[0] == found[1]
    label = {r[0]: r[1] for r in rows}
    assert {3, 130} <= gone
    stay = [label[i] for i in label if i not in gone]
    assert stay.count(0) == stay.count(1) == 39


@pytest.mark.slow
def test_crowded_places_lose_more_by_density(spark, table, recipe, monkeypatch):
    rows, found = clouds(), []
    asked = PLACES | {"value": "density", "rows": 60, "n_neighbors": 3, "sampling_strategy": [0]}
    for distances in (10**9, 5000):
        monkeypatch.setattr("lakebalance.prune.neighbours.DISTANCES", distances)
        frames = Frames(recipe(keyed(table(f"d{distances}", rows, SCHEMA, 2))), spark)
        found.append(dropped_ids(matches(frames, asked), frames))
    assert found[0] == found[1] and len(found[0]) == 60
    # Nearly all of those that go are of the sixty that lie in one spot.
    assert sum(60 <= i < 120 for i in found[0]) > 45


def test_rows_without_enough_neighbours_are_refused(spark, table, recipe):
    rows = [(i, int(i > 2), float(i), 0.0, 0.0) for i in range(8)]
    frames = Frames(recipe(keyed(table("few", rows, SCHEMA))), spark)
    for more, message in [
        ({"n_neighbors": 8}, r"prune\.0\.n_neighbors: there are 8 rows, and none has 8"),
        ({"n_neighbors": 5, "value": "density"}, r"5 rows in a group that loses some.* write 4"),
        ({"max_rows": 7}, "prune.0: 8 rows are searched"),
    ]:
        with pytest.raises(RecipeError, match=message):
            matches(frames, PLACES | {"features": ["x"]} | more)
    assert matches(frames, PLACES | {"features": ["x"], "rows": 5}).collect() == []


@pytest.mark.slow
def test_a_run_leaves_as_many_as_asked_and_plans_the_same(spark, table, recipe):
    made = recipe(keyed(table("t", clouds(), SCHEMA)), prune=[PLACES | {"rows": 50}])
    result = lb.run(made, spark)
    out = spark.read.format("delta").load(made.publish.table).collect()
    count = [sum(r["label"] == label for r in out) for label in (0, 1)]
    assert count == [50, 40] and lb.plan(made, spark).rows == result.rows == 90
    [said] = lb.explain(made, spark, "id = 3")
    assert said["fate"] in ("undersampled", "kept")
