"""Runs that have no rows to balance: an error, or an empty table where the recipe allows for it."""

import pytest

import lakebalance as lb
from lakebalance.core.errors import TableError
from lakebalance.report.html import render

ROWS = [(i, "ab"[i % 5 == 0], float(i), i % 7) for i in range(60)]
SCHEMA = "id long, label string, x double, n int"
BALANCE = {"balance": {"by": ["label"], "method": "equal"}}
NOTHING = {"where": "id < 0"}
ALL_BAD = {
    "expectations": [
        {"expectation": "ExpectColumnValuesToBeBetween", "args": {"column": "x", "max_value": -1}}
    ]
}
PARTS = {
    "filtered": {},
    "set aside": {"expect": ALL_BAD, "where": None},
    "pruned": {"prune": [{"method": "exact", "columns": ["label"]}]},
    "a number of rows": {"allocate": {**BALANCE, "rows": 10}},
    "units": {"allocate": {**BALANCE, "budget": {"amount": 100, "of": "n"}}},
    "units, set aside": {
        "allocate": {**BALANCE, "budget": {"amount": 100, "of": "n"}},
        "expect": ALL_BAD,
        "where": None,
    },
    "mixed": {"allocate": {"mix": {"by": "source", "method": "temperature", "temperature": 2.0,
                                   "max_epochs": 4}, **BALANCE}},
    "held out": {"split": {"shares": {"test": 0.2}}},
    "phases": {"phases": [{"name": "natural", "mix": {"method": "proportional"}}]},
    "order": {"order": {}},
    "smote": {"sample": {"method": "smote", "features": ["x", "n"]}},
    "weight": {"sample": {"method": "weight"}},
    "bootstrap": {"sample": {"method": "bootstrap"}},
    "bins": {"allocate": {"bins": {"parts": {"of": "x", "quantiles": 4}},
                          "balance": {"by": ["parts"], "method": "equal"}}},
}  # fmt: skip


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.slow] if n != "set aside" else []) for n in PARTS]
)
def test_nothing_is_published_where_that_is_allowed(spark, table, recipe, tmp_path, name):
    parts = {"allocate": BALANCE, **PARTS[name]}
    where = {"where": parts.pop("where")} if "where" in parts else NOTHING
    source = {"name": "s", "table": table("t", ROWS, SCHEMA), "key": ["id"], **where}
    publish = {"table": str(tmp_path / "out"), "allow_empty": True}
    asked = recipe(source, publish=publish, **parts)
    assert lb.plan(asked, spark).rows == 0
    result = lb.run(asked, spark)
    rows = spark.read.format("delta").load(str(tmp_path / "out"))
    assert result.rows == rows.count() == 0
    assert {"id", "label", "x", "n"} <= set(rows.columns)
    assert all(p["found"] == p["planned"] == 0 for p in result.published)
    assert lb.run(asked, spark).repeated
    render({**result.to_dict(), "name": name})
    if where == NOTHING:
        found = lb.explain(asked, spark, "id = 5")
        assert [row["copies"] for row in found] == [0]


@pytest.mark.parametrize("parts", [{}, {"expect": ALL_BAD}])
def test_it_is_an_error_else(spark, table, recipe, parts):
    where = {} if parts else NOTHING
    source = {"name": "s", "table": table("t", ROWS, SCHEMA), "key": ["id"], **where}
    with pytest.raises(TableError, match=r"publish\.allow_empty: true publishes none"):
        lb.run(recipe(source, allocate=BALANCE, **parts), spark)


@pytest.mark.slow
def test_a_day_without_rows_takes_the_place_of_the_day_before(spark, table, recipe, tmp_path):
    rows = [(*row, day) for day in ("mon", "tue") for row in ROWS]
    path = table("t", rows, f"{SCHEMA}, day string")

    def run(day):
        source = {"name": "s", "table": path, "where": f"day = '{day}'"}
        publish = {
            "table": str(tmp_path / "out"),
            "replace_where": f"day = '{day}'",
            "allow_empty": True,
        }
        return lb.run(recipe(source, allocate=BALANCE, publish=publish), spark).rows

    assert run("mon") > 0 and run("tue") > 0
    spark.sql(f"DELETE FROM delta.`{path}` WHERE day = 'mon'")
    assert run("mon") == 0
    days = spark.read.format("delta").load(str(tmp_path / "out")).select("day").distinct()
    assert [row["day"] for row in days.collect()] == ["tue"]
