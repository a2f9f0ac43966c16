"""Unknown labels that a model is sure of: which, by sums in a loop, and what is written of them."""

import json
import math
from collections import Counter

import pytest

import lakebalance as lb
from lakebalance.core.bins import find_bins
from lakebalance.core.errors import RecipeError
from lakebalance.recipe.made_groups import Bin

NAN = math.nan
# Labels and scores; those of b are high throughout, so that its mean decides and not 0.7.
A = [(1, 0.1), (1, None), (0, 0.99), (None, 0.71), (None, 0.7), (None, 0.2), (None, NAN)]
B = [(True, 0.8), (False, 0.75), (None, 0.85), (None, 0.9), (None, 0.95), (None, None), (None, 1.0)]
ROWS = [(i, a, pa, b, pb) for i, ((a, pa), (b, pb)) in enumerate(zip(A * 3, B * 3, strict=True))]
SCHEMA = "id int, `is.a` int, pa float, b boolean, `p b` double"
BINS = {"a": {"of": "is.a", "score": "pa"}, "bb": {"of": "b", "score": "p b", "threshold": 0.6}}


def taken(pairs, threshold):
    """What the labels count as: one after another, as the paper's code does in a batch."""
    scores = [score for _, score in pairs if score is not None and not math.isnan(score)]
    over = max(threshold, sum(scores) / len(scores))
    return [
        1 if label is None and score is not None and score > over else label
        for label, score in pairs
    ], over


@pytest.mark.slow
def test_sure_ones_count_as_present_and_are_written_as_they_are(spark, table, recipe):
    path = table("t", ROWS, SCHEMA)
    made = recipe(
        {"name": "s", "table": path, "key": ["id"]},
        allocate={"bins": BINS, "balance": {"by": ["a", "bb"], "method": "equal"}, "rows": 60},
        publish={"table": path + "-out"},
    )
    result = lb.run(made, spark)
    (a, over_a), (b, over_b) = taken(A, 0.7), taken(B, 0.6)
    assert over_a == 0.7 and over_b == pytest.approx(5.25 / 6)
    counts = Counter((x, None if y is None else bool(y)) for x, y in zip(a * 3, b * 3, strict=True))
    groups = {(g.group["a"], g.group["bb"]): g for g in result.plan.groups}
    assert {values: group.available for values, group in groups.items()} == counts
    assert all(p["planned"] == p["found"] for p in result.published)
    said = result.plan.diagnostics[0]
    assert [line[:3] for line in said["rows"]] == [["a", 12, 3], ["bb", 15, 9]]
    assert said["rows"][1][4] == pytest.approx(over_b, abs=1e-9)
    written = spark.read.format("delta").load(result.table)
    assert written.columns == ["id", "is.a", "pa", "b", "p b"]
    known = {row["id"]: (row["is.a"], row["b"]) for row in written.collect()}
    assert known == {i: (a, b) for i, a, _, b, _ in ROWS} and json.dumps(result.to_dict())


@pytest.mark.parametrize(
    ("bins", "message"),
    [
        ({"of": "is.a", "score": "logit"}, '"logit" is below 0 or above 1 in 1 rows; write prob'),
        ({"of": "is.a", "score": "name"}, '"name" is string, which is no number'),
        ({"of": "name", "score": "p"}, '"name" is string, which is no 0 or 1; with score'),
        ({"of": "is.a", "score": "q"}, 'no column "q"; there are'),
    ],
)
def test_scores_that_are_no_probabilities_are_refused(spark, bins, message):
    df = spark.createDataFrame(
        [(1, 0.5, 3.0, "x")], "`is.a` int, p double, logit double, name string"
    )
    with pytest.raises(RecipeError, match=rf"bins\.a\.(of|score): .*{message}"):
        find_bins([df], "a", Bin.model_validate(bins), "bins.a")
