"""Plans and runs on small real tables: exact, the same everywhere, all or nothing."""

import math
from collections import Counter

import pytest

import lakebalance as lb
from lakebalance.core.errors import GateError, RecipeError, TableError
from lakebalance.fates import explain, key_condition

SKEWED = [(i, "a" if i < 900 else "b" if i < 990 else None, i * 0.5) for i in range(1000)]
SCHEMA = "id long, label string, x double"
EQUAL = {"balance": {"by": ["label"], "method": "equal"}, "rows": 600}


def rows_of(spark, path):
    return Counter(tuple(map(repr, r)) for r in spark.read.format("delta").load(path).collect())


def test_output_meets_the_plan_to_the_row(spark, table, recipe):
    r = recipe(table("t", SKEWED, SCHEMA), allocate=EQUAL)
    plan = lb.plan(r, spark)
    assert {g.group["label"]: g.target for g in plan.groups} == {None: 200, "a": 200, "b": 200}
    result = lb.run(r, spark)
    written = spark.read.format("delta").load(result.table)
    assert {x["label"]: x["count"] for x in written.groupBy("label").count().collect()} == {
        None: 200,
        "a": 200,
        "b": 200,
    }
    nulls = Counter(x["id"] for x in written.where("label is null").collect())
    assert set(nulls.values()) == {20}
    assert set(nulls) == set(range(990, 1000))
    assert written.where("label = 'a'").select("id").distinct().count() == 200


def test_a_source_without_rows_is_said_and_takes_no_part_in_a_mixture(spark, table, recipe):
    full = {"name": "full", "table": table("t", SKEWED[:50], SCHEMA)}
    empty = {**full, "name": "empty", "where": "id < 0"}
    alike = {"mix": {"by": "source", "method": "equal"}, "rows": 30}
    plan = lb.plan(recipe(full, empty, allocate=alike), spark)
    assert [(g.source, g.target) for g in plan.groups] == [("full", 30)]
    said = [w["message"] for w in plan.warnings if w["code"] == "empty_source"]
    assert said == ['source "empty" has no rows']
    shares = {"by": "source", "method": "targets", "shares": {"full": 0.5, "empty": 0.5}}
    with pytest.raises(RecipeError, match='"empty", a group with no rows'):
        lb.plan(recipe(full, empty, allocate={"mix": shares, "rows": 30}), spark)
    none = {**shares, "shares": {"full": 1, "empty": 0}}
    assert lb.plan(recipe(full, empty, allocate={"mix": none, "rows": 30}), spark).rows == 30


def test_same_rows_whatever_the_partitioning_and_after_optimize(spark, table, recipe, tmp_path):
    allocate = {"balance": {"by": ["label"], "method": "equal"}, "rows": 400}
    one, many = table("one", SKEWED, SCHEMA, 1), table("many", SKEWED[::-1], SCHEMA, 7)
    outputs = []
    for i, path in enumerate((one, many, many)):
        if i == 2:
            spark.sql(f"OPTIMIZE delta.`{path}`")
        r = recipe(
            {"name": "s", "table": path, "key": ["id"]},
            allocate=allocate,
            publish={"table": str(tmp_path / f"out{i}")},
        )
        outputs.append(rows_of(spark, lb.run(r, spark).table))
    assert outputs[0] == outputs[1] == outputs[2]
    assert sum(outputs[0].values()) == 400


def test_running_again_changes_nothing_and_another_seed_picks_others(spark, table, recipe):
    path = table("t", SKEWED, SCHEMA)
    first = lb.run(recipe(path, allocate={**EQUAL, "rows": 60}), spark)
    rows = rows_of(spark, first.table)
    again = lb.run(recipe(path, allocate={**EQUAL, "rows": 60}), spark)
    assert again.repeated and again.version == first.version
    other = lb.run(recipe(path, seed=2, allocate={**EQUAL, "rows": 60}), spark)
    assert other.version > first.version
    assert rows_of(spark, other.table) != rows
    # Going back to the first recipe publishes it anew, with the same rows.
    back = lb.run(recipe(path, allocate={**EQUAL, "rows": 60}), spark)
    assert back.version > other.version
    assert rows_of(spark, back.table) == rows


def test_the_pinned_version_is_read_though_the_source_changes(spark, table, recipe):
    path = table("t", SKEWED, SCHEMA)
    table("t", SKEWED[:10], SCHEMA)
    r = recipe({"name": "s", "table": path, "version": 0})
    assert lb.plan(r, spark).rows == 1000
    assert lb.plan(recipe(path), spark).rows == 10


