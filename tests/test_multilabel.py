"""Concurrent labels from table to table: arrays, 0/1 columns, unknown labels, exact either way."""

from collections import Counter

import pytest

import lakebalance as lb
from lakebalance.core.errors import RecipeError
from lakebalance.core.labels import readable
from lakebalance.profiles import profile

ODD = 'r,a"r]}é\\ e'
LABELS = [["a"]] * 300 + [["a", "b"]] * 40 + [["b", "a"]] * 20 + [["b", "b"]] * 15
LABELS += [[ODD]] * 3 + [[ODD, "a"]] * 2 + [["a", ODD, None]] * 2 + [["a", None]] * 7
LABELS += [[]] * 9 + [None] * 8
ROWS = list(enumerate(LABELS))


def written(spark, result):
    rows = spark.read.format("delta").load(result.table).collect()
    return Counter(
        (row["id"], None if row["labels"] is None else tuple(row["labels"])) for row in rows
    )


def keyed(path):
    return {"name": "s", "table": path, "key": ["id"]}


def test_an_array_column_is_balanced_to_the_row_however_it_lies(spark, table, recipe, tmp_path):
    allocate = {"balance": {"by": ["labels"], "method": "ml_ros", "percent": 50}}
    outputs = []
    for i, (rows, partitions) in enumerate(((ROWS, 1), (ROWS[::-1], 5))):
        path = table(f"t{i}", rows, "id long, labels array<string>", partitions)
        publish = {"table": str(tmp_path / f"out{i}")}
        result = lb.run(recipe(keyed(path), allocate=allocate, publish=publish), spark)
        outputs.append(written(spark, result))
        assert all(p["planned"] == p["found"] for p in result.published)
    assert outputs[0] == outputs[1]
    counts: Counter = Counter()
    for (_, labels), copies in outputs[0].items():
        counts[labels] += copies
    targets = {readable(g.group["labels"]): g.target for g in result.plan.groups}
    assert targets.pop(None) == 8 == counts.pop(None)
    assert sorted(targets.values()) == sorted(counts.values())
    # Only rows that are known to have the rare label are repeated, and none is lost.
    assert {labels for (_, labels), n in outputs[0].items() if n > 1} == {
        (ODD,), (ODD, "a"), ("a", ODD, None),
    }  # fmt: skip
    assert len(outputs[0]) == len(ROWS)
    labels, _, *repeats = result.plan.diagnostics
    assert [d["title"] for d in repeats] == ["value of repetition", "repeat or weigh"]
    assert labels["rows"][0][:3] == ["a", 398, 371] and labels["rows"][2][0] == ODD
    assert labels["rows"][2][4] == 53 and 19 < labels["rows"][2][5] < 20


def test_columns_of_0_and_1_lose_rows_that_are_surely_not_rare(spark, table, recipe):
    kinds = [(1, True, 0.0), (1, False, 0.0), (0, True, 0.0), (0, False, 1.0), (1, False, None)]
    sizes = [60, 400, 100, 5, 30]
    rows = [
        (i, *kind)
        for i, kind in enumerate(k for k, n in zip(kinds, sizes, strict=True) for _ in range(n))
    ]
    path = table("t", rows, "`My Id` long, `is.a` int, `is b` boolean, c double")
    by = ["is.a", "is b", "c"]
    made = recipe(
        {"name": "s", "table": path, "key": ["My Id"]},
        allocate={"balance": {"by": by, "method": "ml_rus", "percent": 40}},
    )
    result = lb.run(made, spark)
    found = spark.read.format("delta").load(result.table).groupBy("`is.a`", "`is b`", "c").count()
    left = {
        tuple(v if v is None else int(v) for v in row[:3]): row["count"] for row in found.collect()
    }
    assert sum(left.values()) == 357 == result.plan.rows
    assert left[0, 0, 1] == 5 and left[1, 0, None] == 30
    assert 0 < left[1, 0, 0] < 400 and 0 < left[1, 1, 0] < 60 and 0 < left[0, 1, 0] < 100


def test_new_rows_can_be_made_instead_of_copies(spark, table, recipe):
    """Other than by MLSMOTE, neighbours are of the same label set, which new rows have too."""
    labels = [["a"]] * 80 + [["c"]] * 5 + [["a", "c"]] * 4
    rows = [(i, x, float(i % 7), float(i % 5)) for i, x in enumerate(labels)]
    path = table("t", rows, "id int, labels array<string>, x double, y double")
    made = recipe(
        keyed(path),
        allocate={"balance": {"by": ["labels"], "method": "ml_ros", "percent": 20}},
        sample={"method": "smote", "features": ["x", "y"], "fewer": "reduce"},
    )
    plan = lb.plan(made, spark)
    grown = {readable(g.group["labels"]): g.synthetic for g in plan.groups if g.synthetic}
    assert plan.rows == 89 + 8 and grown == {'["c"]': 4, '["a", "c"]': 4}


def test_labels_can_be_looked_at_before_anything(spark, table, recipe):
    path = table("t", ROWS, "id long, labels array<string>")
    by_size = {"balance": {"by": ["labels"], "method": "equal"}, "rows": 10}
    singly, in_all = profile(recipe(path, allocate=by_size), spark)["diagnostics"]
    assert [row[0] for row in singly["rows"]] == ["a", "b", ODD]
    assert ["rows of which nothing is known", 8] in in_all["rows"]
    plain = {"balance": {"by": ["id"], "method": "equal"}, "rows": 10}
    assert profile(recipe(path, allocate=plain), spark)["diagnostics"] == []


def test_what_is_no_label_is_said_with_its_place(spark, table, recipe):
    path = table("t", [(1, 1, "x"), (2, 0, "y")], "id long, a int, region string")
    asked = {"balance": {"by": ["a", "region"], "method": "ml_ros"}}
    with pytest.raises(RecipeError, match='allocate: by: column "region" has the value'):
        lb.plan(recipe(path, allocate=asked), spark)
