"""Expectations of a recipe: suites in files, of the output, and custom ones."""

import json

import pytest
from pyspark.sql import functions as F

import lakebalance as lb
from lakebalance.core.errors import GateError, RecipeError
from lakebalance.expect import known

SUITE = {
    "name": "flights",
    "id": "6e9ef0d6-0000-0000-0000-000000000000",
    "expectations": [
        {
            "type": "expect_column_values_to_not_be_null",
            "kwargs": {"column": "label"},
            "meta": {"on_fail": "quarantine", "source": "s0"},
            "severity": "critical",
            "id": "e7e04db4-0000-0000-0000-000000000000",
        },
        {
            "type": "expect_column_values_to_be_between",
            "kwargs": {"column": "x", "max_value": 5.0, "mostly": 0.1},
            "meta": {},
            "severity": "info",
            "notes": "said to be small",
        },
        {"type": "expect_table_row_count_to_be_between", "kwargs": {"min_value": 1}},
    ],
    "meta": {"great_expectations_version": "1.24.1"},
}
TEXT = (
    "name: r\nsources: [{name: s0, table: T}]\nexpect: {suite: SUITE}\npublish: {table: OUT/out}\n"
)
SCHEMA = "id bigint, label string, x double"
ROWS = [(i, None if i % 5 == 0 else "ab"[i % 2], float(i)) for i in range(40)]


@pytest.fixture
def suite(tmp_path):
    """A recipe's file whose suite has a text."""

    def written(text, name="suite.json", more=""):
        (tmp_path / name).write_text(text)
        own = TEXT.replace("SUITE", name + more).replace("OUT", str(tmp_path))
        (tmp_path / "r.yaml").write_text(own)
        return tmp_path / "r.yaml"

    return written


def asked(path):
    recipe = lb.Recipe.load(path)
    return [(e.expectation, e.on_fail, e.source) for e in recipe.expect.expectations]


def test_a_suite_as_great_expectations_writes_it(suite):
    import great_expectations as gx
    import yaml

    written = asked(suite(json.dumps(SUITE)))
    assert written == [
        ("expect_column_values_to_not_be_null", "quarantine", "s0"),
        ("expect_column_values_to_be_between", "warn", None),
        ("expect_table_row_count_to_be_between", "stop", None),
    ]
    assert asked(suite(yaml.safe_dump(SUITE), "suite.yaml")) == written
    by_default = asked(suite(json.dumps(SUITE), more=", on_fail: warn"))
    assert [on_fail for _, on_fail, _ in by_default] == ["quarantine", "warn", "warn"]

    kept = gx.expectations.ExpectColumnValuesToBeInSet(
        column="label", value_set=["a"], severity="warning",
        row_condition=gx.expectations.row_conditions.Column("x") > 3,
    )  # fmt: skip
    own = gx.ExpectationSuite("own", expectations=[kept]).to_json_dict()
    path = suite(json.dumps(own))
    assert asked(path) == [("expect_column_values_to_be_in_set", "warn", None)]
    assert lb.Recipe.load(path).expect.expectations[0].args["row_condition"]["type"] == "comparison"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"expectations": [{"kwargs": {}}]}, "suite.json:1  expectations.0: type is missing"),
        ({"expectations": [{"type": "x", "kwarg": {}}]}, 'unknown field; did you mean "kwargs"'),
        ({"expectations": [{"type": "x", "severity": "bad"}]}, 'no severity "bad"; there are'),
        ({"expectations": [{"type": "x", "kwargs": []}]}, "kwargs: must be a mapping"),
        ({"expectations": ["x"]}, "must be a mapping with type and kwargs"),
        ({"expectations": {}}, "must be a list of expectations, or a suite"),
        (
            {"expectations": [{"type": "x", "meta": {"on_fail": "drop"}}]},
            "meta.on_fail: there are: quarantine",
        ),
    ],
)
def test_what_is_wrong_in_a_suite_is_said(suite, change, message):
    with pytest.raises(RecipeError) as error:
        lb.Recipe.load(suite(json.dumps(change)))
    assert message in str(error.value)


def test_a_default_is_said_of_a_suite_alone(recipe, suite):
    with pytest.raises(Exception, match="on_fail is for a suite"):
        recipe("t", expect={"on_fail": "warn"})
    with pytest.raises(RecipeError, match=r"expect.on_fail: did you mean \"warn\""):
        lb.Recipe.load(suite(json.dumps(SUITE), more=", on_fail: warm"))


def test_a_suite_of_great_expectations_gates_a_run(spark, table, suite):
    path = suite(json.dumps(SUITE))
    loaded = lb.Recipe.load(path, [f"sources.0.table={table('t', ROWS, SCHEMA)}"])
    planned = lb.plan(loaded, spark)
    assert planned.quarantined == 8
    assert [(g.unexpected, g.rows, g.success) for g in planned.gates] == [
        (8, 40, False),
        (34, 40, True),
        (None, 0, True),
    ]
    assert planned.gates[2].worst == "observed 40"


