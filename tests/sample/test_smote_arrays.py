"""SMOTE and its relatives where a feature is an array of numbers, such as an embedding."""

from itertools import pairwise

import numpy as np
import pytest
from pyspark.sql import functions as F

import lakebalance as lb
from lakebalance.core.errors import RecipeError
from lakebalance.core.places import Places
from lakebalance.sample.children import Parents, around_parents, measured
from lakebalance.sample.random_noise import RandomNoise
from lakebalance.sample.smote import Smote

TO_MAX = {"balance": {"by": ["label"], "method": "to_max"}}
COMMON, RARE, WIDTH, K = 60, 20, 4, 3
SCHEMA = (
    "id long, label string, x double, `an embedding` array<float>, whole array<int>, colour string"
)
FEATURES = ["x", "an embedding", "whole"]


@pytest.fixture(scope="module")
def points():
    chance = np.random.default_rng(5)
    return [
        (
            i,
            "common" if i < COMMON else "rare",
            float(chance.normal(0, 50)),
            np.float32(chance.normal(size=WIDTH)).tolist(),
            chance.integers(-1000, 1000, 2).tolist(),
            "red" if i % 3 else "blue",
        )
        for i in range(COMMON + RARE)
    ]


@pytest.fixture(scope="module")
def source(spark, points, tmp_path_factory):
    path = str(tmp_path_factory.mktemp("arrays") / "source")
    df = spark.createDataFrame(points, SCHEMA)
    df.write.format("delta").option("delta.columnMapping.mode", "name").save(path)
    return {"name": "s", "table": path, "key": ["id"]}


@pytest.fixture
def new_rows(spark, source, recipe, by_key, tmp_path):
    """Run a sampler; gives each new row with the rows that it was made from."""

    def run(**sample):
        asked = recipe(source, allocate=TO_MAX, sample={"features": FEATURES, **sample})
        assert lb.run(asked, spark).rows == 2 * COMMON
        output = spark.read.format("delta").load(str(tmp_path / "out"))
        given = spark.read.format("delta").load(source["table"])
        assert output.dtypes == [*given.dtypes, ("lb_parents", "array<string>")]
        rows = by_key(source["table"])
        made = output.where(F.col("lb_parents").isNotNull()).collect()
        assert len(made) == COMMON - RARE
        return [(row, [rows[key] for key in row["lb_parents"]]) for row in made]

    return run


def place(row):
    return np.array([row["x"], *row["an embedding"], *row["whole"]])


def in_units(at):
    """Each column in its deviation; an array by the root of its numbers' summed variances."""
    variance = at.var(axis=0)
    ends = np.cumsum([0, 1, WIDTH, 2])
    deviation = [np.sqrt(variance[a:b].sum()) for a, b in pairwise(ends)]
    return at / np.repeat(deviation, np.diff(ends))


def check_between(made, points, near_of):
    for row, (first, second) in made:
        assert second["id"] in near_of[first["id"]]
        start, end, at = place(first), place(second), place(row)
        step = (at[0] - start[0]) / (end[0] - start[0])
        assert 0 <= step < 1
        np.testing.assert_allclose(at[1:-2], (start + step * (end - start))[1:-2], atol=1e-5)
        # Whole numbers are rounded.
        np.testing.assert_allclose(at[-2:], (start + step * (end - start))[-2:], atol=0.5 + 1e-6)


def neighbours_of(points, k):
    own = [p for p in points if p[1] == "rare"]
    at = in_units(np.array([[p[2], *p[3], *p[4]] for p in own]))
    far = ((at[:, None] - at) ** 2).sum(axis=2)
    np.fill_diagonal(far, np.inf)
    return {p[0]: {own[j][0] for j in np.argsort(f)[:k]} for p, f in zip(own, far, strict=True)}


