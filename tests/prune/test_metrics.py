"""A table of metrics that says when to refresh the history of series."""

import statistics

import pytest
from pydantic import ValidationError

import lakebalance as lb
from lakebalance.column_checks import check_columns
from lakebalance.core.errors import RecipeError, TableError
from lakebalance.frames import Frames
from lakebalance.prune.metrics import Metrics, metrics, opened
from neighbourly import keyed

SCHEMA = "s string, day date, error double"
ASKED = {"time": "day", "metric": "error"}
STEADY = [1.0, 1.2, 0.9, 1.1, 1.0, 0.8, 1.2, 1.1]
SERIES = {
    "steady": [*STEADY, 1.1],
    "up": [*STEADY, 2.0],
    "down": [*STEADY, 0.1],
    "same": [2.0] * 9,
    "a little off": [2.0] * 8 + [2.1],
    "young": [1.0, 1.1, 0.9, 9.0],
    "one": [0.5],
}


def days(made):
    return [
        (name, f"2024-01-{t + 1:02}", v) for name, own in made.items() for t, v in enumerate(own)
    ]


@pytest.fixture(scope="module")
def table_of_metrics(spark, tmp_path_factory):
    """The series as Parquet, with rows that have no time or no value."""
    path = str(tmp_path_factory.mktemp("metrics") / "t")
    odd = [("steady", None, 50.0), ("steady", "2024-03-01", None)]
    odd += [("steady", "2024-03-02", float("nan")), ("steady", "2024-03-03", float("inf"))]
    df = spark.createDataFrame([*days(SERIES), *odd], "s string, day string, error double")
    df = df.withColumn("day", df.day.cast("date")).repartition(3)
    df.write.parquet(path)
    return path


def said(spark, path, by=("s",), **options):
    asked = Metrics(table=path, format="parquet", **{**ASKED, **options})
    return metrics(spark, asked, list(by), "prune.0.metrics")


def test_the_last_value_is_held_against_the_mean_of_those_before(spark, table_of_metrics):
    table = said(spark, table_of_metrics)
    assert table.columns == ["s", "last", "by", "limit", "earlier values", "refresh"]
    mean, deviation = statistics.mean(STEADY), statistics.stdev(STEADY)
    lines = {line[0]: line[1:] for line in table.rows}
    assert lines["up"][:2] == [2.0, "deviations"] and lines["up"][3:] == [8, "yes"]
    assert lines["up"][2] == pytest.approx(mean + 3 * deviation)
    assert lines["down"][2] == pytest.approx(mean - 3 * deviation)
    assert lines["steady"][2:] == [pytest.approx(mean + 3 * deviation), 8, "no"]
    assert lines["a little off"] == [2.1, "deviations", 2.0, 8, "yes"]
    assert {name for name, line in lines.items() if line[-1] == "no"} == {"steady", "same"}
    assert [line[0] for line in table.rows][:1] == ["a little off"]
    assert "Refresh 3 of 7 series. 2 have fewer than 5 earlier values" in table.note
    code, message = table.warning
    assert code == "refresh" and message.startswith(
        'prune.0.metrics: error of 3 of 7 series is beyond its limit, "s=a little off" the farthest'
    )


@pytest.mark.parametrize(
    ("options", "over"),
    [
        ({"deviations": None, "above": 5, "below": 0.6}, {"young", "down", "one"}),
        ({"side": "below", "above": 5, "earlier": 2, "least": 2}, {"young", "down"}),
    ],
)
def test_rules(spark, table_of_metrics, options, over):
    table = said(spark, table_of_metrics, **options)
    found = {line[0]: line for line in table.rows if line[-1] == "yes"}
    assert set(found) == over
    for name, last, by, limit, *_ in found.values():
        assert last == SERIES[name][-1]
        assert by == "deviations" or limit == options[by]


def test_one_series_a_condition_and_no_trigger(spark, table_of_metrics):
    table = said(spark, table_of_metrics, by=[], where="s = 'steady'")
    assert table.rows[0][0] == 1.1 and len(table.rows) == 1
    assert table.warning is None and "Refresh 0 of 1 series." in table.note
    assert said(spark, table_of_metrics, where="false").rows == []
    shown = said(spark, table_of_metrics, shown=2, share=0.7, side="above")
    assert shown.warning is None and "Refresh 2 of 7 series." in shown.note
    assert len(shown.rows) == 2 and "Of 5 series, the 2 worst are shown." in shown.note


def test_what_is_not_there_is_refused(spark, table_of_metrics):
    for part, error, message in [
        ({"by": ["z"]}, RecipeError, r'prune\.0\.metrics\.by: no column "z"'),
        ({"time": "s"}, RecipeError, r'prune\.0\.metrics\.time: column "s" is string'),
        ({"metric": "s"}, RecipeError, r"metrics\.metric: column .* name a column of numbers"),
        ({"where": "z > 1"}, RecipeError, r"metrics\.where: "),
        ({"table": f"{table_of_metrics}/z"}, TableError, r"metrics\.table: .*/z: "),
    ]:
        asked = {"table": table_of_metrics, "format": "parquet", **ASKED, **part}
        with pytest.raises(error, match=message):
            opened(spark, Metrics(**asked), ["s"], "prune.0.metrics")


def test_a_plan_warns_of_it_and_refuses_tables_before_rows_are_counted(
    spark, table, recipe, table_of_metrics
):
    source = keyed(table("t", [(1, "a", 1, 1.0)], "id long, s string, t int, x double"))
    method = {"method": "variance_horizon", "by": ["s"], "time": "t", "values": ["x"]}
    good = {"table": table_of_metrics, "format": "parquet", **ASKED}
    made = recipe(source, prune=[{**method, "metrics": {**good, "format": "delta"}}])
    with pytest.raises(TableError, match=r"metrics\.table: .* is not a Delta table"):
        check_columns(Frames(made, spark))
    plan = lb.plan(recipe(source, prune=[{**method, "metrics": {**good, "above": 1.5}}]), spark)
    assert [w["code"] for w in plan.warnings if w["code"] == "refresh"] == ["refresh"]
    assert plan.rows == 1 and plan.diagnostics[0]["rows"][0][0] == "a little off"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"deviations": None}, "nothing says when to refresh"),
        ({"least": 40}, "no more than 30 earlier values"),
        ({"deviations": 0}, "greater than 0"),
        ({"version": 1, "format": "parquet"}, "has no versions"),
        ({"version": 1, "timestamp": "2024-01-01"}, "not both"),
        ({"where": "rand() > 0.5"}, "not a function of the row"),
        ({"side": "up"}, "'both', 'above' or 'below'"),
        ({"time": ""}, "at least 1 character"),
    ],
)
def test_options_that_say_nothing_are_refused(options, message):
    with pytest.raises(ValidationError, match=message):
        Metrics(**{"table": "a/b", **ASKED, **options})