def test_null_nan_and_the_text_null_are_groups_of_their_own(spark, table, recipe):
    rows = [(math.nan, "null"), (None, None), (-0.0, "null"), (0.0, "null"), (math.nan, None)]
    path = table("t", rows, "x double, s string")
    plan = lb.plan(recipe(path, allocate={"balance": {"by": ["x", "s"], "method": "none"}}), spark)
    found = {(repr(g.group["x"]), g.group["s"]): g.available for g in plan.groups}
    assert found == {("nan", "null"): 1, ("None", None): 1, ("0.0", "null"): 2, ("nan", None): 1}
    assert {"float": "NaN"} in [g["group"]["x"] for g in plan.to_dict()["groups"]]


def test_equal_rows_without_a_key_are_still_counted_exactly(spark, table, recipe):
    path = table("t", [("a", 1)] * 10 + [("b", 2)] * 3, "label string, n int")
    r = recipe(path, allocate={"balance": {"by": ["label"], "method": "equal"}, "rows": 8})
    assert rows_of(spark, lb.run(r, spark).table) == {("'a'", "1"): 4, ("'b'", "2"): 4}


def test_names_with_dots_spaces_and_upper_case(spark, table, recipe):
    path = table("t", [(1, "x"), (2, "x"), (3, "y")], "`My Id` long, `a.b` string")
    r = recipe(
        {"name": "s", "table": path, "key": ["My Id"]},
        prune=[{"method": "exact", "columns": ["My Id"]}],
        allocate={"balance": {"by": ["a.b"], "method": "equal"}, "rows": 2},
    )
    spark_rows = lb.run(r, spark).published
    assert [(p["group"], p["found"]) for p in spark_rows] == [({"a.b": "x"}, 1), ({"a.b": "y"}, 1)]


def test_sources_with_columns_in_another_order_and_widened_types(spark, table, recipe):
    one = table("one", [(1, "a")], "id int, label string")
    two = table("two", [("a", 2)], "label string, id long")
    result = lb.run(recipe(one, two), spark)
    assert spark.read.format("delta").load(result.table).dtypes == [
        ("id", "bigint"),
        ("label", "string"),
    ]
    three = table("three", [("a", "x")], "label string, id string")
    with pytest.raises(RecipeError, match='column "id" is int in "s0" and string in "s1"'):
        lb.plan(recipe(one, three), spark)


def test_quarantine_keeps_every_reason(spark, table, recipe):
    rows = [(1, "a", 1.0), (2, None, 99.0), (3, "b", 99.0)]
    expect = {
        "expectations": [
            {"expectation": "ExpectColumnValuesToNotBeNull", "args": {"column": "label"}},
            {
                "expectation": "ExpectColumnValuesToBeBetween",
                "args": {"column": "x", "max_value": 9},
            },
        ]
    }
    result = lb.run(recipe(table("t", rows, SCHEMA), expect=expect), spark)
    assert result.plan.rows == 1 and result.plan.quarantined == 2
    kept = spark.read.format("delta").load(result.paths["quarantine"]).collect()
    assert {r["id"]: len(r["lb_reasons"]) for r in kept} == {2: 2, 3: 1}


@pytest.mark.slow
def test_rows_of_any_columns_are_put_aside(spark, recipe, tmp_path):
    """Names that Parquet has not, also where an earlier run's had none; one that is ours too."""
    expect = {
        "expectations": [
            {"expectation": "ExpectColumnValuesToNotBeNull", "args": {"column": "label"}}
        ]
    }
    for extra in (["1 AS run_id"], ["1 AS `Run id`", "named_struct('a b', 2) AS n"]):
        path = str(tmp_path / str(len(extra)))
        rows = spark.range(4).selectExpr("id", "nullif(id, 2) AS label", *extra)
        rows.write.format("delta").option("delta.columnMapping.mode", "name").save(path)
        publish = {"table": str(tmp_path / f"out{len(extra)}")}
        result = lb.run(recipe(path, expect=expect, publish=publish), spark)
        kept = spark.read.format("delta").load(result.paths["quarantine"])
        [row] = kept.where(f"lb_run_id = '{result.plan.run_id}'").collect()
        assert row["id"] == 2
    assert row["Run id"] == 1 and row["n"]["a b"] == 2 and row["run_id"] is None
    assert kept.where("run_id = 1").count() == 1
    lb.run(recipe(path, expect=expect, publish=publish, seed=2), spark)
    done = spark.sql(f"DESCRIBE HISTORY delta.`{result.paths['quarantine']}`").collect()
    # The names are mapped once, not by each run.
    assert [commit["operation"] for commit in done].count("SET TBLPROPERTIES") == 1


