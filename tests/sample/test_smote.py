"""SMOTE: counts, parents and segments, against imbalanced-learn's own neighbours."""

import datetime as dt
import decimal

import numpy as np
import pytest
from pyspark.sql import functions as F

import lakebalance as lb
from lakebalance.core.errors import RecipeError

LABELS = {"common": 300, "rare": 40, "few": 12}
SMOTE = {"method": "smote", "features": ["x", "y", "z"], "k_neighbors": 5, "scale": "none"}
TO_MAX = {"balance": {"by": ["label"], "method": "to_max"}}


@pytest.fixture(scope="module")
def points():
    chance = np.random.default_rng(3)
    labels = [label for label, n in LABELS.items() for _ in range(n)]
    return [
        (i, label, *map(float, chance.normal(size=3)), chance.choice(["a", "b", "c"]).item())
        for i, label in enumerate(labels)
    ]


SCHEMA = "id long, label string, x double, y double, z double, colour string"


@pytest.fixture(scope="module")
def path(spark, points, tmp_path_factory):
    """The points as a Delta table."""
    folder = str(tmp_path_factory.mktemp("smote") / "source")
    spark.createDataFrame(points, SCHEMA).write.format("delta").save(folder)
    return folder


def keyed(path):
    return {"name": "s", "table": path, "key": ["id"]}


def read(spark, tmp_path):
    return spark.read.format("delta").load(str(tmp_path / "out"))


def test_new_rows_lie_between_a_row_and_one_of_its_neighbours(
    spark, path, recipe, points, by_key, tmp_path
):
    neighbors = pytest.importorskip("sklearn.neighbors")
    result = lb.run(recipe(keyed(path), allocate=TO_MAX, sample=SMOTE), spark)
    assert result.rows == 3 * 300
    output = read(spark, tmp_path)
    assert output.columns == ["id", "label", "x", "y", "z", "colour", "lb_parents"]

    originals = output.where("lb_parents is null").drop("lb_parents")
    assert sorted(map(tuple, originals.collect())) == sorted(points)
    keys = by_key(path)
    near = {}
    for label in ("rare", "few"):
        own = [p for p in points if p[1] == label]
        at = np.array([p[2:5] for p in own])
        model = neighbors.NearestNeighbors(n_neighbors=6).fit(at)
        for row, found in zip(own, model.kneighbors(at, return_distance=False), strict=True):
            near[row[0]] = {own[j][0] for j in found[1:]}
    made = output.where("lb_parents is not null").collect()
    assert len(made) == (300 - 40) + (300 - 12)
    uses, steps = {}, []
    for row in made:
        first, second = (keys[text] for text in row["lb_parents"])
        assert row["label"] == first["label"] == second["label"]
        assert second["id"] in near[first["id"]]
        assert (row["id"], row["colour"]) == (first["id"], first["colour"])
        uses.setdefault(first["id"], []).append(second["id"])
        start, end, at = (np.array([r["x"], r["y"], r["z"]]) for r in (first, second, row))
        step = (at - start) @ (end - start) / ((end - start) @ (end - start))
        np.testing.assert_allclose(at, start + step * (end - start), atol=1e-12)
        steps.append(step)
    assert min(steps) >= 0 and max(steps) < 1
    assert abs(np.mean(steps) - 0.5) < 0.05 and abs(np.std(steps) - 12**-0.5) < 0.03
    # 260 children of 40 rows, 288 of 12: as many each as can be.
    assert sorted({len(c) for i, c in uses.items() if i < 340}) == [6, 7]
    assert {len(c) for i, c in uses.items() if i >= 340} == {24}
    assert np.mean([len(set(c)) for i, c in uses.items() if i >= 340]) > 4


