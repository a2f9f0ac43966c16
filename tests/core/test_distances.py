"""PSI and KS against scipy and numbers worked by hand, and what chance alone makes of them."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from lakebalance.core.distances import (
    bin_of,
    chi_square_limit,
    ks,
    ks_factor,
    psi,
)

COUNTS = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=20)


def test_psi_as_worked_by_hand():
    # (.2 - .1) ln 2 + (.5 - .6) ln(5 / 6) + 0
    assert psi([2, 5, 3], [1, 6, 3]) == pytest.approx(0.1 * math.log(2) + 0.1 * math.log(1.2))
    assert round(psi([20, 50, 30], [10, 60, 30]), 5) == 0.08755
    assert psi([4, 0, 6], [40, 0, 60]) == 0
    # The empty bin counts as half a row of ten: (.5 - .05) ln 10 + (.5 - 1) ln .5
    expected = 0.45 * math.log(10) + 0.5 * math.log(2)
    assert psi([5, 5], [0, 10]) == pytest.approx(expected)


@given(COUNTS)
def test_psi_is_symmetric_and_never_negative(counts):
    new, old = ([pair[i] for pair in counts] for i in (0, 1))
    if sum(new) and sum(old):
        assert psi(new, old) >= 0
        assert psi(new, old) == pytest.approx(psi(old, new))
        assert psi(new, new) == 0


@given(COUNTS)
def test_ks_of_counts_is_that_of_scipy(counts):
    new, old = ([pair[i] for pair in counts] for i in (0, 1))
    if sum(new) and sum(old):
        one, other = (np.repeat(np.arange(len(side)), side) for side in (new, old))
        expected = stats.ks_2samp(one, other, method="asymp").statistic
        assert ks(new, old) == pytest.approx(expected, abs=1e-12)


def test_chance_exceeds_limits_as_often_as_they_say():
    for degrees in (1, 4, 24):
        for chance in (0.5, 0.01, 1e-6):
            limit = chi_square_limit(chance, degrees)
            assert stats.chi2.sf(limit, degrees) == pytest.approx(chance, rel=1e-6)
    assert chi_square_limit(0.01, 0) == 0
    for chance in (0.05, 0.001):
        # The first term of Kolmogorov's series, of which the others are nothing so far out.
        assert stats.kstwobign.sf(ks_factor(chance)) == pytest.approx(chance, rel=1e-3)


@given(st.lists(st.integers(-5, 5), min_size=1, max_size=40), st.integers(2, 20))
def test_bins_rise_with_values_and_split_the_reference_evenly(reference, bins):
    def of(value):
        below = sum(r < value for r in reference)
        return bin_of(below, reference.count(value), len(reference), bins)

    numbers = [of(value) for value in range(-7, 8)]
    assert numbers == sorted(numbers) and numbers[0] == 0 and numbers[-1] == bins - 1
    distinct = [bin_of(i, 1, 20 * bins, bins) for i in range(20 * bins)]
    assert np.bincount(distinct).tolist() == [20] * bins


@pytest.mark.parametrize(("rows", "others", "most"), [(100, 100, 0.008), (1000, 300, 0.003)])
def test_what_does_not_drift_seldom_exceeds_what_chance_does(rows, others, most):
    rng, over, distances = np.random.default_rng(5), 0, 0
    limit = chi_square_limit(0.001, 9) * (1 / rows + 1 / others)
    for _ in range(2000):
        new, old = rng.normal(size=rows), np.sort(rng.normal(size=others))
        below = np.searchsorted(old, new)
        found = [bin_of(int(b), 0, others, 10) for b in below]
        base = [bin_of(i, 1, others, 10) for i in range(others)]
        counts = [np.bincount(side, minlength=10).tolist() for side in (found, base)]
        over += psi(*counts) > limit
        bound = ks_factor(0.001) * math.sqrt(1 / rows + 1 / others)
        distances += stats.ks_2samp(new, old, method="asymp").statistic > bound
    assert over <= 2000 * most and distances <= 2000 * 0.003
