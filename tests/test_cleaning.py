"""What runs leave beside their tables, taken out where nobody needs it any more."""

import pytest
from pyspark.sql import functions as F

import lakebalance as lb
from lakebalance.core.errors import RecipeError, TableError
from lakebalance.publish.state import State

ROWS = [(i, f"text {i % 60}", i % 3) for i in range(120)]
NAMES = ["index-seen", "matches-cleaned-0", "quarantine-cleaned"]


@pytest.fixture(scope="module")
def runs(spark, tmp_path_factory):
    """Three runs to one target, with rows set aside, matches, and an index; two batches in all."""
    folder = tmp_path_factory.mktemp("clean")
    source = str(folder / "s")
    spark.createDataFrame(ROWS, "id long, text string, day long").write.format("delta").save(source)

    def of(days, seed):
        said = {"expectation": "ExpectColumnValuesToNotBeInSet"}
        said["args"] = {"column": "id", "value_set": [0, 1, 2]}
        return lb.Recipe.model_validate(
            {
                "name": "cleaned",
                "seed": seed,
                "sources": [{"name": "s", "table": source, "key": ["id"], "where": days}],
                "expect": {"expectations": [said]},
                "prune": [{"method": "exact", "columns": ["text"], "index": "seen"}],
                "publish": {"table": str(folder / "out")},
            }
        )

    recipes = [of("day = 0", 1), of("day = 0", 2), of("day > 0", 3)]
    return recipes, [lb.run(recipe, spark).plan.run_id for recipe in recipes]


def left_of(spark, recipe):
    state = State.beside(recipe.publish.table, None)
    return {
        name: {
            row["lb_run_id"]
            for row in spark.read.format("delta").load(state.table(name).name)
            .select("lb_run_id").distinct().collect()
        }
        for name in NAMES
    }  # fmt: skip


@pytest.mark.slow
def test_old_runs_go_but_what_others_need_stays(spark, runs):
    (recipe, *_), (first, second, third) = runs
    before = left_of(spark, recipe)
    assert before == {name: {first, second, third} for name in NAMES}
    shown = lb.clean(recipe, spark, keep=1)
    assert shown["dry_run"] and shown["kept"] == [third]
    assert {t["table"]: set(t["runs"]) for t in shown["tables"]} == {
        # The second run is the newest of its batch: the third was compared with its entries.
        "index-seen": {first},
        "matches-cleaned-0": {first, second},
        "quarantine-cleaned": {first, second},
    }
    assert all(t["rows"] > 0 for t in shown["tables"])
    assert left_of(spark, recipe) == before

    done = lb.clean(recipe, spark, keep=1, dry_run=False)
    assert done["tables"] == shown["tables"]
    left = left_of(spark, recipe)
    assert left == {NAMES[0]: {second, third}, NAMES[1]: {third}, NAMES[2]: {third}}
    assert lb.clean(recipe, spark, keep=1)["tables"] == []
    # Whoever is asked about it says so.
    assert lb.explain(runs[0][2], spark, "id = 4")[0]["fate"] in ("duplicate", "kept")
    lb.rollback(recipe, spark, first)
    with pytest.raises(TableError, match=r"prune\.0 dropped in run .* was cleaned before"):
        lb.explain(recipe, spark, "id = 3")


def test_what_killed_runs_left_goes_if_asked(spark, recipe):
    recipe = recipe("a/b")
    state = State.beside(recipe.publish.table, None)
    rows = spark.range(7).select(F.col("id").alias("x"))
    state.write(rows, "matches-other-3", "of-no-run")
    state.add(rows, "scratch-other-0-a b", "of-no-run-0123abcd")
    assert "matches-other-3" not in {t["table"] for t in lb.clean(recipe, spark)["tables"]}
    found = lb.clean(recipe, spark, unfinished=True, dry_run=False)["tables"]
    assert {t["table"]: t["rows"] for t in found if "other" in t["table"]} == {
        "matches-other-3": 7,
        "scratch-other-0-a b": 7,
    }
    again = lb.clean(recipe, spark, unfinished=True)["tables"]
    assert not any("other" in t["table"] for t in again)


def test_the_newest_run_stays_and_nothing_is_no_error(spark, recipe):
    with pytest.raises(RecipeError, match="keep must be 1 or more"):
        lb.clean(recipe("a/b"), spark, keep=0)
    assert lb.clean(recipe("a/b"), spark) == {"dry_run": True, "kept": [], "tables": []}