def test_the_same_rows_however_the_source_lies(spark, table, recipe, points, tmp_path):
    found = []
    for i, partitions in enumerate((1, 5)):
        path = table(f"s{i}", sorted(points, key=lambda p: (p[0] * 7919) % 353 * (1 - 2 * i)),
                     SCHEMA, partitions)  # fmt: skip
        lb.run(recipe(keyed(path), allocate=TO_MAX, sample=SMOTE), spark)
        found.append(sorted(map(str, read(spark, tmp_path).collect())))
    assert found[0] == found[1]
    other = recipe(keyed(path), allocate=TO_MAX, sample=SMOTE, seed=2)
    lb.run(other, spark)
    assert sorted(map(str, read(spark, tmp_path).collect())) != found[0]


def test_groups_that_shrink_are_cut_and_others_grow(spark, path, recipe, points, tmp_path):
    allocate = {"balance": {"by": ["label"], "method": "equal"}, "rows": 300}
    result = lb.run(recipe(keyed(path), allocate=allocate, sample=SMOTE), spark)
    found = {g.group["label"]: (g.synthetic, g.epochs) for g in result.plan.groups}
    assert found == {"common": (0, 1 / 3), "few": (88, 1.0), "rare": (60, 1.0)}
    again = lb.run(recipe(keyed(path), allocate=allocate, sample=SMOTE), spark)
    assert again.repeated and again.plan.groups == result.plan.groups
    counts = read(spark, tmp_path).groupBy("label", F.col("lb_parents").isNull().alias("own"))
    assert {(r["label"], r["own"]): r["count"] for r in counts.count().collect()} == {
        ("common", True): 100,
        ("rare", True): 40,
        ("rare", False): 60,
        ("few", True): 12,
        ("few", False): 88,
    }


def test_any_column_that_has_a_place_can_be_a_feature(spark, recipe, tmp_path):
    made = spark.range(30).select(
        "id",
        F.when(F.col("id") < 20, "many").otherwise("rare").alias("label"),
        (F.col("id") % 7).cast("tinyint").alias("small.one"),
        F.expr("date_add(date'2020-02-28', cast(id as int))").alias("Day"),
        F.expr("timestamp'1969-12-31 23:00:00Z' + make_interval(0,0,0,0,0,0,id * 1.5)").alias("at"),
        F.expr("timestamp_ntz'2024-03-31 02:30:00' + make_interval(0,0,0,0,0,id)").alias("wall"),
        F.expr("cast(id / 3 as decimal(20,6))").alias("amount"),
        F.expr("cast(id as float)").alias("f"),
        F.expr("named_struct('a', array(id), 'b', map('k', id))").alias("nested"),
    )
    path = str(tmp_path / "source")
    made.write.format("delta").option("delta.columnMapping.mode", "name").save(path)
    features = ["small.one", "Day", "at", "wall", "amount", "f"]
    sample = {"method": "smote", "features": features, "k_neighbors": 3, "blank": ["id"]}
    asked = recipe(keyed(path), allocate=TO_MAX, sample=sample)
    lb.run(asked, spark)
    output = read(spark, tmp_path)
    assert output.dtypes == [*made.dtypes, ("lb_parents", "array<string>")]
    children = output.where("lb_parents is not null").collect()
    assert len(children) == 10 and all(row["id"] is None for row in children)
    rare = [row for row in made.collect() if row["label"] == "rare"]
    for name in features:
        low, high = min(r[name] for r in rare), max(r[name] for r in rare)
        assert all(low <= row[name] <= high for row in children)
    assert {type(children[0][n]) for n in features} == {int, dt.date, dt.datetime, decimal.Decimal,
                                                        float}  # fmt: skip
    nested = {str(row["nested"]) for row in rare}
    assert {str(row["nested"]) for row in children} <= nested


