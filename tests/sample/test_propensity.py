"""propensity: scikit-learn's logistic regression, trimming, and what has no weights."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from comparisons import confounded, copies, options, prepared, table, weights
from lakebalance.core.errors import RecipeError
from lakebalance.sample.arm_weights import ArmWeights
from lakebalance.sample.comparison import CONTROL, TREATED
from lakebalance.sample.logistic import Propensity
from lakebalance.sample.propensity import formulas, largest_weight

ALL = ["x0", "x1", "c"]


def chances(data, names=("x0", "x1"), **more):
    """Each row's chance to be treated, after scikit-learn."""
    c = np.stack([data["c"] == level for level in "bc"], axis=1)
    x = np.hstack([np.stack([data[name] for name in names], axis=1), c])
    fit = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000, **more).fit(x, data["t"])
    return fit.predict_proba(x)[:, 1]


def inverse(e, t, estimand):
    """The weights by their definition."""
    return {
        "ate": np.where(t, 1 / e, 1 / (1 - e)),
        "att": np.where(t, 1, e / (1 - e)),
        "atc": np.where(t, (1 - e) / e, 1),
    }[estimand]


def test_weights_are_those_of_scikit_learn(framed):
    data = confounded(1500)
    t, e = data["t"] == 1, chances(data)
    asked = options("propensity", ALL, estimand="ate", normalise=False)
    found, w = weights([framed(data)], asked)
    assert w == pytest.approx(inverse(e, t, "ate"), rel=1e-5)
    said = table(found, 1)
    for arm, here in (("treated", t), ("control", ~t)):
        assert said[arm]["least propensity"] == pytest.approx(e[here].min(), rel=1e-5)
        assert said[arm]["greatest propensity"] == pytest.approx(e[here].max(), rel=1e-5)
        low, high = e[~here].min(), e[~here].max()
        apart = ((e[here] < low) | (e[here] > high)).mean()
        # Told apart by bins of the odds.
        assert said[arm]["share out of common support"] == pytest.approx(apart, abs=0.002)
        ess = w[here].sum() ** 2 / (w[here] ** 2).sum()
        assert said[arm]["effective sample size"] == pytest.approx(ess, rel=1e-9)
    before, after = (
        abs(np.array([row[k] for row in table(found, 0).values()])).max()
        for k in ("SMD", "SMD after")
    )
    assert before > 0.3 and after < 0.1


@pytest.mark.parametrize("estimand", ["ate", "att", "atc"])
def test_each_estimand_has_its_weights_and_bounds(estimand):
    e, t = np.array([0.02, 0.3, 0.5, 0.97]), np.array([True, False] * 4)
    e = np.repeat(e, 2)
    scores = np.log(e / (1 - e))
    fit = Propensity((0.0, 1.0), {TREATED: (-4.0, 4.0), CONTROL: (-4.0, 4.0)})
    clipped = np.clip(e, 0.1, 0.9)
    for more, expected in (
        ({}, inverse(e, t, estimand)),
        ({"bounds": [0.1, 0.9]}, inverse(clipped, t, estimand)),
        ({"bounds": [0.1, 0.9], "outside": "zero"}, None),
    ):
        arms = formulas(fit, options("propensity", ["x"], estimand=estimand, **more))
        w = np.where(t, arms[TREATED].of(scores), arms[CONTROL].of(scores))
        if expected is None:
            assert w == pytest.approx(np.where(e == clipped, inverse(e, t, estimand), 0.0))
        else:
            assert w == pytest.approx(expected)


@pytest.mark.slow
def test_weights_are_stabilised_scaled_and_trimmed(framed):
    data = confounded(1500, strength=2.0)
    t, e, frames = data["t"] == 1, chances(data), [framed(data)]
    inside, share = (e >= 0.1) & (e <= 0.9), data["t"].mean()
    assert 0.2 < inside.mean() < 0.9
    given = {"estimand": "ate", "bounds": [0.1, 0.9], "outside": "zero", "stabilised": True}
    raw = np.where(inside, inverse(e, t, "ate"), 0.0) * np.where(t, share, 1 - share)
    found, w = weights(frames, options("propensity", ALL, **given, normalise=False))
    assert w == pytest.approx(raw, rel=1e-5)
    assert table(found, 1)["treated"]["weights over 0"] == (t & inside).sum()
    found, w = weights(frames, options("propensity", ALL, estimand="ate", quantile=0.9))
    raw = inverse(e, t, "ate")
    for arm in (t, ~t):
        cut = np.minimum(raw[arm], np.quantile(raw[arm], 0.9, method="inverted_cdf"))
        assert w[arm] == pytest.approx(cut / cut.sum() * len(t), rel=0.008)
        assert (w[arm] == w[arm].max()).mean() == pytest.approx(0.1, abs=0.01)