def test_all_numbers_of_a_new_row_lie_on_one_way_to_a_neighbour(new_rows, points):
    made = new_rows(method="smote", k_neighbors=K)
    check_between(made, points, neighbours_of(points, K))
    assert len({parents[0]["id"] for _, parents in made}) == RARE


@pytest.mark.slow
@pytest.mark.parametrize(
    "sample",
    [
        {"method": "smote_nc", "categorical": ["colour"]},
        {"method": "adasyn"},
        {"method": "borderline_smote"},
    ],
)
def test_relatives_take_arrays_too(new_rows, points, sample):
    made = new_rows(k_neighbors=K, **sample)
    near = neighbours_of(points, RARE if "categorical" in sample else K)
    check_between(made, points, near)


@pytest.mark.slow
def test_noise_of_each_number_and_bounds_of_all_of_an_array(new_rows):
    made = new_rows(method="random_noise", bounds={"whole": [-500, 500]})
    for row, (parent,) in made:
        assert (place(row)[:-2] != place(parent)[:-2]).all()
        assert all(-500 <= value <= 500 for value in row["whole"])


def test_an_array_counts_as_one_feature_and_its_numbers_have_noise_of_their_own():
    at = np.random.default_rng(2).normal(0, [9, 1, 2], (50, 3))
    places = Places(["x", "e"], {"e": 2})
    parents = Parents(places, at, np.arange(50), np.ones(50, dtype=np.int64), [])
    options = Smote(method="smote", features=["x", "e"])
    whole = measured(parents, options)
    assert whole[:, 0].var() == pytest.approx(1) == whole[:, 1:].var(axis=0).sum()
    assert whole[:, 2].std() / whole[:, 1].std() == pytest.approx(at[:, 2].std() / at[:, 1].std())
    plain = measured(parents, options.model_copy(update={"scale": "none"}))
    np.testing.assert_allclose(plain, at - at.mean(axis=0))

    made = around_parents(parents, RandomNoise(method="random_noise", features=["x", "e"]))
    moved = (made.at - at) / at.std(axis=0)
    factor = (4 / (5 * 50)) ** (1 / 7)
    assert (moved.std(axis=0) / factor == pytest.approx([1, 1, 1], rel=0.35)) and (
        abs(np.corrcoef(moved.T)[1, 2]) < 0.5
    )


def rows_of(*arrays):
    """A common class, and a rare one whose arrays these are."""
    common = [(i, "common", [float(i), 1.0]) for i in range(20)]
    return common + [(20 + i, "rare", values) for i, values in enumerate(arrays)]


ARRAYS = "id long, label string, e array<double>"
GAPS = [[0.0, 1.0], [1.0, 0.0], [2.0, None], [float("nan"), 3.0], None]
SAMPLE = {"method": "smote", "features": ["e"], "k_neighbors": 2}


@pytest.mark.slow
def test_gaps_in_arrays_are_refused_or_their_parents(spark, table, recipe, by_key, tmp_path):
    path = table("source", rows_of(*GAPS), ARRAYS)
    source = {"name": "s", "table": path, "key": ["id"]}
    with pytest.raises(RecipeError, match='"e" has null or NaN elements in 3 of 5 rows'):
        lb.run(recipe(source, allocate=TO_MAX, sample=SAMPLE), spark)
    lb.run(recipe(source, allocate=TO_MAX, sample={**SAMPLE, "nulls": "ignore"}), spark)
    output = spark.read.format("delta").load(str(tmp_path / "out"))
    made, rows = output.where("lb_parents is not null").collect(), by_key(path)
    assert len(made) == 15
    for row in made:
        first, second = (rows[key]["e"] for key in [*row["lb_parents"], row["lb_parents"][0]][:2])
        if first is None:
            assert row["e"] is None
            continue
        for i, value in enumerate(row["e"]):
            start, end = first[i], None if second is None else second[i]
            missing = start is None or np.isnan(start)
            assert (value is None) == missing
            if not missing and (end is None or np.isnan(end)):
                assert value == start