@pytest.mark.slow
def test_nulls_and_nan_are_refused_or_ignored(spark, table, recipe, by_key, tmp_path):
    rows = [(i, "many", float(i), 1.0) for i in range(20)]
    rows += [(20 + i, "rare", float(i), float(i)) for i in range(8)]
    rows += [(28, "rare", None, 3.0), (29, "rare", float("nan"), 4.0)]
    path = table("source", rows, "id long, label string, x double, y double")
    sample = {"method": "smote", "features": ["x", "y"], "k_neighbors": 2}
    with pytest.raises(RecipeError, match='column "x" is null or NaN in 2 of 10 rows'):
        lb.run(recipe(keyed(path), allocate=TO_MAX, sample=sample), spark)
    assert not list((tmp_path / "out" / "_delta_log").glob("*.json"))
    lb.run(recipe(keyed(path), allocate=TO_MAX, sample={**sample, "nulls": "ignore"}), spark)
    made = read(spark, tmp_path).where("lb_parents is not null").collect()
    assert len(made) == 10
    missing = by_key(path)
    for row in made:
        parent = missing[row["lb_parents"][0]]
        assert (row["x"] is None) == (parent["id"] in (28, 29))


def test_infinite_values_are_refused(spark, table, recipe):
    rows = [(i, "many", 1.0) for i in range(9)] + [(9 + i, "rare", float(i)) for i in range(3)]
    path = table("source", [*rows, (99, "rare", float("inf"))], "id long, label string, x double")
    sample = {"method": "smote", "features": ["x"], "k_neighbors": 1, "nulls": "ignore"}
    with pytest.raises(RecipeError, match=r'"x" is infinite or over 1e\+150 in 1 of 4 rows'):
        lb.run(recipe(keyed(path), allocate=TO_MAX, sample=sample), spark)


@pytest.mark.slow
def test_constant_and_all_null_features_and_a_null_label_are_no_trouble(
    spark, table, recipe, tmp_path
):
    rows = [(i, "many" if i < 20 else None, 1.0, None, float(i)) for i in range(30)]
    path = table("source", rows, "id long, label string, c double, n double, x double")
    sample = {"method": "smote", "features": ["c", "n", "x"], "nulls": "ignore"}
    lb.run(recipe(keyed(path), allocate=TO_MAX, sample=sample), spark)
    made = read(spark, tmp_path).where("lb_parents is not null").collect()
    assert len(made) == 10
    assert {(row["label"], row["c"], row["n"]) for row in made} == {(None, 1.0, None)}
    assert all(20 <= row["x"] <= 29 for row in made)


def test_fewer_rows_than_neighbours(spark, table, recipe, points, tmp_path):
    path = table("source", [*points[:20], *points[-4:], (900, "one", 1.0, 2.0, 3.0, "a")], SCHEMA)
    with pytest.raises(RecipeError, match=r'group "s/few" has 4 rows .* need 6; .*k_neighbors: 3'):
        lb.plan(recipe(keyed(path), allocate=TO_MAX, sample=SMOTE), spark)
    reduced = recipe(keyed(path), allocate=TO_MAX, sample={**SMOTE, "fewer": "reduce"})
    lb.run(reduced, spark)
    output = read(spark, tmp_path)
    assert {r["label"]: r["count"] for r in output.groupBy("label").count().collect()} == {
        "common": 20,
        "few": 20,
        "one": 20,
    }
    # A row that is alone has no neighbour but itself.
    assert {tuple(r)[:6] for r in output.where("label = 'one'").collect()} == {
        (900, "one", 1.0, 2.0, 3.0, "a")
    }


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"features": ["x", "ye"]}, 'sample.features: no column "ye"; did you mean "y"'),
        ({"features": ["x", "colour"]}, 'column "colour" is string, which is no number'),
        ({"features": ["x"], "blank": ["x"]}, "is in sample.features already"),
        ({"parents": "colour"}, 'sample.parents: the sources have a column "colour"'),
        ({"max_group_rows": 39}, r'group "s/rare" has 40 rows .* at most 39'),
    ],
)
def test_what_cannot_be_is_said_by_plan(spark, path, recipe, points, changes, message):
    with pytest.raises(RecipeError, match=message):
        lb.plan(recipe(keyed(path), allocate=TO_MAX, sample={**SMOTE, **changes}), spark)


def test_a_balance_column_is_no_feature(spark, table, recipe):
    path = table("source", [(i, i % 2, float(i)) for i in range(30)], "id long, c int, x double")
    allocate = {"balance": {"by": ["c"], "method": "to_max"}}
    sample = {"method": "smote", "features": ["c", "x"]}
    with pytest.raises(RecipeError, match=r'"c" is in allocate\.balance\.by already'):
        lb.plan(recipe(keyed(path), allocate=allocate, sample=sample), spark)


