"""Intervals, quantiles and the commonest values as groups, with numpy as the judge."""

import datetime as dt
from decimal import Decimal

import numpy as np
import pytest
from pydantic import ValidationError
from pyspark.sql import functions as F

import lakebalance as lb
from lakebalance.core.errors import RecipeError

ROWS = [
    (1, -5.0, "2024-01-01", "a"), (2, 0.0, "2024-01-31", "a"), (3, 9.5, "2024-02-01", "b"),
    (4, 10.0, "2024-02-02", "b"), (5, None, None, None), (6, float("nan"), "2023-01-01", "c"),
    (7, 99.0, "2030-01-01", "d"), (8, 3.0, "2024-02-01", "a"),
]  # fmt: skip


@pytest.fixture(scope="module")
def source(spark, tmp_path_factory):
    path = str(tmp_path_factory.mktemp("bins") / "source")
    df = spark.createDataFrame(ROWS, "id long, `the.x` double, day string, `k v` string")
    df = df.withColumn("day", F.to_date("day")).withColumn("at", F.col("day").cast("timestamp"))
    df.write.format("delta").option("delta.columnMapping.mode", "name").save(path)
    return path


@pytest.fixture
def groups(spark, source, recipe):
    """Rows per group that a plan finds with the given bins."""

    def count(**spec):
        allocate = {"bins": {"band": spec}, "balance": {"by": ["band"], "method": "none"}}
        planned = lb.plan(recipe(source, allocate=allocate), spark)
        return {g.group["band"]: g.rows for g in planned.groups}

    return count


def nan_as_text(found):
    return {"NaN" if isinstance(k, float) else k: n for k, n in found.items()}


def test_intervals_of_numbers(groups):
    assert nan_as_text(groups(of="the.x", edges=[0, 10])) == {
        None: 1, "NaN": 1, "1: below 0": 1, "2: 0 to below 10": 3, "3: 10 and above": 2,
    }  # fmt: skip


def test_intervals_of_days_and_times(groups):
    expected = {None: 1, "1: below 2024-02-01": 3, "2: 2024-02-01 and above": 4}
    assert groups(of="day", edges=["2024-02-01"]) == expected
    assert groups(of="day", edges=[dt.date(2024, 2, 1)]) == expected
    found = groups(of="at", edges=["2024-02-01T00:00:00Z"])
    assert list(found.values()) == [1, 3, 4]
    assert "1: below 2024-02-01 00:00:00" in found


def test_quantiles_and_the_commonest(groups):
    assert nan_as_text(groups(of="the.x", quantiles=2)) == {
        None: 1, "NaN": 1, "1: below 9.5": 3, "2: 9.5 and above": 3,
    }  # fmt: skip
    assert groups(of="k v", top=2) == {None: 1, "a": 3, "b": 2, "other": 2}
    assert groups(of="k v", top=3, other="rest") == {None: 1, "a": 3, "b": 2, "c": 1, "rest": 1}


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"of": "they", "top": 1}, 'allocate.bins.band.of: no column "they"'),
        ({"of": "k v", "quantiles": 2}, 'column "k v" is string, which is no number'),
        ({"of": "the.x", "every": "day"}, '"the.x" is double, which has no day; name a date'),
        ({"of": "the.x", "edges": [3, 3]}, "do not rise"),
        ({"of": "the.x", "edges": ["x"]}, "'x' is not a number"),
        ({"of": "day", "edges": [3]}, "3 is not a date or time"),
        ({"of": "k v", "top": 1, "other": "a"}, '"a" is one of the commonest values itself'),
    ],
)
def test_what_cannot_be_cut_is_refused(groups, spec, message):
    with pytest.raises(RecipeError) as error:
        groups(**spec)
    assert message in str(error.value)


@pytest.mark.parametrize("bad", [{}, {"edges": [1], "top": 2}, {"quantiles": 1}, {"every": "age"}])
def test_one_way_of_cutting(recipe, bad):
    with pytest.raises(ValidationError):
        recipe("t/x", allocate={"bins": {"b": {"of": "x", **bad}},
                                "balance": {"by": ["b"], "method": "none"}})  # fmt: skip


