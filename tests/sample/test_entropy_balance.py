"""entropy_balance: worked example, weighted means, scipy, and the same bits everywhere."""

import numpy as np
import pytest
from scipy.optimize import minimize

from comparisons import confounded, copies, options, prepared, table, weights, weights_of

ALL = ["x0", "x1", "x2", "c"]


def smd(data, name, w):
    """The standardised mean difference, with deviations before weighting."""
    x, t = np.asarray(data[name], float), data["t"] == 1
    spread = np.sqrt((x[t].var(ddof=1) + x[~t].var(ddof=1)) / 2)
    return (np.average(x[t], weights=w[t]) - np.average(x[~t], weights=w[~t])) / spread


def test_worked_example(framed):
    data = {"x": [0.0, 1, 2, 3, 1, 3], "t": [0, 0, 0, 0, 1, 1], "id": list(range(6))}
    found, w = weights([framed(data)], options("entropy_balance", ["x"]))
    assert w[:4] / 2 == pytest.approx([0.11966, 0.18204, 0.27695, 0.42135], abs=5e-6)
    assert w[4:].tolist() == [1, 1]
    assert np.log(w[1:4] / w[:3]) == pytest.approx([0.41962] * 3, abs=5e-6)
    control = table(found, 1)["control"]
    assert control["effective sample size"] == pytest.approx(3.3146, abs=5e-5)
    assert control["sum of weights"] == pytest.approx(2)


@pytest.mark.parametrize("estimand", ["atc", "ate"])
def test_weighted_means_are_those_of_whom_they_stand_for(framed, estimand):
    data = confounded()
    found, w = weights([framed(data)], options("entropy_balance", ALL, estimand=estimand))
    t = data["t"] == 1
    whom = {"att": t, "atc": ~t, "ate": t | ~t}[estimand]
    said = table(found, 0)
    assert abs(smd(data, "x0", np.ones(len(t)))) > 0.3
    for name in ("x0", "x1", "x2"):
        for arm in (t, ~t):
            mean = np.average(data[name][arm], weights=w[arm])
            assert mean == pytest.approx(data[name][whom].mean(), abs=1e-6)
        assert said[name]["SMD"] == pytest.approx(smd(data, name, np.ones(len(t))), abs=1e-9)
        assert said[name]["SMD after"] == pytest.approx(smd(data, name, w), abs=1e-9)
        assert abs(said[name]["SMD after"]) < 1e-6
    for level in "abc":
        share = np.average((data["c"] == level)[~t], weights=w[~t])
        assert share == pytest.approx((data["c"] == level)[whom].mean(), abs=1e-6)
        assert said[f'c="{level}"']["weighted mean control"] == pytest.approx(share)
    assert [w[t].sum(), w[~t].sum()] == pytest.approx([whom.sum()] * 2)


def test_weights_are_those_of_another_method(framed):
    data = confounded(800)
    x, t = np.stack([data["x0"], data["x1"]], axis=1), data["t"] == 1
    away = x[~t] - x[t].mean(axis=0)
    known = minimize(lambda p: np.log(np.exp(away @ p).mean()), np.zeros(2), tol=1e-12)
    expected = np.exp(away @ known.x)
    _, w = weights([framed(data)], options("entropy_balance", ["x0", "x1"]))
    assert w[~t] == pytest.approx(expected / expected.sum() * t.sum(), rel=1e-4)


@pytest.mark.slow
def test_the_same_bits_whatever_the_partitions_and_sources(framed):
    data = confounded(8300)
    asked = options("entropy_balance", ALL, estimand="ate")
    first, one = weights([framed(data, 1)], asked)
    halves = [framed({k: v[i::2] for k, v in data.items()}, p) for i, p in ((1, 3), (0, 4))]
    second, seven = weights(halves, asked)
    assert (one == seven).all()
    assert first == second


