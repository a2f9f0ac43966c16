"""Sources: versions, times, keys, filters, NaN, Parquet, any column type."""

import json
import math

import pytest
from pyspark.sql import functions as F

import lakebalance as lb
from lakebalance.core.errors import RecipeError, TableError
from lakebalance.core.hashing import hash128
from lakebalance.core.sources import KEY, unite
from lakebalance.prune.exact import Exact, exact

SCHEMA = "id long, label string, x double"
ROWS = [(i, "a" if i < 8 else "b", math.nan if i == 0 else i / 2) for i in range(10)]


def test_a_version_by_number_or_time(spark, table, recipe):
    path = table("t", ROWS, SCHEMA)
    table("t", ROWS[:3], SCHEMA)
    times = [r["timestamp"] for r in spark.sql(f"DESCRIBE HISTORY delta.`{path}`").collect()]
    spark_time = max(times).strftime("%Y-%m-%d %H:%M:%S.%f")

    def rows(**at):
        planned = lb.plan(recipe({"name": "s", "table": path, **at}), spark)
        return planned.sources[0].version, planned.rows

    assert rows(version=0) == (0, 10)
    assert rows() == rows(timestamp=spark_time) == (1, 3)
    with pytest.raises(TableError, match="no version as old as 1999-01-01"):
        rows(timestamp="1999-01-01")
    with pytest.raises(RecipeError, match='timestamp "soon" is not a time'):
        rows(timestamp="soon")


def test_by_catalog_name(spark, recipe, tmp_path):
    spark.sql("CREATE DATABASE IF NOT EXISTS `lake_db`")
    spark.createDataFrame(ROWS, SCHEMA).createOrReplaceTempView("v")
    spark.sql("DROP TABLE IF EXISTS `lake_db`.flights")
    spark.sql("CREATE TABLE `lake_db`.flights USING delta AS SELECT * FROM v")
    publish = {"table": "`lake_db`.balanced", "state": str(tmp_path / "state")}
    r = recipe(
        "`lake_db`.flights",
        publish=publish,
        allocate={"balance": {"by": ["label"], "method": "equal"}, "rows": 4},
    )
    assert lb.run(r, spark).rows == 4
    assert spark.table("`lake_db`.balanced").count() == 4
    assert lb.run(r, spark).repeated
    spark.sql("DROP DATABASE `lake_db` CASCADE")


@pytest.mark.slow
def test_row_tracking_as_key(spark, table, recipe, tmp_path):
    path = table("t", ROWS, SCHEMA)
    keyed = recipe(
        {"name": "s", "table": path, "key": "row_id"},
        allocate={"balance": {"by": ["label"], "method": "equal"}, "rows": 6},
    )
    with pytest.raises(RecipeError, match=r"sources\.0\.key: .* has no row tracking"):
        lb.plan(keyed, spark)
    spark.sql(f"ALTER TABLE delta.`{path}` SET TBLPROPERTIES (delta.enableRowTracking = true)")
    first = lb.run(keyed, spark)
    rows = sorted(map(repr, spark.read.format("delta").load(first.table).collect()))
    assert len(rows) == 6
    assert spark.read.format("delta").load(first.table).columns == ["id", "label", "x"]
    spark.sql(f"OPTIMIZE delta.`{path}`")
    again = lb.run(keyed, spark)
    assert not again.repeated
    assert sorted(map(repr, spark.read.format("delta").load(again.table).collect())) == rows


def test_nan_is_kept_or_read_as_null(spark, table, recipe, tmp_path):
    path = table("t", ROWS, SCHEMA)
    sources = [
        {"name": name, "table": path, "nan_as_null": name == "nulls"} for name in ("nans", "nulls")
    ]
    r = recipe(*sources, publish={"table": str(tmp_path / "out"), "source_column": "source"})
    written = spark.read.format("delta").load(lb.run(r, spark).table)
    found = written.groupBy("source").agg(
        F.count_if(F.isnan("x")).alias("nans"), F.count_if(F.isnull("x")).alias("nulls")
    )
    assert {tuple(row) for row in found.collect()} == {("nans", 1, 0), ("nulls", 0, 1)}


def test_a_filter_that_cannot_be_read_says_where(spark, table, recipe):
    path = table("t", ROWS, SCHEMA)
    with pytest.raises(RecipeError, match=r"sources\.0\.where: .*lable"):
        lb.plan(recipe({"name": "s", "table": path, "where": "lable = 'a'"}), spark)
    assert lb.plan(recipe({"name": "s", "table": path, "where": "label = 'a'"}), spark).rows == 8


def test_columns_of_any_type_are_grouped_hashed_and_published(spark, recipe, tmp_path):
    df = spark.sql(
        """SELECT id, CAST(id % 2 AS TINYINT) b, CAST(id % 2 AS DECIMAL(20, 9)) / 1e8 d,
        DATE'2024-02-29' + CAST(id % 2 AS INT) dt, TIMESTAMP'2024-02-29 01:02:03.4' ts,
        TIMESTAMP_NTZ'2024-02-29 01:02:03' ntz, CAST('x' AS BINARY) bin, id > 3 bool,
        array(id % 2, NULL) arr, named_struct('p', id % 2, 'q', array(named_struct('r', 'z'))) st,
        map('k', map('kk', id % 2)) m, CAST(NULL AS STRING) nothing, CAST(id AS FLOAT) f,
        INTERVAL '1' DAY iv, CAST('' AS STRING) empty FROM range(8)"""
    )
    kept = [name for name in df.columns if name != "iv"]
    df.select(*kept).write.format("delta").save(str(tmp_path / "t"))
    stored = spark.read.format("delta").load(str(tmp_path / "t"))
    rows = stored.withColumn(KEY, hash128(stored, ["id"], "key"))
    counts = [
        exact(rows, Exact(method="exact", columns=[name]), "prune.0").agg(
            F.lit(name).alias("column"), F.coalesce(F.sum("rows"), F.lit(0)).alias("n")
        )
        for name in kept
    ]
    dropped = {row["column"]: row["n"] for row in unite(counts).collect()}
    once = recipe(str(tmp_path / "t"), prune=[{"method": "exact", "columns": kept[1:-2]}])
    assert lb.plan(once, spark).rows == 4  # by parity, and whether the id is over 3
    by = {"balance": {"by": kept[1:], "method": "equal"}}
    result = lb.run(recipe(str(tmp_path / "t"), allocate={**by, "rows": 10}), spark)
    assert result.rows == 10
    groups = [group["group"] for group in result.plan.to_dict()["groups"]]
    for name in kept[1:]:
        found = {json.dumps(group[name]) for group in groups}
        values = 8 if name == "f" else 1 if name in ("ts", "ntz", "bin", "nothing", "empty") else 2
        assert len(found) == 8 - dropped[name] == values, name
    assert len(groups) == 8 and len(result.published) == 8
    assert spark.read.format("delta").load(result.table).columns == kept


@pytest.mark.slow
def test_parquet_and_delta_together(spark, table, recipe, tmp_path):
    spark.createDataFrame(ROWS, SCHEMA).write.parquet(str(tmp_path / "p"))
    parquet = {"name": "p", "table": str(tmp_path / "p"), "format": "parquet"}
    r = recipe(table("t", ROWS, SCHEMA), parquet)
    first = lb.run(r, spark)
    assert first.rows == 20 and lb.run(r, spark).repeated
    spark.createDataFrame(ROWS[:1], SCHEMA).write.mode("append").parquet(str(tmp_path / "p"))
    assert lb.run(r, spark).rows == 21
