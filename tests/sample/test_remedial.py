"""Rows split by their labels: which, into what, exactly, and explained."""

import json
from collections import Counter

import pytest

import lakebalance as lb
from lakebalance.core.errors import RecipeError
from lakebalance.fates import explain
from lakebalance.sample.remedial import Remedial, prepare, put_out_as
from lakebalance.sample.thresholds import Share, Threshold

ARRAY = Remedial(method="remedial", labels=["l"])
ODD = 'r,a"]}é\\'


def array(*labels):
    return json.dumps({"v": labels}, ensure_ascii=False, separators=(",", ":"))


def decoupled(groups, options):
    """What groups, with their rows available, become; and the state that says so."""
    shares = {i: Share(rows, rows, Threshold(1), values) for i, (values, rows) in enumerate(groups)}
    prepared = prepare([], shares, options)
    # As the ledger keeps it.
    state = json.loads(json.dumps(prepared.state, allow_nan=False))
    return put_out_as([values for values, _ in groups], options, state), prepared


def test_the_worked_example_is_split_as_in_the_paper():
    labels = [["1"], ["1", "2"], ["1", "3"], ["2"]]
    groups = [({"l": array(*x)}, n) for x, n in zip(labels, [3, 1, 1, 1], strict=True)]
    rows, prepared = decoupled(groups, ARRAY)
    # SCUMBLE of {1, 2} is over the mean as well, but 2 is as frequent as 1 by the mean ratio.
    assert rows == [
        [{"l": array("1")}],
        [{"l": array("1", "2")}],
        [{"l": array("1")}, {"l": array("3")}],
        [{"l": array("2")}],
    ]
    (said,) = prepared.diagnostics
    assert said.rows[0] == ["rows", 6, 7] and "1 rows of 1 label sets" in said.note
    assert said.rows[1][1] == said.rows[1][2] and said.rows[2][2] < said.rows[2][1]


def test_order_copies_unknown_labels_and_other_columns_are_kept():
    groups = [
        ({"x": 7, "l": array("a")}, 90),
        ({"x": 7, "l": array("a", ODD, None, "a", ODD)}, 2),
        ({"x": 8, "l": array(None)}, 1),
        ({"x": 8, "l": "{}"}, 1),
        ({"x": 8, "l": array()}, 1),
    ]
    rows, _ = decoupled(groups, ARRAY)
    assert rows[1] == [
        {"x": 7, "l": array("a", None, "a")},
        {"x": 7, "l": array(ODD, None, ODD)},
    ]
    assert [r for r in rows if len(r) == 1] == [[v] for v, _ in groups if v is not groups[1][0]]


def test_numbers_are_kept_in_the_text_that_spark_wrote():
    one, big, null = '{"n":false,"v":1.0}', '{"n":false,"v":1.0E20}', '{"n":true}'
    groups = [
        ({"l": f'{{"v":[{one}]}}'}, 90),
        ({"l": f'{{"v":[{big},{null},{one}]}}'}, 2),
    ]
    rows, _ = decoupled(groups, ARRAY)
    assert rows[1] == [{"l": f'{{"v":[{null},{one}]}}'}, {"l": f'{{"v":[{big},{null}]}}'}]


def test_columns_keep_their_kind_of_0_and_what_is_unknown():
    options = Remedial(method="remedial", labels=["a", "b", "c"])
    groups = [
        ({"a": True, "b": 0.0, "c": "0"}, 90),
        ({"a": True, "b": None, "c": "1"}, 3),
        ({"a": False, "b": 0.0, "c": "0"}, 9),
    ]
    rows, prepared = decoupled(groups, options)
    assert rows[1] == [{"a": True, "b": None, "c": "0"}, {"a": False, "b": None, "c": "1"}]
    assert type(rows[1][1]["a"]) is bool and rows[0] == [groups[0][0]]
    assert prepared.state["irlbl"] == {"a": 1, "b": None, "c": 31}


def test_nothing_is_split_where_labels_are_alike_or_unknown():
    for groups in (
        [({"l": array("a", "b")}, 5)],
        [({"l": array("a")}, 5), ({"l": array("b")}, 1)],
        [({"l": "{}"}, 5)],
    ):
        rows, prepared = decoupled(groups, ARRAY)
        assert rows == [[values] for values, _ in groups]
        assert prepared.diagnostics[0].rows[0] == ["rows"] + [sum(n for _, n in groups)] * 2


