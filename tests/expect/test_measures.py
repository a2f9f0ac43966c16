"""PSI, Jensen-Shannon, KS and chi-square of counts against scipy, and what chance makes of them."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial.distance import jensenshannon

from lakebalance.core.distances import chi_square, chi_square_limit, jensen_shannon
from lakebalance.expect.measures import NUMBERS, Given, Pair, limit_of

COUNTS = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=12)
SIDES = COUNTS.map(lambda pairs: [[p[i] for p in pairs] for i in (0, 1)]).filter(
    lambda sides: all(map(sum, sides))
)


def test_the_worked_example_of_all_measures():
    pair = Pair([20, 50, 30], [10, 60, 30])
    numbers = {name: round(pair.number(name), 5) for name in NUMBERS}
    assert numbers == {"psi": 0.08755, "jensen_shannon": 0.01077, "ks": 0.1, "chi_square": 4.24242}
    assert (pair.rows, pair.degrees, pair.most) == ((100, 100), 2, 0)


@given(SIDES)
def test_jensen_shannon_is_the_square_of_the_distance_of_scipy(sides):
    new, old = sides
    # scipy takes the root of what rounding may leave below nought.
    expected = np.nan_to_num(jensenshannon(new, old)) ** 2
    assert jensen_shannon(new, old) == pytest.approx(expected, abs=1e-12)
    assert 0 <= jensen_shannon(new, old) <= math.log(2) + 1e-12


@given(SIDES)
def test_chi_square_is_that_of_scipy_without_correction(sides):
    filled = [(a, b) for a, b in zip(*sides, strict=True) if a or b]
    expected = stats.chi2_contingency(np.array(filled).T, correction=False)
    assert chi_square(*sides) == pytest.approx(expected.statistic, abs=1e-9)
    assert Pair(*sides).degrees == expected.dof
    # The limit of a chance is where the test of scipy finds this chance.
    if expected.dof and 1e-12 < expected.pvalue < 1:
        over = limit_of("chi_square", Pair(*sides), expected.pvalue * 0.99, None)
        under = limit_of("chi_square", Pair(*sides), min(expected.pvalue * 1.01, 1), None)
        assert under < expected.statistic < over


@given(SIDES, st.sampled_from(sorted(NUMBERS)))
def test_distances_are_symmetric_and_nought_for_equal_shares(sides, measure):
    new, old = sides
    assert Pair(new, old).number(measure) == pytest.approx(Pair(old, new).number(measure))
    assert Pair(new, old).number(measure) >= 0
    times = [3 * n for n in old]
    if measure != "psi":  # which smooths by rows
        assert Pair(times, old).number(measure) == pytest.approx(0, abs=1e-12)
    assert Pair(old, old).number(measure) == pytest.approx(0, abs=1e-12)


def test_one_bin_has_no_distance():
    for measure in NUMBERS:
        assert Pair([7], [900]).number(measure) == 0
        assert limit_of(measure, Pair([7], [900]), 0.2, None) in (0, 0.2)


@pytest.mark.parametrize("measure", ["psi", "jensen_shannon", "ks", "chi_square"])
def test_chance_exceeds_limits_of_pairs_and_of_groups_about_as_often_as_asked_for(measure):
    chance, tries = 0.05, 2000
    rng = np.random.default_rng(3)
    shares = np.array([0.1, 0.2, 0.3, 0.25, 0.15])
    sizes = [(2000, 4000), (700, 500), (5000, 900)]
    small = 1e-9 if measure != "chi_square" else chance
    over = {"one": 0, "given": 0}
    for _ in range(tries):
        pairs = [Pair(*[rng.multinomial(n, shares).tolist() for n in size]) for size in sizes]
        one, together = pairs[0], Given(pairs)
        over["one"] += one.number(measure) > limit_of(measure, one, small, chance)
        over["given"] += together.number(measure) > together.limit(measure, small, chance)
    if measure == "ks":  # five bins move less than values that all differ
        assert max(over.values()) < tries * chance
        return
    for n in over.values():
        assert stats.binomtest(n, tries, chance).pvalue > 1e-4, over


def test_given_groups_is_the_mean_by_shares_and_blind_to_their_sizes():
    same = Pair([10, 90], [100, 900])
    moved = Pair([50, 50], [5, 5])
    together = Given([same, moved])
    n, m = 200, 1010
    weights = [(100 / n + 1000 / m) / 2, (100 / n + 10 / m) / 2]
    assert together.weights == pytest.approx(weights)
    assert sum(together.weights) == pytest.approx(1)
    assert together.rows == (n, m)
    assert Given([same, same]).number("psi") == pytest.approx(0)
    grown = Pair([900, 100], [9, 1])
    assert Given([same, grown]).number("psi") == pytest.approx(0, abs=1e-12)
    far = Pair([90, 10], [1, 9])
    expected = Given([same, far]).weights[1] * far.number("psi")
    assert Given([same, far]).number("psi") == pytest.approx(expected)


def test_chi_square_given_groups_is_the_sum_with_all_degrees():
    pairs = [Pair([20, 50, 30], [10, 60, 30]), Pair([5, 5, 0], [50, 40, 0])]
    together = Given(pairs)
    expected = sum(pair.number("chi_square") for pair in pairs)
    assert together.number("chi_square") == pytest.approx(expected)
    assert together.limit("chi_square", 0.01, None) == chi_square_limit(0.01, 3)


def test_limits_are_as_written_unless_chance_takes_small_groups_further():
    small, large = Pair([30, 20], [25, 25]), Pair([30_000, 20_000], [25_000, 25_000])
    assert limit_of("psi", large, 0.25, 0.001) == 0.25
    assert limit_of("psi", small, 0.25, None) == 0.25
    expected = stats.chi2.isf(0.001, 1) * (1 / 50 + 1 / 50)
    assert limit_of("psi", small, 0.25, 0.001) == pytest.approx(expected)
    assert limit_of("jensen_shannon", small, 0.01, 0.001) == pytest.approx(expected / 8)
