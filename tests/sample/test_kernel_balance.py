"""kernel_balance: squares and products of covariates agree too, not only their means."""

import numpy as np
import pytest

from comparisons import confounded, options, table, weights
from lakebalance.sample.fourier import Fourier


def curved(n=2000, seed=5):
    """Treated rows are those far from the middle, and on the diagonal."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 2))
    logit = 0.8 * (x**2).sum(axis=1) + 0.8 * x[:, 0] * x[:, 1] - 1.6
    t = (rng.uniform(size=n) < 1 / (1 + np.exp(-np.clip(logit, -3, 3)))).astype(int)
    return {"x.0": x[:, 0], "X 1": x[:, 1], "t": t, "id": np.arange(n)}


def far(data, w):
    """How far the arms are apart in squares and the product, in deviations."""
    t, (a, b) = data["t"] == 1, (data["x.0"], data["X 1"])
    return [
        abs(np.average(v[t], weights=w[t]) - np.average(v[~t], weights=w[~t])) / v.std()
        for v in (a**2, b**2, a * b)
    ]


@pytest.mark.slow
def test_more_than_means_agree(framed):
    data = curved()
    frame = framed(data, 3)
    found, w = weights([frame], options("kernel_balance", ["x.0", "X 1"], features=40))
    _, means_only = weights([frame], options("entropy_balance", ["x.0", "X 1"]))
    assert min(far(data, means_only)) > 0.25
    assert max(far(data, w)) < 0.1
    assert max(abs(row["SMD after"]) for row in table(found, 0).values()) < 0.01
    distance = table(found, 2)["Gaussian"]
    assert distance["after"] < 0.1 * distance["before"]


def test_the_same_bits_however_the_rows_lie(framed):
    data, asked = curved(300), options("kernel_balance", ["x.0", "X 1"], features=5)
    first, w = weights([framed(data, 2)], asked)
    second, other = weights([framed({k: v[::-1] for k, v in data.items()}, 1)], asked)
    assert (w == other).all() and first == second


@pytest.mark.slow
def test_the_distance_is_that_of_the_kernel(framed):
    data = confounded(400, width=2)
    asked = options("kernel_balance", ["x0", "x1"], features=200, bandwidth=1.0, ridge=0.1)
    found, _ = weights([framed(data)], asked)
    t = data["t"] == 1
    x = np.stack([data["x0"], data["x1"]], axis=1)
    x = x / np.sqrt((x[t].var(axis=0, ddof=1) + x[~t].var(axis=0, ddof=1)) / 2)
    kernel = np.exp(-((x[:, None] - x[None]) ** 2).sum(axis=2) / 2)
    sign = np.where(t, 1 / t.sum(), -1 / (~t).sum())
    assert table(found, 2)["Gaussian"]["before"] == pytest.approx(
        np.sqrt(sign @ kernel @ sign), rel=0.25
    )


def test_features_are_cosines_that_stand_for_the_kernel():
    fourier = Fourier.drawn(2, 20_000, 1.5, seed=1)
    x = np.array([[0.0, 0.0], [1.0, 0.5], [-1.0, 2.0]])
    angles = 2 * np.pi * (x @ fourier.frequencies + fourier.phases)
    assert fourier.of(x) == pytest.approx(np.cos(angles), abs=1e-9)
    near = 2 * fourier.of(x) @ fourier.of(x).T / 20_000
    squares = ((x[:, None] - x[None]) ** 2).sum(axis=2)
    assert near == pytest.approx(np.exp(-squares / (2 * 1.5**2)), abs=0.03)
    assert (Fourier.drawn(2, 5, 1.5, 2).phases != Fourier.drawn(2, 5, 1.5, 1).phases).all()
