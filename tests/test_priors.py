"""Priors before and after, and a model's probabilities for the data as they were."""

import json

import numpy as np
import pytest

import lakebalance as lb
from lakebalance.core.errors import RecipeError
from lakebalance.plans import PlannedGroup
from lakebalance.priors import priors_of, recalibrate


def group(source, value, available, target):
    return PlannedGroup(0, source, {"y": value}, available, available, target)


def test_priors_are_of_groups_whatever_their_source():
    groups = [group("s", 0, 80, 10), group("s", None, 10, 10), group("t", 0, 10, 20)]
    assert [p.to_dict() for p in priors_of(groups)] == [
        {"group": {"y": 0}, "before": 0.9, "after": 0.75, "factor": 0.9 / 0.75},
        {"group": {"y": None}, "before": 0.1, "after": 0.25, "factor": 0.4},
    ]


def test_a_balanced_bayes_model_becomes_the_true_one():
    chance = np.random.default_rng(0)
    true, seen = np.array([0.02, 0.9, 0.08]), np.array([1, 1, 1]) / 3
    likelihood = chance.dirichlet([1, 1, 1, 1], 3)  # of four observations in each class
    by_seen = likelihood.T * seen
    groups = [group("s", i, int(true[i] * 1000), 50) for i in range(3)]
    corrected = recalibrate(by_seen / by_seen.sum(axis=1, keepdims=True), priors_of(groups))
    by_true = likelihood.T * true
    np.testing.assert_allclose(corrected, by_true / by_true.sum(axis=1, keepdims=True))


def test_what_does_not_fit_is_refused():
    known = priors_of([group("s", 0, 9, 9), group("s", 1, 9, 0)])
    with pytest.raises(RecipeError, match="a column for each of 2 classes; their shape is"):
        recalibrate([[1.0]], known)
    with pytest.raises(RecipeError, match="was trained on"):
        recalibrate([[0.5, 0.5]], known)


def test_the_commit_of_the_output_says_them(spark, table, recipe, tmp_path):
    path = table("source", [(i, i % 10 == 0) for i in range(100)], "id long, y boolean")
    asked = recipe(path, allocate={"balance": {"by": ["y"], "method": "equal"}, "rows": 40})
    result = lb.run(asked, spark)
    [commit] = spark.sql(f"DESCRIBE HISTORY delta.`{tmp_path}/out`").collect()
    notes = json.loads(commit["userMetadata"])
    assert notes["lakebalance_run"] == result.plan.run_id
    assert (
        notes["priors"]
        == result.to_dict()["priors"]
        == [
            {"group": {"y": False}, "before": 0.9, "after": 0.5, "factor": 1.8},
            {"group": {"y": True}, "before": 0.1, "after": 0.5, "factor": 0.2},
        ]
    )
    found = lb.recalibrate([[0.5, 0.5]], notes["priors"])
    np.testing.assert_allclose(found, [[0.9, 0.1]])
