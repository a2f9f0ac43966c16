"""Rows that others have: names that ours have, wider types, dates beyond Python's, nesting."""

import json

import pytest
from pyspark.sql import functions as F

import lakebalance as lb
from lakebalance.core.errors import RecipeError, TableError
from lakebalance.core.readable import readable_rows

OURS = ["low", "high", "rest", "bucket", "part", "here", "at", "row", "hi", "lo", "Group", "copies"]


def save(df, path):
    df.write.format("delta").mode("overwrite").option("overwriteSchema", "true").save(str(path))
    return {"name": "s", "table": str(path), "key": ["id"]}


@pytest.mark.parametrize(
    "sample",
    [
        {"method": "repeat"},
        pytest.param(
            {"method": "smote", "features": ["high"], "k_neighbors": 2}, marks=pytest.mark.slow
        ),
        pytest.param({"method": "bootstrap"}, marks=pytest.mark.slow),
        pytest.param({"method": "weight"}, marks=pytest.mark.slow),
    ],
    ids=lambda sample: sample["method"],
)
def test_columns_may_be_called_as_ours_are(spark, recipe, tmp_path, sample):
    label = F.when(F.col("id") < 40, "a").otherwise("b").alias("y")
    df = spark.range(55).select("id", label, *[F.col("id").cast("double").alias(n) for n in OURS])
    source = save(df, tmp_path / "s")
    allocate = {"balance": {"by": ["y"], "method": "equal"}, "rows": 47}
    result = lb.run(recipe(source, allocate=allocate, sample=sample), spark)
    # Weights keep all rows.
    assert sum(p["planned"] for p in result.published) == (
        55 if sample["method"] == "weight" else 47
    )
    assert all(p["planned"] == p["found"] for p in result.published)


NOT_NULL = {
    "expectations": [
        {
            "expectation": "ExpectColumnValuesToNotBeNull",
            "args": {"column": "x"},
            "on_fail": "quarantine",
        }
    ]
}


@pytest.mark.slow
def test_rows_that_are_set_aside_may_have_wider_types_than_before(spark, recipe, tmp_path):
    x = "if(id = 3, null, id)"
    merging = {"table": str(tmp_path / "out"), "merge_schema": True}
    ids = []
    for kind in ("int", "bigint"):
        source = save(spark.range(9).selectExpr("id", f"cast({x} AS {kind}) x"), tmp_path / "s")
        asked = recipe(source, expect=NOT_NULL, publish=merging)
        ids.append(lb.run(asked, spark).plan.run_id)
    kept = spark.read.format("delta").load(str(tmp_path / "_lakebalance" / "quarantine-test"))
    assert {row["lb_run_id"] for row in kept.collect()} == set(ids)
    source = save(spark.range(9).selectExpr("id", f"cast({x} AS string) x"), tmp_path / "s")
    with pytest.raises(TableError, match=r"quarantine-test has columns .* are of other types now"):
        lb.run(recipe(source, expect=NOT_NULL, publish=merging), spark)


def test_names_that_quarantine_adds_are_refused_where_it_is_used(spark, recipe, tmp_path):
    df = spark.range(5).selectExpr("id", "id x", "'a' AS LB_Reasons")
    source = save(df, tmp_path / "s")
    with pytest.raises(
        RecipeError, match=r'adds a column "lb_reasons".* have a "LB_Reasons"; give'
    ):
        lb.plan(recipe(source, expect=NOT_NULL), spark)
    assert lb.plan(recipe(source), spark).rows == 5


def test_dates_beyond_pythons_are_groups_and_are_explained(spark, recipe, tmp_path):
    df = spark.range(12).selectExpr(
        "id",
        "if(id < 4, date'+12000-01-31', date'2020-01-31') day",
        "if(id < 4, timestamp'+12000-01-31 00:00:00Z', timestamp'2020-01-31 00:00:00Z') at",
        "named_struct('d', date'+12000-01-31', 'a', array(1, null), 'n', null) st",
        "X'00FF' b",
    )
    source = save(df, tmp_path / "s")
    allocate = {"balance": {"by": ["day", "at"], "method": "to_min"}}
    asked = recipe(source, allocate=allocate)
    result = lb.run(asked, spark)
    assert [(g.group["day"], g.group["at"], g.target) for g in result.plan.groups] == [
        ("+12000-01-31", "12000-01-31T00:00:00.000000+00:00", 4),
        ("2020-01-31", "2020-01-31T00:00:00+00:00", 4),
    ]
    assert [(p["planned"], p["found"]) for p in result.published] == [(4, 4)] * 2
    [fate] = lb.explain(asked, spark, "id = 1")
    row = fate["row"]
    assert fate["fate"] == "kept" and row["day"] == "+12000-01-31" and row["b"] == "00FF"
    assert row["st"] == {"d": "+12000-01-31", "a": [1, None], "n": None}
    assert json.dumps(fate)
    with pytest.raises(RecipeError, match=r"the condition cannot be used: .*CAST_INVALID_INPUT"):
        lb.explain(asked, spark, "id = 'x'")
    with pytest.raises(RecipeError, match='"rand" is not a function of the row'):
        lb.explain(asked, spark, "rand() < 0.5")


def test_readable_rows(spark):
    df = spark.sql(
        "SELECT map('k', struct(1 AS a)) m, array(timestamp_ntz'2020-01-02 03:04:05') a, "
        "parse_json('{\"v\": [1, null]}') v, 1.50 d, CAST(NULL AS ARRAY<INT>) n, '' t"
    )
    [row] = readable_rows(df)
    assert row["m"] == {"k": {"a": 1}} and row["v"] == {"v": [1, None]} and row["n"] is None
    assert row["a"][0].startswith("2020-01-02T03:04:05") and row["d"] == "1.50" and row["t"] == ""


@pytest.mark.parametrize(
    ("where", "says"),
    [
        ("1 / (id - id) > 1", r"DIVIDE_BY_ZERO.* in: 1 / \(id - id\)"),
        ("cast(concat('x', id) AS int) = 1", "CAST_INVALID_INPUT"),
    ],
)
def test_an_expression_that_fails_on_a_row_is_said(spark, recipe, tmp_path, where, says):
    source = save(spark.range(5), tmp_path / "s") | {"where": where}
    with pytest.raises(RecipeError, match=f"an expression fails on a row: .*{says}"):
        lb.plan(recipe(source), spark)


@pytest.mark.slow
def test_commonest_values_are_the_same_in_any_time_zone(spark, recipe, tmp_path):
    df = spark.range(96).selectExpr(
        "id",
        "timestamp_micros((1636246800 + id * 300) * 1000000) ts",
        "if(id % 2 = 0, 0.0D, -0.0D) z",
    )
    source = save(df, tmp_path / "s")
    names = {}
    zone = spark.conf.get("spark.sql.session.timeZone")
    for own in ("UTC", "America/New_York"):
        spark.conf.set("spark.sql.session.timeZone", own)
        try:
            for of, made in (("ts", "of time"), ("z", "of zeros")):
                allocate = {
                    "bins": {made: {"of": of, "top": 100}},
                    "balance": {"by": [made], "method": "equal"},
                }
                plan = lb.plan(recipe(source, allocate=allocate), spark)
                names[own, of] = [g.group[made] for g in plan.groups]
        finally:
            spark.conf.set("spark.sql.session.timeZone", zone)
    assert len(names["UTC", "ts"]) == 96 and names["UTC", "ts"][0] == "2021-11-07 01:00:00"
    assert names["UTC", "ts"] == names["America/New_York", "ts"]
    assert names["UTC", "z"] == names["America/New_York", "z"] == ["0.0"]
