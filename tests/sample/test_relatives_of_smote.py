"""Noise, borders and densities: SMOTE's relatives, with imbalanced-learn as the judge."""

import numpy as np
import pytest
from pydantic import ValidationError
from pyspark.sql import functions as F

import lakebalance as lb
from lakebalance.core.errors import RecipeError
from lakebalance.core.registry import methods

TO_MAX = {"balance": {"by": ["label"], "method": "to_max"}}
FEATURES = {"features": ["x", "y"]}


@pytest.fixture(scope="module")
def points():
    """A large cloud, and a small one that reaches into it."""
    chance = np.random.default_rng(11)
    large = chance.normal(0, 1, (300, 2))
    small = chance.normal((1.2, 0), (0.8, 1), (40, 2))
    at = np.vstack([large, small])
    return [(i, "large" if i < 300 else "small", *map(float, p)) for i, p in enumerate(at)]


@pytest.fixture(scope="module")
def source(spark, points, tmp_path_factory):
    path = str(tmp_path_factory.mktemp("relatives") / "source")
    schema = "id long, label string, x double, y double"
    spark.createDataFrame(points, schema).repartition(3).write.format("delta").save(path)
    return {"name": "s", "table": path, "key": ["id"]}


@pytest.fixture
def made(spark, source, recipe, by_key, tmp_path):
    """The new rows that a sampler makes, with their parents' ids."""

    def run(**sample):
        result = lb.run(recipe(source, allocate=TO_MAX, sample={**FEATURES, **sample}), spark)
        assert [p["found"] for p in result.published] == [300, 300]
        ids = {key: row["id"] for key, row in by_key(source["table"]).items()}
        output = spark.read.format("delta").load(str(tmp_path / "out"))
        rows = output.where(F.col("lb_parents").isNotNull()).collect()
        assert len(rows) == 260 and {r["label"] for r in rows} == {"small"}
        return [(r["x"], r["y"], [ids[k] for k in r["lb_parents"]]) for r in rows]

    return run


def arrays(points):
    return np.array([p[2:] for p in points]), np.array([p[1] for p in points])


@pytest.mark.slow
def test_borderline_parents_are_those_in_danger(made, points):
    known = pytest.importorskip("imblearn.over_sampling")
    at, labels = arrays(points)
    model = known.BorderlineSMOTE(k_neighbors=5, m_neighbors=10)
    model.fit_resample(at, labels)
    inside = np.flatnonzero(labels == "small")
    danger = {int(i) for i in inside[model._in_danger_noise(
        model.nn_m_, at[inside], "small", labels, kind="danger")]}  # fmt: skip
    assert 5 < len(danger) < 40
    rows = made(method="borderline_smote", scale="none")
    parents = [first for _, _, (first, _) in rows]
    assert set(parents) == danger
    counts = np.bincount(parents)[sorted(danger)]
    assert counts.max() - counts.min() <= 1


def test_adasyn_children_go_where_other_groups_are(made, points):
    neighbors = pytest.importorskip("sklearn.neighbors")
    at, labels = arrays(points)
    near = neighbors.NearestNeighbors(n_neighbors=10).fit(at).kneighbors(return_distance=False)
    others = {i: int((labels[near[i]] == "large").sum()) for i in range(300, 340)}
    rows = made(method="adasyn", scale="none")
    found = np.bincount([first for _, _, (first, *_) in rows], minlength=340)
    total = sum(others.values())
    for i, weight in others.items():
        assert abs(found[i] - 260 * weight / total) <= 1


@pytest.mark.slow
def test_noise_has_the_width_of_the_kernel(made, points):
    at, labels = arrays(points)
    own = at[labels == "small"]
    expected = (4 / (4 * 40)) ** (1 / 6) * own.std(axis=0)
    rows = made(method="random_noise")
    assert all(len(parents) == 1 for *_, parents in rows)
    noise = np.array([[x - points[p][2], y - points[p][3]] for x, y, [p] in rows])
    assert np.abs(noise.mean(axis=0) / expected).max() < 0.2
    assert noise.std(axis=0) == pytest.approx(expected, rel=0.12)
    assert abs(np.corrcoef(noise.T)[0, 1]) < 0.15
    wide = made(method="random_noise", shrinkage=3.0)
    wider = np.array([[x - points[p][2], y - points[p][3]] for x, y, [p] in wide])
    assert sorted(map(tuple, np.round(wider / 3, 9))) == sorted(map(tuple, np.round(noise, 9)))


def test_noise_keeps_to_its_bounds(made, points):
    at, labels = arrays(points)
    own = at[labels == "small"]
    rows = made(method="random_noise", shrinkage=3.0, clip="observed", bounds={"y": [-0.5, None]})
    assert min(x for x, *_ in rows) == own[:, 0].min()
    assert min(y for _, y, _ in rows) == -0.5
    assert max(y for _, y, _ in rows) == own[:, 1].max()


@pytest.mark.parametrize("bounds", [{"z": [0, 1]}, {"x": [2, 1]}])
def test_bounds_that_make_no_sense_are_refused(bounds):
    options = methods("sample")["random_noise"].options
    with pytest.raises(ValidationError):
        options(method="random_noise", features=["x"], bounds=bounds)


@pytest.mark.parametrize("method", ["borderline_smote", "adasyn"])
def test_a_group_far_from_all_others_has_no_border(spark, table, recipe, method):
    rows = [(i, "a", float(i), 0.0) for i in range(40)]
    rows += [(100 + i, "b", 1e6 + i, 0.0) for i in range(12)]
    path = table("source", rows, "id long, label string, x double, y double")
    source = {"name": "s", "table": path, "key": ["id"]}
    sample = {"method": method, **FEATURES}
    with pytest.raises(RecipeError, match=r"no row near to other groups.*write method: smote"):
        lb.run(recipe(source, allocate=TO_MAX, sample=sample), spark)
    sample["max_group_rows"] = 51
    with pytest.raises(RecipeError, match=r"52 rows of all groups .* at most 51"):
        lb.plan(recipe(source, allocate=TO_MAX, sample=sample), spark)
