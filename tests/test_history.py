"""Runs compared with each other, and tables taken back to what an earlier one published."""

import pytest

import lakebalance as lb
from lakebalance.core.errors import RecipeError, TableError
from lakebalance.run_diff import changes

ROWS = [(i, "ab"[i % 5 == 0], i / 3) for i in range(400)]
SCHEMA = "id long, label string, x double"
BALANCE = {"balance": {"by": ["label"], "method": "equal"}, "rows": 100}


def ids(spark, path):
    return sorted(row["id"] for row in spark.read.format("delta").load(path).collect())


@pytest.fixture(scope="module")
def runs(spark, tmp_path_factory):
    """Three runs to one target: a seed, another one on more rows, and a third that holds out."""
    folder = tmp_path_factory.mktemp("history")
    source = str(folder / "s")
    spark.createDataFrame(ROWS, SCHEMA).write.format("delta").save(source)

    def of(**parts):
        body = {
            "name": "history",
            "seed": 1,
            "sources": [{"name": "s", "table": source, "key": ["id"]}],
            "split": {"shares": {"test": 0.1}},
            "allocate": BALANCE,
            "publish": {"table": str(folder / "out")},
        }
        return lb.Recipe.model_validate({**body, **parts})

    recipes = [of(), of(seed=2), of(seed=2)]
    made, left = [], []
    for i, recipe in enumerate(recipes):
        if i == 2:
            more = [(1000 + j, "c", 0.5) for j in range(30)]
            writer = spark.createDataFrame(more, SCHEMA).write.format("delta")
            writer.mode("append").save(source)
        made.append(lb.run(recipe, spark))
        left.append([ids(spark, str(folder / name)) for name in ("out", "out_test")])
    return folder, recipes, made, left


def test_a_diff_says_what_changed_in_recipe_sources_groups_and_rows(spark, runs):
    _, recipes, made, left = runs
    first, second, third = (result.plan.run_id for result in made)
    found = lb.diff(recipes[2], spark, first, second)
    assert [r["run_id"] for r in found["runs"]] == [first, second]
    assert found["recipe"] == [{"field": "seed", "before": 1, "after": 2}]
    assert found["sources"] == [] and found["groups"] == [] and found["unchanged"] == 4
    for name, at in (("balanced", 0), ("test", 1)):
        old, new = left[0][at], left[1][at]
        same = sum(min(old.count(i), new.count(i)) for i in set(old))
        assert found["outputs"][name] == {
            "before": len(old), "after": len(new), "same": same,
            "only_before": len(old) - same, "only_after": len(new) - same,
        }  # fmt: skip
    assert 0 < found["outputs"]["balanced"]["same"] < 100

    # Without names, the newest run and the one before it.
    newest = lb.diff(recipes[2], spark)
    assert [r["run_id"] for r in newest["runs"]] == [second, third]
    ((source,), (group, *_)) = newest["sources"], newest["groups"]
    assert (source["before"]["rows"], source["after"]["rows"]) == (400, 430)
    assert {g["group"]["label"] for g in newest["groups"]} == {"a", "b", "c"}
    assert group["before"] is None and group["after"]["target"] == 33


@pytest.mark.slow
def test_a_rollback_makes_a_run_the_newest_again(spark, runs):
    folder, recipes, made, left = runs
    target, other = str(folder / "out"), str(folder / "out_test")
    first, second, third = (result.plan.run_id for result in made)
    done = lb.rollback(recipes[0], spark, first[:9])
    assert (done["run_id"], done["undone"]) == (first, [third, second])
    assert [t["name"] for t in done["tables"]] == ["balanced", "test"]
    assert [ids(spark, target), ids(spark, other)] == left[0]
    # The run is the newest of the ledger, and the one that is explained.
    assert all(f["fate"] for f in lb.explain(recipes[0], spark, "id < 5"))
    version = done["tables"][0]["version"]
    assert lb.rollback(recipes[0], spark, first)["tables"][0]["before"] == version
    # One that was undone is made once more, of the same rows; one that was taken back to is there.
    anew = lb.run(recipes[2], spark)
    assert not anew.repeated and [ids(spark, target), ids(spark, other)] == left[2]
    lb.rollback(recipes[0], spark, second)
    done = lb.rollback(recipes[0], spark, third)
    again = lb.run(recipes[2], spark)
    assert again.repeated and again.version == done["tables"][0]["version"] > anew.version
    assert [ids(spark, target), ids(spark, other)] == left[2]


def test_runs_that_are_not_there(spark, runs, recipe):
    _, recipes, made, _ = runs
    known = made[0].plan.run_id
    with pytest.raises(RecipeError, match=f'"{known}x" in the ledger; did you mean "{known}"'):
        lb.rollback(recipes[0], spark, f"{known}x")
    with pytest.raises(RecipeError, match=r'"" is the beginning of .*; write more of it'):
        lb.diff(recipes[0], spark, "", known)
    with pytest.raises(TableError, match=r"no run to .* is in the ledger .*; run the recipe first"):
        lb.diff(recipe("a/b"), spark)


def test_fields_of_recipes_are_compared_by_their_paths():
    assert changes({"a": 1, "b": 0}, {"a": True, "b": 0.0}) == [
        {"field": "a", "before": 1, "after": True}
    ]
    old = {"sources": [{"name": "a", "where": "x"}, {"name": "b"}], "prune": [], "tags": [1, 2]}
    new = {"sources": [{"name": "b", "key": ["id"]}], "prune": [{"method": "exact"}], "tags": [1]}
    assert [(c["field"], c["before"], c["after"]) for c in changes(old, new)] == [
        ("sources.a.name", "a", None),
        ("sources.a.where", "x", None),
        ("prune", [], None),
        ("tags", [1, 2], [1]),
        ("sources.b.key", None, ["id"]),
        ("prune.0.method", None, "exact"),
    ]
