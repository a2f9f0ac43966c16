"""Rows in quarantine: shown, repaired and released, with pandas-like counts as the judge."""

import json
import math
from decimal import Decimal

import pytest
from pyspark.sql import functions as F

import lakebalance as lb
from lakebalance.core.errors import RecipeError, TableError

SCHEMA = "id bigint, `the.x` double, `A b` string, amount decimal(10,2), label string"
# Of 40 rows, four have no name, and five a negative number; one is both. One number is NaN.
ROWS = [
    (
        i,
        math.nan if i == 30 else -float(i) if i % 10 == 5 or i == 7 else float(i),
        None if i % 10 == 7 else f"name {i}",
        None if i == 3 else Decimal(i) / 4,
        "ab"[i % 2],
    )
    for i in range(40)
]
EXPECT = {
    "expectations": [
        {"expectation": "ExpectColumnValuesToBeBetween",
         "args": {"column": "the.x", "min_value": 0, "max_value": 1000}},
        {"expectation": "ExpectColumnValuesToNotBeNull", "args": {"column": "A b"}},
    ]
}  # fmt: skip


@pytest.fixture
def made(spark, table, recipe):
    """A recipe over a table with bad rows, by key or by content, that was run once."""

    def run(key, rows=ROWS, **parts):
        path = table("t", rows, SCHEMA)
        source = {"name": "s", "table": path, **({"key": key} if key else {})}
        asked = recipe(source, **{"expect": EXPECT, **parts})
        return asked, lb.run(asked, spark), path

    return run


def ids(spark, path, condition="true"):
    rows = spark.read.format("delta").load(str(path)).where(condition)
    return sorted(row["id"] for row in rows.select("id").collect())


@pytest.mark.slow  # five runs of a recipe
@pytest.mark.parametrize("key", [["id"], None])
def test_repaired_rows_come_back(spark, made, key, tmp_path, call):
    asked, first, path = made(key)
    bad = {5, 15, 25, 35, 7, 17, 27, 37, 30}
    assert set(ids(spark, first.paths["quarantine"])) == bad
    assert first.plan.released == []

    shown = lb.quarantined(spark, asked)["quarantines"][0]
    assert shown["runs"] == [{"run_id": first.plan.run_id, "rows": 9}]
    assert [r["rows"] for r in shown["reasons"]] == [6, 4]
    assert len(shown["examples"]) == 3 and all(row["lb_key"] for row in shown["examples"])

    # NaN stays NaN, and is beyond all limits; a name that is missing stays so.
    sets = ["`the.x` = abs(`the.x`)"]
    dry = lb.release(asked, spark, sets=sets, where="`the.x` < 0 OR isnan(`the.x`)")
    assert dry["dry_run"] and dry["rows"] == 6 and dry["failing"] == 2
    assert [own["rows"] for own in dry["expectations"]] == [1, 1]
    assert lb.run(asked, spark).repeated, "nothing changes for who only looks"

    done = lb.release(asked, spark, sets=sets, where="`the.x` < 0 OR isnan(`the.x`)", dry_run=False)
    assert {k: v for k, v in done.items() if k != "dry_run"} == {
        k: v for k, v in dry.items() if k != "dry_run"
    }
    second = lb.run(asked, spark)
    assert second.plan.run_id != first.plan.run_id and second.plan.released == [done["request"]]
    assert set(ids(spark, second.paths["quarantine"], f"lb_run_id = '{second.plan.run_id}'")) == {
        7, 17, 27, 37, 30
    }  # fmt: skip
    published = spark.read.format("delta").load(second.table)
    assert set(ids(spark, second.table)) == set(range(40)) - {7, 17, 27, 37, 30}
    back = published.where("id = 15").first()
    assert back["the.x"] == 15.0 and back["A b"] == "name 15" and float(back["amount"]) == 3.75
    assert ids(spark, path, "id = 15 AND `the.x` = -15") == [15], "the source stays as it is"
    assert lb.run(asked, spark).repeated

    [fate] = lb.explain(asked, spark, "id = 15")
    assert fate["fate"] == "kept" and fate["released"] == [done["request"]]
    assert fate["row"]["the.x"] == 15.0
    [fate] = lb.explain(asked, spark, "id = 7")
    assert fate["fate"] == "quarantined" and fate["released"] == [done["request"]]
    [fate] = lb.explain(asked, spark, "id = 8")
    assert "released" not in fate

    # What was repaired once, and still fails, is repaired again from what the source has.
    again = lb.release(asked, spark, sets=["`A b` = concat('nobody ', id)"], dry_run=False,
                       where="`A b` IS NULL")  # fmt: skip
    assert again["rows"] == 4 and again["failing"] == 0
    third = lb.run(asked, spark)
    assert third.plan.released == [done["request"], again["request"]]
    row = spark.read.format("delta").load(third.table).where("id = 7").first()
    assert row["the.x"] == 7.0 and row["A b"] == "nobody 7"
    assert set(range(40)) - set(ids(spark, third.table)) == {30}

    back_again = lb.rollback(asked, spark, first.plan.run_id)
    assert back_again["undone"] == [third.plan.run_id, second.plan.run_id]
    assert set(ids(spark, third.table)) == set(range(40)) - bad