@pytest.mark.slow
def test_bins_are_balanced_audited_explained_and_no_column_of_the_output(
    spark, table, recipe, tmp_path
):
    rows = [(i, "a" if i % 3 else "b", float(i * i % 1000)) for i in range(900)]
    path = table("source", rows, "id long, label string, y double")
    allocate = {
        "bins": {"part": {"of": "y", "quantiles": 3}},
        "balance": {"by": ["label"], "method": "equal", "max_epochs": 5},
        "within": [{"by": ["part"], "method": "equal", "max_epochs": 5}],
        "rows": 600,
    }
    source = {"name": "s", "table": path, "key": ["id"]}
    asked = recipe(source, allocate=allocate, prune=[{"method": "exact", "columns": ["id"]}])
    result = lb.run(asked, spark)
    assert [p["found"] for p in result.published] == [100] * 6
    output = spark.read.format("delta").load(str(tmp_path / "out"))
    assert output.columns == ["id", "label", "y"]
    edges = np.sort([r[2] for r in rows])[[300, 600]]
    found = output.groupBy("label", (F.col("y") >= edges[0]).cast("int")
                           + (F.col("y") >= edges[1]).cast("int")).count()  # fmt: skip
    assert [r["count"] for r in found.collect()] == [100] * 6
    [fate] = lb.explain(asked, spark, "id = 5")
    assert fate["group"] == {"label": "a", "part": f"1: below {int(edges[0])}"}


BIG = [0, 2**53, 2**53 + 1, 2**53 + 2, 2**63 - 1, 2**63 - 2, -(2**63)]


@pytest.fixture(scope="module")
def exact(spark, tmp_path_factory):
    """Whole numbers and decimals that doubles cannot tell apart."""
    path = str(tmp_path_factory.mktemp("bins") / "exact")
    rows = [(i, n, Decimal(n).scaleb(-3)) for i, n in enumerate(BIG)]
    df = spark.createDataFrame(rows, "id long, n long, d decimal(38,3)")
    df = df.withColumn("e", F.col("d").cast("decimal(30,3)"))
    df.write.format("delta").save(path)
    return path


def counts_of(spark, recipe, path, **spec):
    allocate = {"bins": {"band": spec}, "balance": {"by": ["band"], "method": "none"}}
    return {g.group["band"]: g.rows for g in lb.plan(recipe(path, allocate=allocate), spark).groups}


def test_edges_are_exact_beyond_what_doubles_are(spark, exact, recipe):
    assert counts_of(spark, recipe, exact, of="n", edges=[0, 2**53 + 1]) == {
        "1: below 0": 1, "2: 0 to below 9007199254740993": 2, "3: 9007199254740993 and above": 4,
    }  # fmt: skip
    for name in "de":
        found = counts_of(spark, recipe, exact, of=name, edges=[-1e30, "9007199254740.993", 1e30])
        assert list(found.values()) == [3, 4]
    found = counts_of(spark, recipe, exact, of="n", edges=[0.5, 2**62, 1e30])
    assert list(found.values()) == [2, 3, 2]


def test_quantiles_are_exact_beyond_what_doubles_are(spark, exact, recipe):
    ordered = sorted(BIG)
    for name, text in (("n", str), ("e", lambda n: f"{Decimal(n).scaleb(-3).normalize():f}")):
        found = counts_of(spark, recipe, exact, of=name, quantiles=7)
        assert list(found.values()) == [1] * 7
        assert [g.split(" ")[1] for g in sorted(found)][1:] == list(map(text, ordered[1:]))


@pytest.mark.parametrize("kind", ["date", "timestamp"])
def test_quantiles_of_times_beyond_pythons(spark, recipe, tmp_path, kind):
    path = str(tmp_path / kind)
    day = "date_add(date'9999-12-28', cast(id * 2 as int))"
    spark.range(6).selectExpr("id", f"cast({day} as {kind}) x").write.format("delta").save(path)
    found = counts_of(spark, recipe, path, of="x", quantiles=3)
    assert list(found.values()) == [2, 2, 2] and sorted(found)[2].startswith("3: 10000-01-05")


@pytest.mark.parametrize("edge", ["2024-01-31T12:00:00", "2024-01-30T23:00:00-05:00"])
def test_a_date_is_its_midnight_in_utc(groups, edge):
    assert nan_as_text(groups(of="day", edges=[edge])) == {
        None: 1, "1: below 2024-02-01": 3, "2: 2024-02-01 and above": 4,
    }  # fmt: skip
