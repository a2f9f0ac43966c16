"""Plain arithmetic against what it stands for, and that it is no other."""

import math
from statistics import NormalDist

import numpy as np
import pytest

from lakebalance.core.chance import normal
from lakebalance.core.plain import minus_log, upper_quantile

SHARES = np.concatenate(
    [
        np.linspace(1e-6, 0.5, 5001),
        10.0 ** -np.linspace(1, 300, 3000),
        0.5 - 10.0 ** -np.arange(1.0, 17),
        np.nextafter([0.075, 0.075], [0, 1]),
        [2.0**-53, math.exp(-25), np.nextafter(math.exp(-25), 1)],
    ]
)


def test_logarithms_are_those_of_the_library():
    np.testing.assert_allclose(minus_log(SHARES), -np.log(SHARES), rtol=4e-16)
    assert minus_log(np.array([1.0])) == 0


def test_quantiles_are_those_of_scipy():
    stats = pytest.importorskip("scipy.stats")
    np.testing.assert_allclose(upper_quantile(SHARES), stats.norm.isf(SHARES), rtol=1e-13)


def test_quantiles_are_those_of_python():
    python = [-NormalDist().inv_cdf(share) for share in SHARES]
    np.testing.assert_allclose(upper_quantile(SHARES), python, rtol=1e-14)


def test_normal_chance_has_the_moments_and_the_shape_of_a_normal():
    stats = pytest.importorskip("scipy.stats")
    n = 200_000
    key = np.arange(n, dtype=np.int64) * 7919
    drawn = normal(key, np.zeros_like(key), 5)
    # Four standard errors of each moment.
    for power, moment, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        assert abs((drawn**power).mean() - moment) < 4 * math.sqrt(variance / n)
    assert stats.kstest(drawn, "norm").pvalue > 0.001
    again = normal(key, np.ones_like(key), 5)
    assert abs(np.corrcoef(drawn, again)[0, 1]) < 4 / math.sqrt(n)


def test_normal_chance_is_the_same_however_it_is_cut():
    """numpy works through long arrays several numbers at a time, and through their ends singly."""
    key = np.arange(10_007, dtype=np.int64)
    drawn = normal(key, key % 3, 1)
    singly = [normal(key[i : i + 1], key[i : i + 1] % 3, 1)[0] for i in range(0, 10_007, 13)]
    assert drawn[::13].tolist() == singly


def test_normal_chance_stays_as_it_is():
    """Rows that were made before would else be others; these bits hold on every machine."""
    drawn = normal(np.array([1, 2, 3, 2**62]), np.array([0, 0, 7, 0]), 42)
    assert [value.hex() for value in drawn.tolist()] == [
        "-0x1.5a931de47a9edp-4",
        "0x1.4c3a17fd718dep-5",
        "0x1.a9d7ddb8fd5c8p-2",
        "0x1.74e76628964b2p-3",
    ]
