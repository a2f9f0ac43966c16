"""The search for a minimum, without Spark: against scipy, and where there is none."""

import numpy as np
import pytest
from scipy.optimize import minimize

from lakebalance.sample.newton import MOST_EVALUATIONS, Bowl, minimise


def dual(x, calls=None):
    def evaluate(point):
        if calls is not None:
            calls.append(point)
        scores = x @ point
        w = np.exp(scores - scores.max())
        mean = w @ x / w.sum()
        curvature = (x * w[:, None]).T @ x / w.sum() - np.outer(mean, mean)
        return Bowl(np.log(w.mean()) + scores.max(), mean, curvature)

    return evaluate


@pytest.mark.parametrize("shift", [0.1, 1.0, 2.2])
@pytest.mark.parametrize("ridge", [0.0, 0.01])
def test_the_minimum_is_that_of_another_method(shift, ridge):
    x = np.random.default_rng(0).normal(size=(400, 3)) + shift * np.array([1, 0.5, 0])
    calls = []
    found = minimise(dual(x, calls), np.zeros(3), np.full(3, ridge))
    assert found.converged and found.evaluations == len(calls) < 25
    f = dual(x)
    known = minimize(
        lambda p: f(p).value + ridge * p @ p / 2,
        np.zeros(3),
        jac=lambda p: f(p).gradient + ridge * p,
        method="BFGS",
        options={"gtol": 1e-9},
    )
    assert found.point == pytest.approx(known.x, abs=1e-6)


def test_a_column_that_is_there_twice_does_not_matter():
    x = np.random.default_rng(1).normal(size=(100, 2)) + 0.3
    once = minimise(dual(x), np.zeros(2), np.zeros(2)).point
    twice = minimise(dual(x[:, [0, 1, 1]]), np.zeros(3), np.zeros(3)).point
    assert twice == pytest.approx([once[0], once[1] / 2, once[1] / 2], abs=1e-6)


def test_where_there_is_no_minimum_the_search_ends_and_says_so():
    x = np.abs(np.random.default_rng(2).normal(size=(50, 1))) + 0.1
    found = minimise(dual(x), np.zeros(1), np.zeros(1))
    assert not found.converged and found.evaluations <= MOST_EVALUATIONS


def test_columns_that_follow_from_others_are_no_trouble():
    # Every category of a column is one, so that they add up to 1; one row in 500 has the last.
    chance = np.random.default_rng(3)
    for levels in (3, 5, 9):
        own = chance.integers(0, levels - 1, 500)
        own[0] = levels - 1
        wanted = np.bincount(chance.integers(0, levels, 300), minlength=levels) / 300
        hot = np.eye(levels)[own] - wanted
        found = minimise(dual(hot), np.zeros(levels), np.zeros(levels))
        assert found.converged and found.evaluations < 25
        w = np.exp(hot @ found.point)
        assert w @ hot / w.sum() == pytest.approx(np.zeros(levels), abs=1e-8)
