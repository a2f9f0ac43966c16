"""Unknown labels in arrays that a model is sure of, against a loop over rows and labels."""

import math
from collections import Counter

import pytest

import lakebalance as lb
from lakebalance.core.bins import find_bins
from lakebalance.core.confident_labels import said_of
from lakebalance.core.errors import RecipeError
from lakebalance.core.labels import readable
from lakebalance.recipe.made_groups import Bin

NAN = math.nan
# Scores of c are high throughout, so that its mean decides and not 0.7.
ROWS = [
    (["a"], {"a": 0.9, "b": 0.99, "c": 0.95}),
    (["a", None], {"a": 0.9, "b": 0.8, "c": 0.85}),
    ([None], {"a": 0.71, "b": 0.7, "c": 0.99}),
    (None, {"b": 0.9, "c": 0.94, "a": 0.95, "é,]": 0.72}),
    (None, {"a": 0.1, "b": None, "c": 0.8}),
    ([], {"a": 0.99, "c": 0.97}),
    ([None, "c"], {"a": NAN, "c": 0.99}),
    (None, None),
    (["b", "a"], {}),
] * 2
SCHEMA = "l array<string>, p map<string,float>"
SPEC = {"of": "l", "score": "p", "threshold": 0.6}


def taken(rows, threshold):
    """The labels that each row counts by, one after another; and over which score each is taken."""
    scores = {}
    for _, found in rows:
        for label, score in (found or {}).items():
            if score is not None and not math.isnan(score):
                scores.setdefault(label, []).append(score)
    over = {label: max(threshold, sum(own) / len(own)) for label, own in scores.items()}
    counted = []
    for labels, found in rows:
        sure = sorted(
            label
            for label, score in (found or {}).items()
            if score is not None and score > over[label] + 1e-6 and label not in (labels or [])
        )
        if not sure or (labels is not None and None not in labels):
            counted.append(labels)
        else:
            counted.append([*sure, None] if labels is None else [*labels, *sure])
    return counted, over


def test_labels_are_added_where_a_row_may_have_them(spark):
    df = spark.createDataFrame(ROWS, SCHEMA)
    found = find_bins([df], "with", Bin.model_validate(SPEC), "bins.with")
    wanted, over = taken(ROWS, 0.6)
    assert [row["g"] for row in df.select(found.group(df).alias("g")).collect()] == wanted
    assert wanted[:4] == [["a"], ["a", None], [None, "c"], ["a", "b", "c", None]]
    [said] = said_of([found])
    lines = {line[0]: line[1:] for line in said.rows}
    assert lines["with: a"][:2] == [10, 2] and lines["with: b"][:2] == [12, 2]
    assert lines["with: c"][:2] == [10, 4] and lines["with: é,]"][:2] == [12, 0]
    for label, limit in over.items():
        assert lines[f"with: {label}"][3] == pytest.approx(limit, abs=1e-6)
    other = spark.createDataFrame(ROWS[::-1], SCHEMA).repartition(3)
    assert find_bins([other], "with", Bin.model_validate(SPEC), "bins.with") == found


@pytest.mark.slow
def test_rules_share_rows_by_what_is_taken_and_write_what_is_there(spark, table, recipe):
    rows = [(i, [7], {7: 0.9, 8: 0.1}) for i in range(40)]
    rows += [(40 + i, None, {7: 0.0, 8: 1.0}) for i in range(4)]
    path = table("t", rows, "id int, l array<int>, p map<int,double>")
    made = recipe(
        {"name": "s", "table": path, "key": ["id"]},
        allocate={
            "bins": {"with": {"of": "l", "score": "p"}},
            "balance": {"by": ["with"], "method": "ml_ros", "percent": 50},
        },
    )
    # 8 leaves when its imbalance ratio, which is 10, is down to the mean of 5.5.
    result = lb.run(made, spark)
    groups = {readable(g.group["with"]): g for g in result.plan.groups}
    assert {name: (g.available, g.target) for name, g in groups.items()} == {
        "[7]": (40, 40), "[8, null]": (4, 7),
    }  # fmt: skip
    written = spark.read.format("delta").load(result.table).collect()
    assert Counter(row["l"] is None for row in written) == {True: 7, False: 40}


@pytest.mark.parametrize(
    ("bins", "message"),
    [
        ({"of": "l", "score": "logits"}, '"logits" has 1 scores below 0 or above 1; write prob'),
        ({"of": "l", "score": "x"}, r'"x" is double, .* name a column map<string,double>'),
        ({"of": "l", "score": "ints"}, r'"ints" is map<int,double>, .* map<string,double>'),
        ({"of": "d", "score": "p"}, '"d" is array<double>; with score, name an array of texts'),
    ],
)
def test_arrays_and_scores_that_do_not_fit_are_refused(spark, bins, message):
    df = spark.createDataFrame(
        [(["a"], {"a": 0.5}, {"a": 3.0}, {1: 0.5}, [1.0], 1.0)],
        "l array<string>, p map<string,double>, logits map<string,double>, ints map<int,double>, "
        "d array<double>, x double",
    )
    with pytest.raises(RecipeError, match=rf"bins\.a\.(of|score): .*{message}"):
        find_bins([df], "a", Bin.model_validate(bins), "bins.a")


def test_too_many_labels_are_refused(spark):
    names = {str(i): 0.5 for i in range(1001)}
    df = spark.createDataFrame([(None, names)], SCHEMA)
    with pytest.raises(RecipeError, match=r"bins\.a\.score: .* more than 1,000 labels"):
        find_bins([df], "a", Bin.model_validate(SPEC), "bins.a")