@pytest.mark.slow  # two runs of a recipe, and two plans
def test_a_row_that_the_source_has_corrected_counts(spark, made):
    asked, _, path = made(["id"])
    done = lb.release(asked, spark, sets=["`the.x` = 1"], where="`the.x` < 0", dry_run=False)
    assert done["rows"] == 5
    spark.sql(f"UPDATE delta.`{path}` SET `the.x` = 500 WHERE id = 15")
    planned = lb.plan(asked, spark)
    assert planned.released == [done["request"]]
    [said] = [w["message"] for w in planned.warnings if w["code"] == "released_row_changed"]
    assert said.startswith('1 rows of source "s" that were repaired and released are not as')
    result = lb.run(asked, spark)
    rows = spark.read.format("delta").load(result.table)
    assert {r["id"]: r["the.x"] for r in rows.where("id IN (5, 15)").collect()} == {5: 1, 15: 500}
    spark.sql(f"ALTER TABLE delta.`{path}` DROP COLUMN amount")
    planned = lb.plan(asked, spark)
    said = [w["message"] for w in planned.warnings if w["code"] == "released_row_changed"]
    assert said[0].startswith("5 rows of source")
    assert planned.quarantined == 8, "no row is as it was, and one was corrected"


@pytest.mark.slow
def test_rows_of_a_table_that_was_repaired_by_hand(spark, made, tmp_path):
    asked, first, _ = made(["id"])
    aside = spark.read.format("delta").load(first.paths["quarantine"])
    fixed = aside.where("`A b` IS NULL").select("lb_key", "id", F.lit("me").alias("A b"))
    path = str(tmp_path / "fixed")

    def given(rows):
        writer = rows.write.format("delta").mode("overwrite").option("overwriteSchema", "true")
        writer.option("delta.columnMapping.mode", "name").save(path)
        return {"table": path, "dry_run": False}

    with pytest.raises(TableError, match="has lb_key f"):
        lb.release(
            asked, spark, **given(fixed.withColumn("lb_key", F.concat(F.lit("f"), "lb_key")))
        )
    with pytest.raises(RecipeError, match="4 rows have other values than the quarantine in the ke"):
        lb.release(asked, spark, **given(fixed.withColumn("id", F.col("id") + 100)))
    with pytest.raises(RecipeError, match="is there in more than one row"):
        lb.release(asked, spark, **given(fixed.union(fixed)))
    done = lb.release(asked, spark, **given(fixed))
    assert done["rows"] == 4 and done["failing"] == 1, "the number of 7 is still negative"
    result = lb.run(asked, spark)
    rows = spark.read.format("delta").load(result.table).where("`A b` = 'me'").collect()
    assert {row["id"] for row in rows} == {17, 27, 37}