@pytest.mark.slow
def test_arrays_of_any_numbers_keep_their_type(spark, recipe, tmp_path):
    df = spark.range(30).select(
        "id",
        F.when(F.col("id") < 20, "common").otherwise("rare").alias("label"),
        F.expr("array(double(id), 1.5D)").alias("E"),
        F.expr("array(cast(id as decimal(9,2)))").alias("of decimals"),
        F.expr("array(smallint(id), 3s)").alias("of.shorts"),
    )
    path = str(tmp_path / "source")
    df.write.format("delta").option("delta.columnMapping.mode", "name").save(path)
    features = ["E", "of decimals", "of.shorts"]
    sample = {**SAMPLE, "features": features}
    source = {"name": "s", "table": path, "key": ["id"]}
    plan = lb.plan(recipe(source, allocate=TO_MAX, sample=sample), spark)
    [tasks] = [d for d in plan.diagnostics if d["title"] == "Tasks that make new rows"]
    assert tasks["rows"][0][:3] == ["s/rare", 10, 10] and plan.prepared["lengths"] == {
        "E": 2, "of decimals": 1, "of.shorts": 2,
    }  # fmt: skip
    lb.run(recipe(source, allocate=TO_MAX, sample=sample), spark)
    output = spark.read.format("delta").load(str(tmp_path / "out"))
    assert output.drop("lb_parents").dtypes == df.dtypes
    made = output.where("lb_parents is not null").collect()
    assert len(made) == 10
    for row in made:
        assert 20 <= row["E"][0] <= 29 and row["E"][1] == 1.5 and row["of.shorts"][1] == 3
        assert abs(float(row["of decimals"][0]) - row["of.shorts"][0]) <= 0.505


@pytest.mark.parametrize(
    ("arrays", "schema", "message"),
    [
        ([[1.0, 2.0], [3.0]] * 3, ARRAYS, 'column "e" has arrays of 1 to 2 numbers; all must'),
        (
            [["a", "b"]] * 6,
            "id long, label string, e array<string>",
            '"e" is array<string>, whose elements are no numbers',
        ),
    ],
)
def test_arrays_that_are_no_places_are_refused_by_plan(
    spark, table, recipe, arrays, schema, message
):
    rows = [(i, "rare", values) for i, values in enumerate(arrays)]
    rows += [(10 + i, "common", arrays[0]) for i in range(20)]
    source = {"name": "s", "table": table("source", rows, schema), "key": ["id"]}
    with pytest.raises(RecipeError, match=message):
        lb.plan(recipe(source, allocate=TO_MAX, sample=SAMPLE), spark)


@pytest.mark.slow
def test_rows_with_rare_labels_have_embeddings_between_neighbours(
    spark, table, recipe, by_key, tmp_path
):
    chance = np.random.default_rng(4)
    rows = [
        (i, ["a"] if i < 40 else ["a", "b"], np.float32(chance.normal(size=3)).tolist())
        for i in range(52)
    ]
    path = table("source", rows, "id long, labels array<string>, e array<float>")
    sample = {"method": "mlsmote", "labels": ["labels"], "features": ["e"], "k_neighbors": 3}
    allocate = {"balance": {"by": ["labels"], "method": "none"}}
    source = {"name": "s", "table": path, "key": ["id"]}
    assert lb.run(recipe(source, allocate=allocate, sample=sample), spark).rows == 64
    made = spark.read.format("delta").load(str(tmp_path / "out")).where("lb_parents is not null")
    keys = by_key(path)
    for row in made.collect():
        first, second = (np.array(keys[key]["e"]) for key in row["lb_parents"][:2])
        way = second - first
        step = (np.array(row["e"]) - first) @ way / (way @ way)
        assert -1e-6 <= step < 1
        np.testing.assert_allclose(row["e"], first + step * way, atol=1e-5)