def test_rows_without_a_key_that_are_equal_have_their_exact_share(spark, table, recipe, tmp_path):
    rows = [("many", float(i)) for i in range(50)]
    rows += [("rare", 1.0)] * 9 + [("rare", 2.0)] * 2
    path = table("source", rows, "label string, x double")
    sample = {"method": "smote", "features": ["x"], "k_neighbors": 2}
    result = lb.run(recipe({"name": "s", "table": path}, allocate=TO_MAX, sample=sample), spark)
    assert result.rows == 100
    made = read(spark, tmp_path).where("label = 'rare' and lb_parents is not null").collect()
    assert len(made) == 39
    # Equal rows are parents each with chance of their own.
    between = [row["x"] for row in made if 1 < row["x"] < 2]
    assert between and len(set(between)) == len(between)


def test_smote_nc_lets_neighbours_vote(spark, path, recipe, points, by_key, tmp_path):
    neighbors = pytest.importorskip("sklearn.neighbors")
    sample = {**SMOTE, "method": "smote_nc", "categorical": ["colour"], "parents": "from"}
    lb.run(recipe(keyed(path), allocate=TO_MAX, sample=sample), spark)
    keys, own = by_key(path), [p for p in points if p[1] == "rare"]
    at = np.array([p[2:5] for p in own])
    hot = np.array([[p[5] == c for c in "abc"] for p in own]) * np.median(at.std(axis=0)) / 2**0.5
    model = neighbors.NearestNeighbors(n_neighbors=6).fit(np.hstack([at, hot]))
    found = model.kneighbors(return_distance=False, n_neighbors=5)
    near = {p[0]: [own[j] for j in js] for p, js in zip(own, found, strict=True)}
    made = read(spark, tmp_path).where("label = 'rare' and `from` is not null").collect()
    assert len(made) == 260
    for row in made:
        first, second = (keys[text]["id"] for text in row["from"])
        colours = [p[5] for p in near[first]]
        assert second in {p[0] for p in near[first]}
        assert row["colour"] == min(colours, key=lambda c: (-colours.count(c), c))


def test_explain_tells_a_parent_how_many_children_it_has(spark, path, recipe, points, tmp_path):
    asked = recipe(keyed(path), allocate=TO_MAX, sample=SMOTE)
    lb.run(asked, spark)
    [fate] = lb.explain(asked, spark, "id = 305")
    made = read(spark, tmp_path).where(F.col("lb_parents")[0] == fate["key"]).count()
    assert (fate["fate"], fate["copies"], fate["children"]) == ("kept", 1, made)


def test_times_and_nested_times_come_over_from_the_first_parent(spark, recipe, tmp_path):
    df = spark.sql(
        """SELECT id, if(id < 5, 'rare', 'common') label, CAST(id AS DOUBLE) x,
        timestamp_micros(id) at, named_struct('at', timestamp_micros(id)) s,
        array(timestamp_micros(id), NULL) a, map('k', timestamp_micros(id)) m FROM range(20)"""
    )
    df.write.format("delta").save(str(tmp_path / "t"))
    zone = spark.conf.get("spark.sql.session.timeZone")
    spark.conf.set("spark.sql.session.timeZone", "America/New_York")
    try:
        source = {"name": "s", "table": str(tmp_path / "t"), "key": ["id"]}
        allocate = {"balance": {"by": ["label"], "method": "to_max"}}
        sample = {"method": "smote", "features": ["x"], "k_neighbors": 3}
        result = lb.run(recipe(source, allocate=allocate, sample=sample), spark)
    finally:
        spark.conf.set("spark.sql.session.timeZone", zone)
    written = spark.read.format("delta").load(result.table)
    same = "unix_micros(at) = id AND s.at = at AND a[0] = at AND a[1] IS NULL AND m['k'] = at"
    assert written.count() == 30 and written.where(same).count() == 30