@pytest.mark.parametrize(
    ("asked_for", "message"),
    [
        ({"sets": ["x + 1"]}, 'write "column = expression"'),
        ({"sets": ["x ="]}, 'write "column = expression"'),
        ({"sets": ["x = 1", "`x` = 2"]}, '"x" is set twice'),
        ({"sets": ["x = rand()"]}, '--set: "rand" is not a function of the row'),
        ({"sets": ["x = 1"], "where": "now() > x"}, '--where: "now" is not a function of the row'),
        ({}, "write either --set"),
        ({"sets": ["x = 1"], "table": "t"}, "write either --set"),
        ({"sets": ["the_x = 1"]}, 'no column "the_x"; did you mean "the.x"'),
        ({"sets": ["id = 1"]}, '"id" is a key column of source "s"'),
        ({"sets": ["label = lable"]}, "lable"),
        ({"sets": ["label = 'x'"], "where": "lable = 1"}, "lable"),
    ],
)
def test_what_cannot_be_repaired_is_said(spark, asked_once, asked_for, message):
    with pytest.raises(RecipeError) as error:
        lb.release(asked_once, spark, **asked_for)
    assert message in str(error.value)


@pytest.fixture(scope="module")
def asked_once(spark, tmp_path_factory):
    """A recipe with a key that was run once."""
    folder = tmp_path_factory.mktemp("once")
    df = spark.createDataFrame(ROWS, SCHEMA)
    df.write.format("delta").option("delta.columnMapping.mode", "name").save(str(folder / "t"))
    asked = lb.Recipe.model_validate(
        {
            "name": "test",
            "sources": [{"name": "s", "table": str(folder / "t"), "key": ["id"]}],
            "expect": EXPECT,
            "publish": {"table": str(folder / "out")},
        }
    )
    lb.run(asked, spark)
    return asked


def test_rows_that_are_not_in_quarantine_are_not_released(spark, asked_once, recipe, table):
    with pytest.raises(TableError, match="has no row in quarantine with: id = 8"):
        lb.release(asked_once, spark, sets=["label = 'x'"], where="id = 8")
    columns = "lb_key string, label string"
    empty = table("empty", [], columns)
    with pytest.raises(TableError, match=r"--table .*empty: it has no row"):
        lb.release(asked_once, spark, table=empty)
    never = recipe(table("n", ROWS, SCHEMA))
    with pytest.raises(TableError, match="run the recipe first"):
        lb.release(never, spark, sets=["label = 'x'"])
    with pytest.raises(TableError, match="no row is in quarantine in"):
        lb.quarantined(spark, never)
    lb.run(never, spark)
    with pytest.raises(TableError, match="set no row aside"):
        lb.release(never, spark, sets=["label = 'x'"])


@pytest.mark.slow  # four runs of a recipe
@pytest.mark.parametrize("key", [["id"], None])
@pytest.mark.parametrize("where", ["id = 15", "`the.x` = 1000"])
def test_what_was_repaired_is_forgotten_like_any_other_row(spark, made, key, where):
    """By what it was, or by what it became: no run takes it in again, and nothing keeps it."""
    asked, _, _ = made(key)
    sets = ["`the.x` = CASE WHEN id = 15 THEN 1000 ELSE abs(`the.x`) END"]
    done = lb.release(asked, spark, sets=sets, where="`the.x` < 0", dry_run=False)
    second = lb.run(asked, spark)
    assert 15 in ids(spark, second.table) and 25 in ids(spark, second.table)
    forgotten = lb.forget(asked, spark, where=where, dry_run=False)
    assert forgotten["complete"]
    left = [line for line in forgotten["leftovers"] if "/released-" in line["table"]]
    assert [line["marked"] for line in left] == [1] and left[0]["after"]["marked"] == 0
    assert 15 not in ids(spark, second.table) and 25 in ids(spark, second.table)
    again = lb.run(asked, spark)
    assert again.plan.released == [done["request"]]
    assert 15 not in ids(spark, again.table) and 25 in ids(spark, again.table)
    [fate] = lb.explain(asked, spark, "id = 15")
    assert fate["fate"] == "forgotten"


