"""Representative rows: exactly as many as asked, near to what they stand for."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import lakebalance as lb
from lakebalance.column_checks import check_columns
from lakebalance.core.errors import RecipeError
from lakebalance.core.exact_neighbours import nearest_to
from lakebalance.frames import Frames
from lakebalance.prune.medoids import METHOD, Medoids, targets
from lakebalance.prune.representatives import cut, representatives
from lakebalance.pruning import pruned

SCHEMA = "id long, label string, x double, y double"
PLACES = {"method": "medoids", "by": ["label"], "features": ["x", "y"]}


def inertia(points, taken):
    return (nearest_to(points[taken], points, 1)[1] ** 2).sum()


def test_one_of_each_blob_is_taken():
    chance = np.random.default_rng(0)
    sizes = [5, 80, 300]
    blob = np.repeat([0, 1, 2], sizes)
    points = chance.normal(size=(385, 2)) * 0.1 + np.array([[0, 0], [5, 0], [0, 5]])[blob]
    taken = representatives(points, 3, 20)
    assert sorted(blob[taken]) == [0, 1, 2]
    for one in taken:
        own = points[blob == blob[one]]
        gaps = np.linalg.norm(own - own.mean(axis=0), axis=1)
        assert np.linalg.norm(points[one] - own.mean(axis=0)) == pytest.approx(gaps.min())


@pytest.mark.parametrize("d", [2, 8])
def test_they_are_about_as_near_as_the_rows_nearest_to_the_centres_of_k_means(d):
    cluster = pytest.importorskip("sklearn.cluster")
    chance = np.random.default_rng(1)
    points = chance.normal(size=(2000, d)) * (1 + 3 * (chance.random((2000, 1)) < 0.1))
    taken = representatives(points, 40, 30)
    assert len(set(taken.tolist())) == 40
    model = cluster.KMeans(40, n_init=3, random_state=0).fit(points)
    judge = nearest_to(points, model.cluster_centers_, 1)[0][:, 0]
    assert inertia(points, taken) < 1.1 * inertia(points, judge)
    by_chance = [inertia(points, chance.choice(2000, 40, replace=False)) for _ in range(5)]
    assert inertia(points, taken) < 0.85 * min(by_chance)


@settings(max_examples=60, deadline=None)
@given(
    arrays(float, st.tuples(st.integers(1, 25), st.integers(1, 3)),
           elements=st.sampled_from([0.0, 1.0, 5.0, -2.0])),
    st.integers(1, 25),
    st.integers(0, 4),
)  # fmt: skip
def test_there_are_exactly_as_many_of_any_points(points, count, rounds):
    count = min(count, len(points))
    assert sorted(set(cut(points, count).tolist())) == list(range(count))
    taken = representatives(points, count, rounds)
    assert len(set(taken.tolist())) == count
    # Where there are as many to take as places, none is left out.
    if count == len(np.unique(points, axis=0)):
        assert len(np.unique(points[taken], axis=0)) == count


@settings(max_examples=60)
@given(st.lists(st.integers(1, 50), min_size=1, max_size=8), st.integers(0, 400))
def test_parts_share_exactly(counts, more):
    rows = min(len(counts) + more, sum(counts))
    found = targets({(7, i): n for i, n in enumerate(counts)}, rows)
    assert sum(found.values()) == rows
    assert all(1 <= found[7, i] <= n for i, n in enumerate(counts))


@pytest.fixture(scope="module")
def rows():
    chance = np.random.default_rng(3)
    labels = ["many"] * 300 + ["some"] * 80 + ["few"] * 20
    return [(i, label, *map(float, chance.normal(size=2))) for i, label in enumerate(labels)]


@pytest.mark.slow
def test_a_run_keeps_exactly_as_many_rows_each_of_them_near(spark, table, recipe, rows, tmp_path):
    prune = [{**PLACES, "max_rows": 150, "sampling_strategy": ["many", "some"], "rows": 30}]
    made, found = [], []
    for partitions in (4, 1):
        order = sorted(rows, key=lambda r: (r[0] * 7919) % (390 + partitions))
        source = {"name": "s", "table": table(f"s{partitions}", order, SCHEMA, partitions)}
        made.append(recipe(source | {"key": ["id"]}, prune=prune))
        frames = Frames(made[-1], spark)
        method = METHOD.function(frames.all_rows, made[-1].prune[0], "prune.0")
        found.append(sorted(map(str, method.collect())))
    assert found[0] == found[1] and len(found[0]) == 320

    lb.run(made[0], spark)
    output = spark.read.format("delta").load(str(tmp_path / "out")).collect()
    kept = sorted(r["id"] for r in output)
    labels = [rows[i][1] for i in kept]
    assert [labels.count(label) for label in ("many", "some", "few")] == [30, 30, 20]
    (fate,) = lb.explain(made[0], spark, f"id = {min(set(range(300)) - set(kept))}")
    assert fate["fate"] == "undersampled" and fate["by"] == "prune.0 (medoids)"
    assert fate["of_row"]["label"] == "many" and fate["of_row"]["id"] in kept
    at, own = np.array([r[2:] for r in rows[:300]]), np.array([i for i in kept if i < 300])
    chance = np.random.default_rng(0)
    by_chance = [inertia(at, chance.choice(300, 30, replace=False)) for _ in range(5)]
    assert inertia(at, own) < 0.75 * np.mean(by_chance)


def test_equal_rows_without_a_key_stay_as_many_as_asked(spark, table, recipe):
    path = table("s", [(1, "a", 1.0, 1.0)] * 6 + [(2, "a", 2.0, 2.0)] + [(3, "b", 0.0, 0.0)] * 3,
                 SCHEMA)  # fmt: skip
    frames = Frames(recipe(path, prune=[{**PLACES, "rows": 4}]), spark)
    (left,) = pruned(frames, frames.branches, lambda _, found: found)
    assert sorted(r["id"] for r in left.select("id").collect()) == [1, 1, 1, 2, 3, 3, 3]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"rows": 3, "max_rows": 50}, "has 300 rows, of which 3 are to stay, fewer than the 6 part"
         ".*a larger prune.0.rows, or prune.0.max_rows: 100"),
        ({"by": ["labels"]}, 'prune.0.by: no column "labels"; did you mean "label"?'),
        ({"sampling_strategy": ["lots"]}, 'prune.0.sampling_strategy: no group label="lots"'),
        ({"features": ["label"], "by": ["x"]}, "is string, which is no number, date or time"),
    ],
    ids=str,
)  # fmt: skip
def test_what_cannot_be_is_refused(spark, table, recipe, rows, wrong, message):
    path = table("s", rows, SCHEMA)
    frames = Frames(recipe(path, prune=[{**PLACES, **wrong}]), spark)
    with pytest.raises(RecipeError, match=message):
        check_columns(frames)
        pruned(frames, frames.branches, lambda _, found: found.collect())


@pytest.mark.parametrize("wrong", [{"rows": 0}, {"max_iter": -1}, {"max_rows": 0}], ids=str)
def test_options_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValueError):
        Medoids(**PLACES | wrong)
