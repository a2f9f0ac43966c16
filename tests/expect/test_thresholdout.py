"""Thresholdout: what is told, its noise, and that a holdout is not fitted by asking it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakebalance.expect.thresholdout import HOLDOUT, TRAINING, Terms, answer, laplace

CLEAR = Terms(threshold=0.1, noise=1e-9, budget=5)


def told(training, holdout, terms=CLEAR, number=0, spent=0, salt="salt"):
    return answer(training, holdout, terms, number=number, spent=spent, salt=salt)


@given(st.floats(0, 1), st.floats(0, 1), st.integers(0, 1000))
def test_without_noise_the_threshold_decides(training, holdout, number):
    if abs(abs(training - holdout) - 0.1) < 1e-6:
        return
    found = told(training, holdout, number=number)
    if abs(training - holdout) < 0.1:
        assert (found.value, found.of) == (training, TRAINING)
    else:
        assert found.value == pytest.approx(holdout, abs=1e-6) and found.of == HOLDOUT


@given(st.floats(0, 1), st.floats(0, 1), st.integers(0, 10**6), st.integers(0, 99))
def test_an_answer_is_a_mean_and_the_same_once_more(training, holdout, number, spent):
    loud = Terms(threshold=0.04, noise=0.3, budget=100)
    found = told(training, holdout, loud, number, spent)
    assert 0 <= found.value <= 1
    assert found == told(training, holdout, loud, number, spent)


def test_noise_is_laplace_of_its_scale_and_other_for_each_number_and_salt():
    noise = np.array([laplace(number, 0.5, "salt", "answer") for number in range(20_000)])
    assert abs(noise.mean()) < 0.02
    assert np.abs(noise).mean() == pytest.approx(0.5, rel=0.03)  # E|x| of Laplace is its scale
    assert noise.var() == pytest.approx(2 * 0.5**2, rel=0.06)
    assert len(set(noise)) == 20_000
    assert laplace(3, 0.5, "salt", "answer") != laplace(3, 0.5, "other", "answer")


def test_means_that_are_the_same_are_answered_by_the_holdout_as_often_as_noise_says():
    """P(Lap(2 sigma) + Lap(4 sigma) < -T) = (16 exp(-T / 4 sigma) - 4 exp(-T / 2 sigma)) / 24."""
    for noise, share in ((0.01, 0.2227), (0.04 / 12, 0.0328)):
        terms = Terms(0.04, noise, budget=10**9)
        of = [told(0.5, 0.5, terms, number=i, spent=i).of for i in range(4_000)]
        assert of.count(HOLDOUT) / len(of) == pytest.approx(share, abs=0.02)


def test_a_spent_budget_tells_nothing():
    assert told(0.9, 0.1, spent=4).of == HOLDOUT
    with pytest.raises(ValueError, match="all 5 answers"):
        told(0.5, 0.5, spent=5)


def test_features_picked_by_a_holdout_fit_it_and_by_thresholdout_do_not():
    """The experiment of the paper: labels by chance, features that have nothing to do with them."""
    rows, features = 4_000, 1_000
    chance = np.random.default_rng(7)
    agrees = {  # whether a feature's sign is the label, and so whether it guesses right
        part: chance.integers(0, 2, (rows, features), dtype=np.int8)
        for part in ("training", "holdout", "fresh")
    }
    means = {part: values.mean(axis=0) for part, values in agrees.items()}

    def accuracy(part, picked, signs):
        votes = (2 * agrees[part][:, picked] - 1) @ signs
        return float(((np.sign(votes) + 1) / 2).mean())

    def fitted(second):
        """Votes of the features that both say guess right, or wrong, more often than not."""
        one, two = means["training"] - 0.5, second - 0.5
        picked = np.flatnonzero(one * two > 0)
        return picked, np.sign(one[picked])

    naive = fitted(means["holdout"])
    assert accuracy("holdout", *naive) > 0.58
    assert accuracy("fresh", *naive) == pytest.approx(0.5, abs=0.03)

    terms, spent, answers = Terms(0.08, 0.01, budget=features), 0, []
    for number, pair in enumerate(zip(means["training"], means["holdout"], strict=True)):
        found = answer(*map(float, pair), terms, number=number, spent=spent, salt="paper")
        spent += found.of == HOLDOUT
        answers.append(found.value)
    careful = fitted(np.array(answers))
    accuracies = [accuracy(part, *careful) for part in ("training", "holdout")]
    found = answer(*accuracies, terms, number=features, spent=spent, salt="paper")
    assert accuracies[0] > 0.62
    assert found.of == HOLDOUT
    assert found.value == pytest.approx(accuracy("fresh", *careful), abs=0.06)