def test_bounds_without_rows_are_refused(framed):
    asked = options("propensity", ["x0"], bounds=[0.98, 0.99], outside="zero")
    with pytest.raises(RecipeError, match=r"sample\.bounds: no row of the treated group"):
        weights([framed(confounded(200, strength=0.1))], asked)
    with pytest.raises(ValueError, match="the lesser first"):
        options("propensity", ["x0"], bounds=[0.9, 0.1])


@pytest.mark.slow
def test_the_same_bits_whatever_the_partitions_and_order(framed):
    data = confounded(8300)
    asked = options("propensity", ALL, estimand="ate", quantile=0.99, rows=8301)
    found, n = [], []
    for frame in (framed(data, 1), framed({k: v[::-1] for k, v in data.items()}, 3)):
        found.append(prepared([frame], asked))
        n.append(copies([frame], asked, found[-1]))
    assert (n[0] == n[1]).all() and n[0].sum() == 8301
    assert found[0] == found[1]


SEPARATED = {
    "one covariate": (
        {"x": [0.0, 1, 2, 3, 4, 5], "t": [0, 0, 0, 1, 1, 1]},
        '"x" is from 3 to 5 in the treated group and from 0 to 2 in the control',
    ),
    "one covariate, but for an end": (
        {"x": [0.0, 1, 2, 2, 4, 5], "t": [0, 0, 0, 1, 1, 1]},
        "no overlap",
    ),
    "two together": (
        {"x": [0.0, 3, 1, 2, 0, 3, 1, 2], "y": [1.0, 4, 2, 3, 0, 3, 1, 2], "t": [1] * 4 + [0] * 4},
        r"perfect separation\), .* most of all do [xy], [xy];",
    ),
    "two together, but for ties": (
        {
            "x": [0.0, 3, 1, 2, 0, 3, 1, 2],
            "y": [1.0, 4, 2, 2, 0, 3, 1, 2],
            "t": [1] * 4 + [0] * 4,
        },
        "perfect separation",
    ),
    "a category": (
        {"c": ["a", "b", "c", "a", "b", "b"], "t": [0, 0, 0, 1, 1, 1]},
        'no row of the treated group and some of the control group have c="c"',
    ),
}


@pytest.mark.parametrize("case", SEPARATED)
def test_propensities_of_0_and_1_are_refused_but_for_a_ridge(framed, case):
    data, message = SEPARATED[case]
    data = {**data, "id": list(range(len(data["t"])))}
    names = [name for name in data if name not in ("t", "id")]
    with pytest.raises(RecipeError, match=f"(?s){message}.*sample.ridge: 0.001"):
        weights([framed(data)], options("propensity", names, estimand="ate"))
    if case.startswith("one covariate"):
        asked = options("propensity", names, ridge=0.001, bounds=[0.01, 0.99], normalise=False)
        _, w = weights([framed(data)], asked)
        assert np.isfinite(w).all() and w.max() <= 99 * (1 + 1e-9)


def test_weights_that_would_overflow_are_refused():
    asked = options("propensity", ["x"], estimand="ate")
    fit = Propensity((0.0, 1.0), {TREATED: (-400.0, 3.0), CONTROL: (-3.0, 2.0)})
    with pytest.raises(RecipeError, match=r"treated group would be e\^400.*sample\.bounds"):
        largest_weight(formulas(fit, asked), fit)
    bounded = asked.model_copy(update={"bounds": (0.01, 0.99)})
    assert largest_weight(formulas(fit, bounded), fit) == pytest.approx(100)
    ones = {TREATED: ArmWeights.ones(1), CONTROL: ArmWeights.ones(1)}
    assert largest_weight(ones, fit) == 1
