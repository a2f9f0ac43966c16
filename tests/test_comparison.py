"""Treated rows and controls made comparable, from table to table; and what is refused."""

from collections import Counter

import numpy as np
import pytest

import lakebalance as lb
from comparisons import confounded, options
from lakebalance.core.errors import RecipeError
from lakebalance.core.registry import methods

DATA = confounded(600, strength=1.5)
ROWS = [
    (int(i), "yes" if t else "no", c, None if i % 50 == 7 else float(x))
    for i, t, c, x in zip(DATA["id"], DATA["t"], DATA["c"], DATA["x0"], strict=True)
]
SCHEMA = "id long, `Got.It` string, `the c` string, `x 0` double"
SAMPLE = {
    "method": "entropy_balance",
    "treatment": "Got.It",
    "treated": "yes",
    "covariates": ["the c", "x 0"],
    "nulls": "indicator",
    "column": "w.1",
}
EXPECTATION = {
    "expectation": "ExpectColumnValuesToBeBetween",
    "args": {"column": "id", "min_value": 10},
}


def keyed(path):
    return {"name": "s", "table": path, "key": ["id"]}


def read(spark, path):
    return [row.asDict() for row in spark.read.format("delta").load(path).collect()]


def difference(rows, weight):
    """How far apart the weighted means of x are."""
    means = []
    for arm in ("yes", "no"):
        here = [r for r in rows if r["Got.It"] == arm and r["x 0"] is not None]
        means.append(np.average([r["x 0"] for r in here], weights=[weight(r) for r in here]))
    return means[0] - means[1]


@pytest.mark.slow
def test_training_rows_are_weighed_and_each_can_say_so(spark, table, recipe):
    asked = recipe(
        keyed(table("s", ROWS, SCHEMA)),
        split={"shares": {"test": 0.2}},
        expect={"expectations": [EXPECTATION]},
        sample=SAMPLE,
    )
    planned, done = lb.plan(asked, spark), lb.run(asked, spark)
    assert done.plan.prepared == planned.prepared
    assert [d["title"] for d in done.plan.diagnostics] == [
        "Agreement of covariates",
        "Weights of the groups",
    ]
    rows, test = read(spark, asked.publish.table), read(spark, asked.publish.table + "_test")
    ids = {r["id"] for r in rows}
    assert "w.1" not in test[0] and not ids & {r["id"] for r in test}
    assert len(rows) + len(test) == 590 and min(ids) >= 10
    assert abs(difference(rows, lambda r: 1)) > 0.3
    assert abs(difference(rows, lambda r: r["w.1"])) < 1e-6
    assert {r["w.1"] for r in rows if r["Got.It"] == "yes"} == {1.0}
    some = sorted(rows, key=lambda r: r["id"])[:40]
    fates = lb.explain(asked, spark, f"id <= {some[-1]['id']} AND id >= 10", limit=100)
    weights = {f["row"]["id"]: f["weight"] for f in fates if f["fate"] == "kept"}
    assert weights == {r["id"]: r["w.1"] for r in some}
    again = lb.run(asked, spark)
    assert again.repeated and again.plan.prepared == planned.prepared


@pytest.mark.slow
def test_rows_instead_of_weights_are_exactly_as_many_as_asked(spark, table, recipe):
    asked = recipe(
        keyed(table("s", ROWS, SCHEMA)),
        sample={**SAMPLE, "method": "propensity", "estimand": "ate", "rows": 401},
    )
    done = lb.run(asked, spark)
    rows = read(spark, done.table)
    assert len(rows) == 401 == done.plan.rows == sum(p["found"] for p in done.published)
    assert set(rows[0]) == {"id", "Got.It", "the c", "x 0"}
    assert abs(difference(rows, lambda r: 1)) < 0.15
    copies = Counter(r["id"] for r in rows)
    fates = lb.explain(asked, spark, "id < 100", limit=100)
    assert {f["row"]["id"]: f["copies"] for f in fates} == {i: copies[i] for i in range(100)}
    assert {f["fate"] for f in fates} == {"kept", "sampled out"}


def test_rules_that_want_other_counts_are_refused_before_any_row_is_weighed(spark, table, recipe):
    allocate = {"balance": {"by": ["the c"], "method": "equal"}, "rows": 300}
    asked = recipe(keyed(table("s", ROWS, SCHEMA)), allocate=allocate, sample=SAMPLE)
    with pytest.raises(RecipeError, match=r'allocate: group "s/a" .*leave out allocate'):
        lb.plan(asked, spark)