def test_a_stop_expectation_publishes_nothing(spark, table, recipe, tmp_path):
    expect = {
        "expectations": [
            {
                "expectation": "ExpectColumnValuesToBeUnique",
                "args": {"column": "label"},
                "on_fail": "stop",
            }
        ]
    }
    with pytest.raises(GateError, match="ExpectColumnValuesToBeUnique"):
        lb.run(recipe(table("t", SKEWED, SCHEMA), expect=expect), spark)
    assert not (tmp_path / "out").exists()


def test_exact_duplicates_within_and_between_sources(spark, table, recipe):
    one = table("one", [(1, "a", 1.0), (1, "a", 1.0), (2, None, 2.0)], SCHEMA)
    two = table("two", [(1, "a", 1.0), (2, None, 2.0), (3, "c", math.nan)], SCHEMA)
    result = lb.run(recipe(one, two, prune=[{"method": "exact"}]), spark)
    assert rows_of(spark, result.table) == {
        ("1", "'a'", "1.0"): 1,
        ("2", "None", "2.0"): 1,
        ("3", "'c'", "nan"): 1,
    }
    assert result.plan.matches == 3


@pytest.mark.slow
def test_exact_keeps_the_first_by_a_column(spark, table, recipe):
    path = table("t", [(3, "a", 1.0), (1, "a", 2.0), (None, "a", 3.0)], SCHEMA)
    prune = [{"method": "exact", "columns": ["label"], "keep": {"first_by": "id"}}]
    result = lb.run(recipe(path, prune=prune), spark)
    assert rows_of(spark, result.table) == {("1", "'a'", "2.0"): 1}


def test_weight_keeps_rows_and_adds_their_weight(spark, table, recipe):
    r = recipe(table("t", SKEWED, SCHEMA), allocate=EQUAL, sample={"method": "weight"})
    written = spark.read.format("delta").load(lb.run(r, spark).table)
    weights = {
        x["label"]: x["sum(weight)"] for x in written.groupBy("label").sum("weight").collect()
    }
    assert written.count() == 1000
    assert {k: round(v, 6) for k, v in weights.items()} == {None: 200, "a": 200, "b": 200}


def test_explain_agrees_with_the_output_for_every_row(spark, table, recipe):
    path = table("t", SKEWED, SCHEMA)
    expect = {
        "expectations": [
            {
                "expectation": "ExpectColumnValuesToBeBetween",
                "args": {"column": "x", "min_value": 5},
            }
        ]
    }
    r = recipe(
        {"name": "s", "table": path, "key": ["id"]},
        expect=expect,
        allocate=EQUAL,
        prune=[{"method": "exact", "columns": ["label", "x"]}],
    )
    written = spark.read.format("delta").load(lb.run(r, spark).table)
    copies = Counter(x["id"] for x in written.collect())
    fates = explain(r, spark, "id < 1000", limit=1000)
    assert len(fates) == 1000
    for fate in fates:
        assert fate.get("copies", 0) == copies[fate["row"]["id"]], fate
    assert Counter(f["fate"] for f in fates)["quarantined"] == 10
    assert key_condition(r, "7") == "`id` = '7'"


@pytest.mark.parametrize(
    ("parts", "error", "match"),
    [
        (
            {"allocate": {"balance": {"by": ["lable"], "method": "equal"}}},
            RecipeError,
            'no column "lable"; did you mean "label"',
        ),
        (
            {
                "allocate": {
                    "balance": {"by": ["label"], "method": "equal", "max_epochs": 1},
                    "rows": 5000,
                }
            },
            RecipeError,
            "largest feasible is 1,000",
        ),
        (
            {"allocate": {"balance": {"by": ["label"], "method": "targets", "counts": {"z": 1}}}},
            RecipeError,
            'target for "z", a group that isn\'t there',
        ),
    ],
)
def test_what_cannot_be_planned_says_why(spark, table, recipe, parts, error, match):
    with pytest.raises(error, match=match):
        lb.plan(recipe(table("t", SKEWED, SCHEMA), **parts), spark)


def test_one_group_only_is_warned_of(spark, table, recipe):
    path = table("source", [(i, "a" if i else "b") for i in range(9)], "id long, label string")
    balance = {"balance": {"by": ["label"], "method": "equal"}}
    source = {"name": "s", "table": path, "key": ["id"]}
    parts = {"allocate": balance, "split": {"done": True}}
    assert not lb.plan(recipe(source, **parts), spark).warnings
    [warning] = lb.plan(recipe({**source, "where": "id > 0"}, **parts), spark).warnings
    assert warning["code"] == "one_group" and "{'label': 'a'}" in warning["message"]


