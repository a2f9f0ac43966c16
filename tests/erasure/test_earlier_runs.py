"""Rows that are with earlier runs alone: set aside, in old files, hidden by deletion vectors."""

import pytest
from pyspark.sql import functions as F

import lakebalance as lb
from lakebalance.erasure.asked import Asked, Picker
from tests.erasure.lakes import files_with

SCHEMA = "id long, q long, label string, word string"
GATE = {
    "expectations": [
        {
            "expectation": "ExpectColumnValuesToBeBetween",
            "args": {"column": "q", "min_value": 0},
            "on_fail": "quarantine",
        }
    ]
}
ASK = {"where": "id = 7", "sources": True, "vacuum_hours": 0, "dry_run": False}


def rows():
    return [(i, -1 if i == 7 else i, "ab"[i % 2], f"secret{i}") for i in range(30)]


def written(spark, path, own):
    df = spark.createDataFrame(own, SCHEMA).coalesce(1)
    df.write.format("delta").mode("overwrite").save(str(path))
    return {"name": "s", "table": str(path), "key": ["id"]}


def set_aside(spark, folder):
    kept = spark.read.format("delta").load(str(folder / "_lakebalance" / "quarantine-test"))
    return {row["id"] for row in kept.collect()}


@pytest.mark.slow
@pytest.mark.parametrize("since", ["filtered", "deleted", "renamed"])
def test_rows_that_an_earlier_run_set_aside_are_found(spark, recipe, tmp_path, since):
    source = written(spark, tmp_path / "s", rows())
    lb.run(recipe(source, expect=GATE), spark)
    assert set_aside(spark, tmp_path) == {7}
    if since == "filtered":
        later = recipe(source | {"where": "q >= 0"}, expect=GATE)
    else:
        spark.sql(f"DELETE FROM delta.`{tmp_path}/s` WHERE id = 7")
        named = {"name": "other", "sources": [source | {"name": "t"}]}
        later = recipe(source, expect=GATE, seed=2, **(named if since == "renamed" else {}))
    lb.run(later, spark)
    shown = lb.forget(later, spark, where="id = 7")
    assert [(own["table"].rpartition("/")[2], own["marked"]) for own in shown["leftovers"]] == [
        ("quarantine-test", 1)
    ]
    done = lb.forget(later, spark, **ASK)
    assert done["complete"] and set_aside(spark, tmp_path) == set()
    assert not files_with(tmp_path, "'secret7'")


@pytest.mark.slow
def test_old_files_of_the_recipes_tables_go_though_no_run_reads_the_row_now(
    spark, recipe, tmp_path
):
    source = written(spark, tmp_path / "s", rows())
    first = recipe(source)
    lb.run(first, spark)
    next_one = recipe({"name": "o", "table": str(tmp_path / "out")}, name="next", publish={
        "table": str(tmp_path / "next")
    })  # fmt: skip
    lb.run(next_one, spark)
    spark.sql(f"DELETE FROM delta.`{tmp_path}/s` WHERE id = 7")
    lb.run(recipe(source, seed=2), spark)
    lb.run(next_one, spark)
    assert {file.parent.name for file in files_with(tmp_path, "'secret7'")} == {"s", "out", "next"}
    done = lb.forget(recipe(source, seed=2), spark, **ASK)
    assert done["complete"] and not files_with(tmp_path, "'secret7'")


@pytest.mark.slow
def test_rows_behind_deletion_vectors_go_though_these_were_switched_off(spark, recipe, tmp_path):
    source = written(spark, tmp_path / "s", rows())
    table = f"delta.`{tmp_path}/s`"
    vectors = "SET TBLPROPERTIES ('delta.enableDeletionVectors' = '{}')"
    spark.sql(f"ALTER TABLE {table} {vectors.format('true')}")
    lb.run(recipe(source), spark)
    spark.sql(f"DELETE FROM {table} WHERE id = 7")
    spark.sql(f"ALTER TABLE {table} {vectors.format('false')}")
    done = lb.forget(recipe(source), spark, **ASK)
    assert done["complete"] and not files_with(tmp_path, "'secret7'")


@pytest.mark.slow
def test_quarantine_that_cannot_be_searched_is_not_complete(spark, recipe, tmp_path):
    source = written(spark, tmp_path / "s", rows())
    lb.run(recipe(source, expect=GATE), spark)
    more = spark.read.format("delta").load(str(tmp_path / "s")).withColumn("more", F.col("id"))
    more.write.format("delta").mode("overwrite").option("mergeSchema", "true").save(
        str(tmp_path / "s")
    )
    merging = {"table": str(tmp_path / "out"), "merge_schema": True}
    later = recipe(source | {"where": "q >= 0"}, expect=GATE, publish=merging)
    lb.run(later, spark)
    done = lb.forget(later, spark, where="more = 7", dry_run=False)
    assert not done["complete"]
    assert any("quarantine-test cannot be searched" in note for note in done["notes"])


@pytest.mark.parametrize(
    ("kind", "values", "given", "keys", "found"),
    [
        ("int", "7, 8, 100", "double", "7.9D, 8.0D, 100.2D", ["8"]),
        ("int", "7, 8", "string", "'7', '8.0', ' x'", ["7"]),
        ("decimal(10,2)", "0.01, 0.02", "string", "'0.014999', '0.02', '0.020'", ["0.02"]),
        ("decimal(10,2)", "0.01, 0.02", "double", "0.014D, 0.02D", ["0.02"]),
        ("date", "date'2024-01-01', date'2024-01-02'", "string",
         "'2024', '2024-01', '2024-01-02'", ["2024-01-02"]),
        ("date", "date'2024-01-01', date'2024-01-02'", "timestamp",
         "timestamp'2024-01-01 23:30:00', timestamp'2024-01-02 00:00:00'", ["2024-01-02"]),
        ("timestamp", "timestamp'2024-01-01 00:00:00'", "string",
         "'2024', '2024-01-01 00:00:00.0000001'", []),
        ("bigint", "7, 8", "int", "8", ["8"]),
    ],
)  # fmt: skip
def test_keys_of_other_types_are_rows_that_have_the_same_value(
    spark, tmp_path, kind, values, given, keys, found
):
    def column(listed, kind):
        return spark.sql(f"SELECT explode(array({listed})) k").selectExpr(f"cast(k AS {kind}) k")

    column(keys, given).write.format("delta").save(str(tmp_path / "keys"))
    picker = Picker(spark, Asked(keys=str(tmp_path / "keys")))
    picked = picker.pick(column(values, kind))
    assert sorted(str(row["k"]) for row in picked.collect()) == found