COLUMNS = "t int, x double, when timestamp, c string, many array<int>, weight double"
REFUSED = {
    "no such treatment": ({"treatment": "T"}, r'sample\.treatment: .*"T".*"t"'),
    "no such covariate": ({"covariates": ["xx"]}, r'sample\.covariates: .*"xx".*"x"'),
    "a covariate twice": ({"covariates": ["x", "x"]}, '"x" is there twice'),
    "the treatment": ({"covariates": ["t"]}, '"t" is the treatment itself'),
    "an array": ({"covariates": ["many"]}, r"is array<int>, which is no number"),
    "an array as treatment": ({"treatment": "many"}, r"is array<int>; write a column of texts"),
    "a text for a number": ({"treated": "1"}, r"sample\.treated: .* cannot be '1'; write a number"),
    "true for a number": ({"treated": True}, r"cannot be True; write a number"),
    "the same value": ({"control": 1}, r"sample\.control: it is the same value"),
    "a time as category": ({"covariates": ["when"], "categorical": ["when"]}, "counts as a number"),
    "no covariate": ({"categorical": ["c"]}, '"c" is not among sample.covariates'),
    "a column that is there": ({"column": "weight"}, "have a column .weight. already"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_options_that_columns_do_not_allow_are_refused_without_a_job(spark, case):
    given, message = REFUSED[case]
    asked = options("propensity", **{"covariates": ["x"], "column": "w", **given})
    with pytest.raises(RecipeError, match=message):
        methods("sample")["propensity"].check_columns(spark.createDataFrame([], COLUMNS), asked, [])


VALUES = {
    "an unlabelled row": ({"t": [1, 1, 0, 0, None]}, {}, '"t" is null in 1 rows'),
    "a third value": ({"t": [1, 1, 0, 0, 2]}, {"control": 0}, '1 rows have another "t" than 1'),
    "one treated row": ({"t": [1, 0, 0, 0, 0]}, {}, r"sample\.treated: there is 1 row in the"),
    "no control": ({"t": [1, 1, 1, 2, 2]}, {"control": 0}, "have another"),
    "no row of a value": ({"t": [5, 6, 7, 5, 5]}, {}, r"no row in the treated .*: 5, 6, 7$"),
    "null": ({"x": [1.0, 2.0, None, 1.0, 2.0]}, {}, '"x" in 1 rows; write sample.nulls'),
    "NaN": ({"x": [1.0, 2.0, np.nan, 1.0, 2.0]}, {}, '"x" in 1 rows; write sample.nulls'),
    "infinite": ({"x": [1.0, 2.0, np.inf, 1.0, 2.0]}, {}, '"x" is infinite'),
    "no overlap": ({"x": [3.0, 4.0, 1.0, 2.0, 1.0]}, {}, '"x" is to be 3.5, .* from 1 to 2; no'),
}


@pytest.mark.parametrize("case", VALUES)
def test_rows_that_cannot_be_compared_are_named(spark, table, recipe, case):
    columns, given, message = VALUES[case]
    made = {"t": [1, 1, 0, 0, 0], "x": [1.0, 2.0, 0.0, 1.0, 3.0], **columns}
    rows = list(zip(range(5), made["t"], made["x"], strict=True))
    asked = recipe(
        keyed(table("s", rows, "id long, t int, x double")),
        sample=options("entropy_balance", ["x"], **given),
    )
    with pytest.raises(RecipeError, match=message):
        lb.plan(asked, spark)


@pytest.mark.slow
def test_covariates_that_say_nothing_do_no_harm(spark, table, recipe):
    rows = [(i, i % 3 == 0, 5.0, None, "k", float(i % 7)) for i in range(60)]
    names = ["same", "empty", "one", "x"]
    path = table("s", rows, "id long, t boolean, same double, empty double, one string, x double")
    sample = {"treatment": "t", "treated": True, "covariates": names, "nulls": "indicator"}
    asked = recipe(keyed(path), sample={**sample, "method": "entropy_balance"})
    done = lb.run(asked, spark)
    agreed = {row[0]: row[-1] for row in done.plan.diagnostics[0]["rows"]}
    assert set(agreed) == {"same", "empty", "empty is null", 'one="k"', "x"}
    assert max(map(abs, agreed.values())) < 1e-6
    assert all(np.isfinite(r["weight"]) for r in read(spark, done.table))