@pytest.mark.slow
def test_two_sources_of_one_table_and_one_of_another(spark, table, recipe):
    """Rows of equal keys in two tables are told apart; sources are repaired each by itself."""
    one, two = table("one", ROWS, SCHEMA), table("two", ROWS, SCHEMA.replace("id bigint", "id int"))
    asked = recipe(
        {"name": "low", "table": one, "key": ["id"], "where": "id < 20"},
        {"name": "high", "table": one, "key": ["id"], "where": "id >= 20"},
        {"name": "other", "table": two},
        expect=EXPECT,
        publish={"table": one + "_out", "source_column": "from"},
    )
    first = lb.run(asked, spark)
    assert first.plan.quarantined == 18
    done = lb.release(asked, spark, sets=["`the.x` = abs(`the.x`)"], dry_run=False,
                      where="`the.x` < 0 AND lb_source <> 'other'")  # fmt: skip
    assert {own["source"]: own["rows"] for own in done["sources"]} == {"low": 3, "high": 2}
    second = lb.run(asked, spark)
    rows = spark.read.format("delta").load(second.table)
    counts = {row["from"]: row["count"] for row in rows.groupBy("from").count().collect()}
    assert counts == {"low": 18, "high": 17, "other": 31}
    assert not [w for w in second.plan.warnings if w["code"] == "released_row_changed"]


@pytest.mark.slow
def test_the_command_shows_and_releases(spark, made, call, tmp_path):
    asked, first, _ = made(["id"])
    path = tmp_path / "r.yaml"
    path.write_text(asked.to_yaml())
    code, out, err = call("quarantine", "show", path)
    assert code == 0 and "9 rows of 1 runs are in" in out, err
    state = first.paths["ledger"].rpartition("/")[0]
    code, out, _ = call("quarantine", "show", state, "--examples", "0", "--json")
    assert code == 0 and json.loads(out)["quarantines"][0]["runs"][0]["rows"] == 9
    code, out, _ = call("quarantine", "release", path, "--set", "the.x = abs(`the.x`)")
    assert code == 0 and "9 rows of run" in out and "4 pass" in out and "--confirm" in out
    code, _, err = call("quarantine", "release", path, "--set", "the.x = rand()")
    assert code == 2 and "is not a function of the row" in err
    code, out, _ = call("quarantine", "release", path, "--set", "the.x = abs(`the.x`)",
                        "--confirm", "--json")  # fmt: skip
    assert code == 0 and json.loads(out)["rows"] == 9
    code, out, _ = call("plan", path, "--json")
    assert code == 0 and len(json.loads(out)["released"]) == 1


@pytest.mark.slow
def test_rows_without_a_key_are_counted_as_often_as_they_are_there(spark, made, call, tmp_path):
    rows = [(i % 5, None if i % 5 == 0 else 1.0, "n", Decimal(1), "a") for i in range(60)]
    not_null = {"expectation": "ExpectColumnValuesToNotBeNull", "args": {"column": "the.x"}}
    asked, _, _ = made(None, rows, expect={"expectations": [not_null]})
    said = lb.release(asked, spark, sets=["`the.x` = if(id = 0, null, 1)"])
    assert (said["rows"], said["failing"]) == (12, 12)
    said = lb.release(asked, spark, sets=["`the.x` = 7"], dry_run=False)
    assert (said["rows"], said["failing"]) == (12, 0)
    assert lb.run(asked, spark).rows == 60
