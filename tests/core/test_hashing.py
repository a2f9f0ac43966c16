"""A hash says the same of values that mean the same, and another of others."""

import pytest
from pyspark.sql import functions as F

from lakebalance.core.columns import column
from lakebalance.core.hashing import _parts, canonical_sql, hash128
from lakebalance.core.hashing import hashed as hashed_columns
from lakebalance.core.row_hash import hash_columns


def hashed(spark, rows, schema):
    df = spark.createDataFrame(rows, schema)
    return [r[0] for r in df.select(hash128(df, df.columns, 7)).collect()]


def test_integrals_floats_and_decimals_hash_by_value(spark):
    assert hashed(spark, [(1,)], "a int") == hashed(spark, [(1,)], "a bigint")
    one, two, nan1, nan2 = hashed(
        spark, [(0.0,), (-0.0,), (float("nan"),), (-float("nan"),)], "a double"
    )
    assert one == two and nan1 == nan2 and one != nan1
    from decimal import Decimal as D

    assert hashed(spark, [(D("1.50"),)], "a decimal(9,2)") == hashed(
        spark, [(D("1.5000"),)], "a decimal(18,4)"
    )


def test_nulls_keep_their_place(spark):
    values = hashed(spark, [(None, 1), (1, None), (None, None), (1, 1)], "a int, b int")
    assert len(set(values)) == 4
    lists = hashed(spark, [([1, None],), ([None, 1],), ([1],), (None,), ([],)], "a array<int>")
    assert len(set(lists)) == 5


def test_nested_values_and_maps(spark):
    schema = "a struct<x:double,m:array<struct<y:int>>>, b map<string,int>"
    same = hashed(
        spark, [((-0.0, [(1,)]), {"p": 1, "q": 2}), ((0.0, [(1,)]), {"q": 2, "p": 1})], schema
    )
    assert same[0] == same[1]


def test_small_decimals_hash_by_value_with_and_without_ansi(spark):
    values = ["0.00000001", "-0.00000001", "0", "0.5", "1.5", "-1.5", "-0.5", "10", "100"]
    query = "SELECT CAST(v AS DECIMAL({})) a FROM VALUES {} t(v)"
    rows = ", ".join(f"('{v}')" for v in values)

    def hashes(kind):
        df = spark.sql(query.format(kind, rows))
        return [r[0] for r in df.select(hash128(df, ["a"])).collect()]

    narrow, wide = hashes("12, 8"), hashes("30, 15")
    assert narrow == wide and len(set(narrow)) == len(values)
    before = spark.conf.get("spark.sql.ansi.enabled")
    spark.conf.set("spark.sql.ansi.enabled", "false")
    try:
        assert hashes("12, 8") == narrow
    finally:
        spark.conf.set("spark.sql.ansi.enabled", before)


def test_a_map_in_a_map_is_hashed_whatever_its_order(spark):
    one, other = (
        spark.sql(f"SELECT map({order}) m")
        for order in (
            "'a', map('x', 1, 'y', 2), 'b', map('z', 3)",
            "'b', map('z', 3), 'a', map('y', 2, 'x', 1)",
        )
    )
    assert (
        one.select(hash128(one, ["m"])).collect() == other.select(hash128(other, ["m"])).collect()
    )


def test_a_hash_written_as_sql_is_the_one_that_columns_make(spark):
    rows = spark.range(30).select(
        F.expr("if(id % 3 = 0, null, cast(id as tinyint))").alias("a.b `c` d"),
        F.expr("if(id % 4 = 0, null, if(id = 7, '', concat('x', id)))").alias("Text"),
        F.expr("id % 5 = 0").alias("select"),
        F.expr("if(id = 9, null, timestamp_micros(id * 1000001))").alias("when"),
        F.expr("date_add(date'2020-01-01', cast(id as int))").alias("day"),
        F.expr("id / 7").alias("no SQL"),
    )
    for names in (["a.b `c` d"], ["Text"], rows.columns[:5], ["Text", "a.b `c` d"]):
        assert canonical_sql(rows, names) is not None
        made = {
            "sql": hash128(rows, names, "key", "it's"),
            "columns": hashed_columns(_parts(rows, names), "key", "it's"),
        }
        both = rows.select(*map(column, names)).distinct().withColumns(made)
        assert both.where("sql = columns").count() == both.select("sql").distinct().count()
        assert both.where("sql = columns").count() == both.count()
    assert canonical_sql(rows, ["Text", "no SQL"]) is None


def test_a_name_that_sql_would_fill_in_is_hashed_as_it_is(spark):
    rows = spark.range(3).withColumnRenamed("id", "${spark.app.name}")
    assert rows.select(hash128(rows, rows.columns, "key").alias("h")).distinct().count() == 3


LISTS = ["cast(null as array<boolean>)", "array()", "array(null)", "array(false)", "array(true)",
         "array(false, false)", "array(null, false)", "array(false, null)"]  # fmt: skip
NESTED = ["cast(null as array<array<int>>)", "array()", "array(array())", "array(array(), array())",
          "array(null)", "array(array(0))", "array(array(0), array())", "array(array(), array(0))",
          "array(array(null))", "array(array(0, 0))"]  # fmt: skip
MAPS = ["cast(null as map<boolean, int>)", "map()", "map(false, 0)", "map(true, null)",
        "map(false, 0, true, 0)"]  # fmt: skip
STRUCTS = [f"cast({text} as struct<a:boolean,b:array<date>>)" for text in (
    "null", "named_struct('a', null, 'b', null)", "named_struct('a', false, 'b', array())",
    "named_struct('a', false, 'b', null)",
    "named_struct('a', null, 'b', array(date'1970-01-01'))",
    "named_struct('a', false, 'b', array(date'1970-01-01'))",
)]  # fmt: skip
FLAGS = ["cast(null as boolean)", "false", "true"]
DAYS = ["cast(null as date)", "date'1970-01-01'", "date'1970-01-02'"]


def combined(spark, *columns):
    """Each combination of values of columns, a row."""
    df = spark.range(1).drop("id")
    for i, values in enumerate(columns):
        df = df.selectExpr("*", f"explode(array({', '.join(values)})) c{i}")
    return df


@pytest.mark.parametrize(
    "columns",
    [(LISTS, LISTS, FLAGS), (FLAGS, LISTS, DAYS), (NESTED, NESTED), (MAPS, MAPS, FLAGS),
     (STRUCTS, FLAGS, LISTS), (STRUCTS, STRUCTS), (NESTED, MAPS, DAYS)],
    ids=["lists", "between", "nested", "maps", "structs", "two structs", "mixed"],
)  # fmt: skip
def test_no_two_rows_are_the_same_one_value_after_the_other(spark, columns):
    df = combined(spark, *columns)
    every = 1
    for values in columns:
        every *= len(values)
    as_sql = ["struct(" + ", ".join(h.rpartition(" AS ")[0] for h in hash_columns(df.schema)) + ")"]
    hashes = df.select(hash128(df, df.columns).alias("h"), F.expr(as_sql[0]).alias("r"))
    found = hashes.agg(F.count_distinct("h"), F.count_distinct("r"), F.count("*")).collect()[0]
    assert tuple(found) == (every, every, every)
