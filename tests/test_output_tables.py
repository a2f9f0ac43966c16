"""Tables that are read are not written, and one that is made anew is another table."""

import shutil

import pytest
from pyspark.sql import functions as F

import lakebalance as lb
from lakebalance.core.errors import RecipeError, TableError
from lakebalance.frames import Frames
from lakebalance.table_checks import check_outputs

EQUAL = {"balance": {"by": ["g"], "method": "equal"}}


def write(spark, path, group, rows=60, first=0):
    made = spark.range(first, first + rows).select("id", F.lit(group).alias("g"))
    made.coalesce(1).write.format("delta").mode("overwrite").save(str(path))
    return str(path)


def groups(spark, path):
    found = spark.read.format("delta").load(str(path)).groupBy("g").count().collect()
    return {row["g"]: row["count"] for row in found}


@pytest.mark.slow
def test_a_source_that_was_made_anew_is_another_one(spark, recipe, tmp_path):
    path = write(spark, tmp_path / "s", "old")
    asked = recipe({"name": "s", "table": path, "key": ["id"]}, allocate=EQUAL)
    first = lb.run(asked, spark)
    assert first.plan.sources[0].version == 0 and lb.run(asked, spark).repeated
    shutil.rmtree(path)
    write(spark, path, "new", rows=90, first=5000)
    with pytest.raises(TableError, match="s: its table was made anew since that run read it"):
        lb.explain(asked, spark, "id = 5001")
    second = lb.run(asked, spark)
    assert not second.repeated and second.plan.sources[0].version == 0
    assert groups(spark, tmp_path / "out") == {"new": 90}
    assert lb.explain(asked, spark, "id = 5001")[0]["fate"] == "kept"
    assert first.plan.run_id != second.plan.run_id == lb.plan(asked, spark).run_id


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("s", "is the table of 's', which is read"),
        ("x/../s/", "is the table of 's', which is read"),
        ("t", "is the table of 't', which is read"),
    ],
)
def test_what_is_read_is_not_written(recipe, tmp_path, target, says):
    with pytest.raises(ValueError, match=says):
        recipe(
            {"name": "s", "table": str(tmp_path / "s")},
            evaluation=[{"name": "t", "table": str(tmp_path / "t"), "columns": {"x": ["x"]}}],
            publish={"table": f"{tmp_path}/{target}"},
        )


def test_parts_have_tables_of_their_own(recipe, tmp_path):
    for table, says in (("s", "is the table of 's'"), ("./out/", "'balanced' and 'test' are one")):
        split = {"shares": {"test": 0.2}, "tables": {"test": f"{tmp_path}/{table}"}}
        with pytest.raises(ValueError, match=says):
            recipe({"name": "s", "table": f"file:{tmp_path}/s"}, split=split)


@pytest.mark.slow
def test_a_catalog_name_and_a_path_may_be_one_table(spark, recipe, tmp_path):
    path = write(spark, tmp_path / "s", "a")
    spark.sql("CREATE DATABASE IF NOT EXISTS outputs")
    spark.sql(f"CREATE TABLE outputs.s USING delta LOCATION '{path}'")
    state = str(tmp_path / "state")
    try:
        asked = recipe(path, publish={"table": "outputs.s", "state": state})
        for ask in (lb.plan, lb.run):
            with pytest.raises(
                RecipeError, match=r'publish\.table: outputs\.s is the table of "s0"'
            ):
                ask(asked, spark)
        assert groups(spark, path) == {"a": 60}
        within = recipe(path, publish={"table": f"{path}/balanced"})
        with pytest.raises(RecipeError, match='lies in the folder of the table of "s0", which is'):
            check_outputs(Frames(within, spark))
        around = recipe(write(spark, tmp_path / "out" / "s", "a"))
        with pytest.raises(RecipeError, match=r"publish.table: .* has in its folder the table of"):
            check_outputs(Frames(around, spark))
        check_outputs(Frames(recipe(path, publish={"table": "outputs.new", "state": state}), spark))
    finally:
        spark.sql("DROP DATABASE outputs CASCADE")


@pytest.mark.slow
def test_a_target_in_other_letters_is_refused_before_it_is_written(spark, recipe, tmp_path):
    path = write(spark, tmp_path / "s", "a")
    target = str(tmp_path / "out")
    spark.sql(f"CREATE TABLE delta.`{target}` (ID BIGINT, G STRING) USING delta")
    asked = recipe({"name": "s", "table": path, "key": ["id"]}, allocate=EQUAL)
    with pytest.raises(TableError, match='has a column "ID" where the output has "id"; write'):
        lb.run(asked, spark)
    assert spark.read.format("delta").load(target).count() == 0
    merging = {"table": target, "merge_schema": True}
    lb.run(
        recipe({"name": "s", "table": path, "key": ["id"]}, allocate=EQUAL, publish=merging), spark
    )
    assert spark.read.format("delta").load(target).columns == ["id", "g"]