def test_expectations_of_the_output(spark, table, recipe, tmp_path):
    """They are asked of what is sampled: rows are copied, and none is there that was set aside."""
    path = table("t", ROWS, SCHEMA)
    expectations = [
        {"expectation": "ExpectColumnValuesToNotBeNull", "args": {"column": "label"}},
        {"expectation": "ExpectColumnValuesToBeUnique", "args": {"column": "id"},
         "on": "both", "on_fail": "warn"},
        {"expectation": "ExpectTableRowCountToEqual", "args": {"value": 100},
         "on": "after", "on_fail": "stop"},
        {"expectation": "ExpectTableColumnsToMatchOrderedList", "on": "after", "on_fail": "stop",
         "args": {"column_list": ["id", "label", "x", "from"]}},
    ]  # fmt: skip

    def asked_for(rows, **publish):
        return recipe(
            {"name": "s", "table": path, "key": ["id"]},
            expect={"expectations": expectations},
            allocate={"balance": {"by": ["label"], "method": "equal"}, "rows": rows},
            publish={"table": str(tmp_path / "out"), "source_column": "from"},
        )

    planned = lb.plan(asked_for(100), spark)
    made = lb.run(asked_for(100), spark)
    assert made.plan.gates == planned.gates
    before, after = [g for g in made.plan.gates if "Unique" in g.expectation]
    assert before.success and before.unexpected == 0 and before.rows == 40
    assert after.expectation == f"{before.expectation} after balance"
    published = spark.read.format("delta").load(made.table)
    copied = published.groupBy("id").count().where("count > 1").agg(F.sum("count")).first()[0]
    assert (after.unexpected, after.rows, after.success) == (copied, 100, False)
    said = [w["message"] for w in made.plan.warnings if w["code"] == "expectation"]
    assert any(f"after balance failed on {copied} of 100 rows" in message for message in said)
    assert "on 8 of 40" not in "".join(said)
    with pytest.raises(GateError, match=r"after balance failed: observed 90; nothing was pub"):
        lb.run(asked_for(90), spark)
    assert spark.read.format("delta").load(made.table).count() == 100


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"on": "after"}, "cannot be quarantined; with on: after"),
        ({"on": "both", "on_fail": "warn", "source": "s0"}, "source goes with on: before"),
    ],
)
def test_what_cannot_be_asked_of_the_output(recipe, parts, message):
    expectation = {"expectation": "ExpectColumnValuesToBeNull", "args": {"column": "x"}, **parts}
    with pytest.raises(Exception, match=message):
        recipe("t", expect={"expectations": [expectation]})


def test_an_expectation_of_the_output_that_is_not_there_is_found_before_rows_are_counted(
    spark, table, recipe
):
    expectation = {"expectation": "ExpectColumnValuesToBeNul", "on": "after", "on_fail": "warn"}
    asked_for = recipe(table("t", ROWS, SCHEMA), expect={"expectations": [expectation]})
    with pytest.raises(RecipeError, match="expectation: no expectation"):
        lb.plan(asked_for, spark)


@pytest.fixture
def even():
    """An expectation of one's own: numbers are even."""
    from great_expectations.execution_engine import SparkDFExecutionEngine
    from great_expectations.expectations.expectation import ColumnMapExpectation
    from great_expectations.expectations.metrics.map_metric_provider import (
        ColumnMapMetricProvider,
        column_condition_partial,
    )

    class ColumnValuesEven(ColumnMapMetricProvider):
        condition_metric_name = "column_values.even"

        @column_condition_partial(engine=SparkDFExecutionEngine)
        def _spark(cls, column, **kwargs):
            return column % 2 == 0

    class ExpectColumnValuesToBeEven(ColumnMapExpectation):
        """Numbers are even."""

        map_metric = "column_values.even"

    return ExpectColumnValuesToBeEven


def test_an_expectation_of_ones_own(spark, table, recipe, even, monkeypatch):
    monkeypatch.setattr(known, "_registered", {})
    given = {"column": "id", "row_condition": "id < 10", "condition_parser": "spark"}
    expectation = {"expectation": "expect_column_values_to_be_even", "args": given}
    asked_for = recipe(table("t", ROWS, SCHEMA), expect={"expectations": [expectation]})
    with pytest.raises(RecipeError, match="no expectation"):
        lb.plan(asked_for, spark)
    assert known.register(even) is even
    planned = lb.plan(asked_for, spark)
    assert planned.quarantined == 5 and planned.gates[0].rows == 10
    with pytest.raises(TypeError, match="no subclass of an expectation"):
        known.register(dict)
    with pytest.raises(TypeError, match="Great Expectations has a ExpectColumnToExist"):
        known.register(known.classes()["ExpectColumnToExist"])


def test_another_package_adds_expectations(even, monkeypatch):
    class Entry:
        value = "theirs:Even"

        def load(self):
            return even

    found = {known.ENTRY_POINTS: [Entry()]}
    monkeypatch.setattr(known, "entry_points", lambda group: found[group])
    known._of_packages.cache_clear()
    try:
        assert known.classes()["ExpectColumnValuesToBeEven"] is even
    finally:
        known._of_packages.cache_clear()