def test_a_key_that_is_not_unique_is_shown_with_examples(spark, table, recipe, tmp_path):
    r = recipe({"name": "s", "table": table("t", SKEWED, SCHEMA), "key": ["label"]})
    with pytest.raises(TableError, match=r"not unique in .*: 3 values .*a \(900 rows\)"):
        lb.run(r, spark)
    assert not (tmp_path / "out").exists()


def test_missing_empty_and_foreign_tables(spark, table, recipe, tmp_path):
    with pytest.raises(TableError, match="is not a Delta table"):
        lb.plan(recipe(str(tmp_path / "nowhere")), spark)
    spark.range(3).write.parquet(str(tmp_path / "parquet"))
    with pytest.raises(TableError, match="format: parquet"):
        lb.plan(recipe(str(tmp_path / "parquet")), spark)
    parquet = {"name": "p", "table": str(tmp_path / "parquet"), "format": "parquet"}
    assert lb.plan(recipe(parquet), spark).rows == 3
    with pytest.raises(TableError, match="none of them has a row"):
        lb.plan(recipe(table("empty", [], SCHEMA)), spark)
    path = table("t", SKEWED, SCHEMA)
    with pytest.raises(TableError, match="after its where"):
        lb.plan(recipe({"name": "s", "table": path, "where": "id > 5000"}), spark)
    with pytest.raises(TableError, match="no version 9; newest is 0"):
        lb.plan(recipe({"name": "s", "table": path, "version": 9}), spark)


def test_a_target_of_another_schema_is_refused_unless_asked(spark, table, recipe, tmp_path):
    table("out", [("x",)], "other string")
    path = table("t", SKEWED, SCHEMA)
    with pytest.raises(TableError, match="merge_schema: true"):
        lb.run(recipe(path), spark)
    publish = {"table": str(tmp_path / "out"), "merge_schema": True}
    assert lb.run(recipe(path, publish=publish), spark).plan.rows == 1000


def test_partitioned_and_clustered_targets(spark, table, recipe, tmp_path):
    path = table("t", SKEWED, SCHEMA)
    for kind, column in (("partition_by", "partitionColumns"), ("cluster_by", "clusteringColumns")):
        publish = {"table": str(tmp_path / kind), kind: ["label"]}
        for seed in (1, 2):
            result = lb.run(recipe(path, publish=publish, seed=seed, allocate=EQUAL), spark)
            detail = spark.sql(f"DESCRIBE DETAIL delta.`{result.table}`").collect()[0]
            assert detail[column] == ["label"]
            assert spark.read.format("delta").load(result.table).count() == 600


@pytest.mark.slow
def test_a_hundred_thousand_groups_are_planned_met_and_explained(spark, recipe, tmp_path):
    groups = 100_000
    # Sizes 1 and 3, so that half of the groups are repeated and half are sampled.
    df = spark.range(2 * groups).selectExpr(
        "id", f"IF(id < {groups}, id, (id % {groups}) DIV 2 * 2) AS label"
    )
    df.write.format("delta").save(str(tmp_path / "t"))
    r = recipe(
        {"name": "s", "table": str(tmp_path / "t"), "key": ["id"]},
        allocate={"balance": {"by": ["label"], "method": "equal"}, "rows": 2 * groups},
    )
    result = lb.run(r, spark)
    assert len(result.plan.groups) == groups
    assert {g.available for g in result.plan.groups} == {1, 3}
    written = spark.read.format("delta").load(result.table).groupBy("label").count()
    assert written.where("count <> 2").count() == 0 and written.count() == groups
    assert sum(f["copies"] for f in explain(r, spark, "label = 4")) == 2


@pytest.mark.slow
def test_another_method_of_pruning_than_the_last_run_had(spark, table, recipe):
    rows = [(i, "a" if i < 40 else "b", float(i), i % 20) for i in range(60)]
    path = table("t", rows, "id long, label string, x double, y int")
    source = {"name": "s", "table": path, "key": ["id"]}
    cleaning = {"method": "enn", "by": ["label"], "features": ["x"], "sampling_strategy": "all"}
    first = lb.run(recipe(source, prune=[cleaning]), spark)
    assert 0 < first.rows < 60
    # Both wrote their matches to one table, whose columns are those of both.
    exact = recipe(source, prune=[{"method": "exact", "columns": ["label", "y"]}])
    second = lb.run(exact, spark)
    assert lb.plan(exact, spark).rows == second.rows == 40
    fates = lb.explain(exact, spark, "label = 'a'")
    dropped = [fate for fate in fates if fate["fate"] == "duplicate"]
    assert dropped and not any("distance" in fate for fate in dropped)