def test_what_is_said_of_weights_is_true_and_extreme_ones_are_warned_of(framed):
    data = confounded(3000, strength=3.0)
    found, w = weights([framed(data)], options("entropy_balance", ["x0", "x1"]))
    t = data["t"] == 1
    control, said = w[~t], table(found, 1)["control"]
    assert said["effective sample size"] == pytest.approx(
        control.sum() ** 2 / (control**2).sum(), rel=1e-9
    )
    assert said["largest weight"] == pytest.approx(control.max(), rel=1e-9)
    n = len(control) // 100
    top = np.sort(control)[::-1][: n + 1]
    top[-1] *= len(control) / 100 - n
    assert said["share of heaviest 1 %"] == pytest.approx(top.sum() / control.sum(), rel=0.005)
    outside = np.zeros(len(control), bool)
    for name in ("x0", "x1"):
        x = data[name]
        outside |= (x[~t] < x[t].min()) | (x[~t] > x[t].max())
    assert said["share out of the other's ranges"] == pytest.approx(outside.mean())
    assert said["effective sample size"] < 0.1 * len(control)
    assert "Warning" in found.diagnostics[1].note
    mild, _ = weights([framed(confounded(300, strength=0.1))], options("entropy_balance", ["x0"]))
    assert "Warning" not in mild.diagnostics[1].note


def test_a_ridge_balances_as_far_as_rows_go(framed):
    data = {"x": [0.0, 1, 2, 5, 6], "t": [0, 0, 0, 1, 1], "id": list(range(5))}
    found, w = weights([framed(data)], options("entropy_balance", ["x"], ridge=3.0))
    assert 1 < np.average(data["x"][:3], weights=w[:3]) < 2
    assert np.isfinite(w).all() and w[:3].sum() == pytest.approx(2)
    assert abs(table(found, 0)["x"]["SMD after"]) > 1


def test_many_covariates_and_stabilised_weights(framed):
    data = confounded(2000, width=60)
    asked = options("entropy_balance", [f"x{i}" for i in range(60)], stabilised=True)
    found, w = weights([framed(data, 3)], asked)
    assert len(found.diagnostics[0].rows) == 60
    assert max(abs(row["SMD after"]) for row in table(found, 0).values()) < 1e-6
    t = data["t"] == 1
    assert [w[t].sum(), w[~t].sum()] == pytest.approx([t.sum(), (~t).sum()])
    sums = [row["sum of weights"] for row in table(found, 1).values()]
    assert sums == pytest.approx([t.sum(), (~t).sum()])


def test_heavy_tails_and_far_means_keep_their_precision(framed):
    data = confounded(3000)
    heavy = data["x0"].copy()
    heavy[np.flatnonzero(data["t"] == 0)[:2]] = [3e3, -2e3]
    far = 1.7e15 + np.round(1e6 * data["x1"])
    _, w = weights(
        [framed({**data, "heavy": heavy, "far": far})], options("entropy_balance", ["heavy", "far"])
    )
    for name, values in (("heavy", heavy), ("far", far - 1.7e15)):
        assert abs(smd({**data, name: values}, name, w)) < 1e-6, name


def test_rows_put_out_are_exactly_as_many_and_each_near_its_weight(framed):
    data = confounded(2000)
    t, asked = data["t"] == 1, options("entropy_balance", ["x0"], estimand="ate", rows=5001)
    frames = [framed(data)]
    found = prepared(frames, asked)
    n, w = copies(frames, asked, found), weights_of(frames, asked, found)
    assert found.targets == {0: 5001} and n.sum() == 5001
    assert abs(n[t].sum() - 2500.5) < 1
    for arm in (t, ~t):
        wished = w[arm] / w[arm].sum() * n[arm].sum()
        assert (np.abs(n[arm] - wished) < 1 + 1e-6).all()
        # Where there are some hundred rows the means are those of the weights, but for rounding.
        mean, rounded = (np.average(data["x0"][arm], weights=v[arm]) for v in (w, n))
        assert rounded == pytest.approx(mean, abs=0.03)
    said = table(found, 2)
    assert [said[arm]["rows put out"] for arm in said] == [n[t].sum(), n[~t].sum()]
    assert said["control"]["rows left out"] == (n[~t] == 0).sum()
    assert said["control"]["most copies of a row"] == n[~t].max()
    assert f"{(n - (n > 0)).sum():,} of the rows put out are copies" in found.diagnostics[2].note


def test_whole_weights_are_put_out_as_they_are(framed):
    # Two rows a kind and arm; the controls' weights become 1 and 3 times what they are.
    data = {"c": ["a", "b", "b", "b", "a", "b"] * 2, "t": [1, 1, 1, 1, 0, 0] * 2}
    data["id"] = list(range(12))
    asked = options("entropy_balance", ["c"], rows=16)
    frames = [framed(data)]
    n = copies(frames, asked, prepared(frames, asked))
    assert n.tolist() == [1, 1, 1, 1, 1, 3] * 2