LABELS = [["a"]] * 60 + [["b", "a"]] * 20 + [[ODD, "a"]] * 4 + [["a", ODD, None]] * 2
LABELS += [[ODD], [], None]


@pytest.mark.slow
def test_an_array_is_split_exactly_after_it_is_balanced(spark, table, recipe):
    path = table(
        "t", [(i, x, i * 0.5) for i, x in enumerate(LABELS)], "id int, l array<string>, x double"
    )
    made = recipe(
        {"name": "s", "table": path, "key": ["id"]},
        allocate={"balance": {"by": ["l"], "method": "ml_ros", "percent": 20}},
        sample={"method": "remedial", "labels": ["l"]},
        publish={"table": path + "-out", "source_column": "of"},
    )
    result = lb.run(made, spark)
    rows = spark.read.format("delta").load(result.table).collect()
    split = {g.group["l"]: g.target for g in result.plan.groups}
    target = {
        name: split[array(*x)] for name, x in (("two", [ODD, "a"]), ("null", ["a", ODD, None]))
    }
    assert len(rows) == result.rows == result.plan.rows + sum(target.values())
    counts = Counter(None if row["l"] is None else tuple(row["l"]) for row in rows)
    assert counts[ODD, None] == counts["a", None] == target["null"] > 2
    assert counts[ODD,] == target["two"] + split[array(ODD)]
    assert counts["a",] == 60 + target["two"]
    assert (counts["b", "a"], counts[()], counts[None]) == (20, 1, 1)
    # Both rows of one, as often as it was planned.
    ids = Counter((row["id"], ODD in (row["l"] or [])) for row in rows if 80 <= row["id"] < 86)
    assert all(ids[i, True] == ids[i, False] for i in range(80, 86))
    assert {row["x"] / row["id"] for row in rows if row["id"]} == {0.5}
    (fate,) = explain(made, spark, "id = 80")
    assert fate["copies"] == ids[80, True]
    assert fate["put_out_as"] == [{"l": array("a")}, {"l": array(ODD)}]
    (fate,) = explain(made, spark, "id = 1")
    assert "put_out_as" not in fate
    assert lb.run(made, spark).repeated


@pytest.mark.slow
def test_columns_are_split_the_same_however_they_lie(spark, table, recipe, tmp_path):
    kinds = (
        [(1, False, 0.0)] * 50
        + [(1, True, 0.0)] * 3
        + [(1, True, None)] * 2
        + [(0, False, 1.0)] * 30
    )
    rows = [(i, *kind) for i, kind in enumerate(kinds)]
    outputs = []
    for i, partitions in enumerate((1, 4)):
        path = table(
            f"t{i}",
            rows[:: 1 - 2 * i],
            "id int, `is.a` int, b boolean, `c c` double",
            partitions,
        )
        made = recipe(
            {"name": "s", "table": path, "key": ["id"]},
            allocate={"balance": {"by": ["is.a", "b", "c c"], "method": "none"}},
            sample={"method": "remedial", "labels": ["is.a", "b", "c c"]},
            publish={"table": str(tmp_path / f"out{i}")},
        )
        result = lb.run(made, spark)
        written = spark.read.format("delta").load(result.table)
        assert written.schema == spark.read.format("delta").load(path).schema
        outputs.append(Counter(map(tuple, written.collect())))
    assert outputs[0] == outputs[1]
    assert sum(outputs[0].values()) == result.rows == 90
    assert outputs[0][53, 1, False, None] == outputs[0][53, 0, True, None] == 1


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["n"], 'column "n" is int, which holds one label a row'),
        (["n", "s"], 'column "s" is string, which is no 0 or 1'),
        (["other"], 'not counted by "other"'),
        (["m"], 'no column "m"; there are: n, other, s'),
    ],
)
def test_columns_that_are_no_labels_are_refused(spark, table, recipe, labels, message):
    path = table("t", [(1, "x", [1])], "n int, s string, other array<int>")
    made = recipe(
        path,
        allocate={"balance": {"by": ["n", "s"], "method": "none"}},
        sample={"method": "remedial", "labels": labels},
    )
    with pytest.raises(RecipeError, match=f"sample.labels: .*{message}"):
        lb.plan(made, spark)
