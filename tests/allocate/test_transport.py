"""projektor: distances by scipy's, mixtures by trying all, forecasts by numpy's least squares."""

import json
import math
import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy.stats import wasserstein_distance

from lakebalance.allocate.pilots import Forecast, extrapolated, fit_line
from lakebalance.allocate.rounding import InfeasibleBudget
from lakebalance.allocate.rules import Group
from lakebalance.allocate.sliced import areas_of, nearest_mixture, onto_simplex
from lakebalance.allocate.transport import Transport, diagnose, transport
from lakebalance.core.errors import RecipeError

NAMES = ["code", "web", "wiki"]


def projected(seed, sizes=(40, 60, 50), target=70):
    """Samples of three sources and a target that is half wiki, a third web, in 8 dimensions."""
    chance = np.random.default_rng(seed)
    centres = chance.normal(size=(3, 8)) * 2
    directions = chance.normal(size=(8, 6))
    directions /= np.linalg.norm(directions, axis=0)
    samples = {
        name: (centre + chance.normal(size=(n, 8))) @ directions
        for name, centre, n in zip(NAMES, centres, sizes, strict=True)
    }
    parts = chance.choice(3, size=target, p=[1 / 6, 1 / 3, 1 / 2])
    samples["target"] = (centres[parts] + chance.normal(size=(target, 8))) @ directions
    return {name: sample.T.tolist() for name, sample in samples.items()}


def by_scipy(values, shares):
    """The mean over projections of scipy's distance, each value weighted by its source's share."""
    each = []
    for i, goal in enumerate(values["target"]):
        mixed = np.concatenate([values[name][i] for name in NAMES])
        weights = [np.full(len(values[n][i]), s / len(values[n][i]))
                   for n, s in zip(NAMES, shares, strict=True)]  # fmt: skip
        each.append(wasserstein_distance(mixed, goal, np.concatenate(weights)))
    return float(np.mean(each))


def runs_of(values, law, sizes=(1_000, 5_000)):
    mixtures = [(1, 0, 0), (0, 1, 0), (0, 0, 1), (0.4, 0.3, 0.3), (0.1, 0.5, 0.4)]
    return [
        {
            "rows": n,
            "performance": law(n, by_scipy(values, shares)),
            "shares": dict(zip(NAMES, shares, strict=True)),
        }
        for n in sizes
        for shares in mixtures
    ]


def straight(n, distance):
    return 0.2 + 0.05 * math.log(n) - (0.1 + 0.01 * math.log(n)) * distance


def options(values, law=straight, **more):
    runs = more.pop("measured", None) or runs_of(values, law)
    return Transport(
        method="transport", pilots={"measured": runs}, projections={"values": values}, **more
    )


def sources(*counts):
    return [Group({"source": name}, n) for name, n in zip(NAMES, counts, strict=True)]


@given(st.integers(0, 50), st.lists(st.floats(0.01, 1), min_size=3, max_size=3))
@settings(max_examples=25, deadline=None)
def test_the_distance_of_a_mixture_is_scipys(seed, weights):
    values, shares = projected(seed), np.array(weights) / sum(weights)
    ours = areas_of(NAMES, values, values["target"]).distance(shares)
    assert ours == pytest.approx(by_scipy(values, shares), rel=1e-9)


@pytest.mark.parametrize("most", [(1, 1, 1), (1, 0.2, 0.6)])
@pytest.mark.parametrize("seed", range(6))
def test_no_mixture_on_a_grid_is_nearer(seed, most):
    values = projected(seed)
    areas, caps = areas_of(NAMES, values, values["target"]), np.array(most, dtype=float)
    found = nearest_mixture(areas, caps)
    assert found.sum() == pytest.approx(1, abs=1e-9)
    assert (found >= 0).all() and (found <= caps + 1e-9).all()
    steps = np.linspace(0, 1, 51)
    grid = [np.array([a, b, 1 - a - b]) for a in steps for b in steps if a + b <= 1 + 1e-12]
    least = min(areas.distance(p) for p in grid if (p <= caps + 1e-9).all())
    assert areas.distance(found) <= least * 1.002


@given(st.lists(st.floats(-5, 5), min_size=3, max_size=6), st.integers(0, 9))
def test_the_projection_is_the_nearest_point_of_the_simplex(point, seed):
    near = onto_simplex(np.array(point), np.full(len(point), 0.7))
    assert near.sum() == pytest.approx(1, abs=1e-9) and near.min() >= 0 and near.max() <= 0.7
    others = np.random.default_rng(seed).dirichlet(np.ones(len(point)), 40)
    for other in others[others.max(axis=1) <= 0.7]:
        assert np.linalg.norm(near - point) <= np.linalg.norm(other - point) + 1e-9


def test_performance_at_two_sizes_goes_on_in_the_logarithm_of_rows():
    # The formula of METHODS, and the authors' code writes the same in another order.
    n0, n1, n, at0, at1 = 1_000, 4_000, 64_000, 0.55, 0.61
    ours = extrapolated(n, (n0, at0), (n1, at1))
    theirs = (math.log(n / n0) * at1 - math.log(n / n1) * at0) / math.log(n1 / n0)
    assert ours == pytest.approx(theirs) and ours == pytest.approx(0.55 + 3 * 0.06)


def test_lines_and_their_errors_are_those_of_least_squares():
    x, y = [1.0, 2.0, 4.0, 7.0, 8.0], [0.9, 0.7, 0.65, 0.2, 0.3]
    line = fit_line(100, x, y)
    slope, at_0 = np.polyfit(x, y, 1)
    assert (line.slope, line.at(0)) == (pytest.approx(slope), pytest.approx(at_0))
    design = np.stack([np.ones(5), x], axis=1)
    off = np.array(y) - design @ [at_0, slope]
    variance = off @ off / 3
    row = np.array([1, 5.5])
    wanted = variance * (1 + row @ np.linalg.inv(design.T @ design) @ row)
    assert line.variance(5.5) == pytest.approx(wanted)
    both = Forecast(line, fit_line(400, x, y))
    # At one of the sizes, the error is its own; at four times the larger, weights are -1 and 2.
    assert both.error(100, 5.5) == pytest.approx(math.sqrt(wanted))
    assert both.error(1_600, 5.5) == pytest.approx(math.sqrt(5 * wanted))


@given(rows=st.integers(1, 10**6), epochs=st.floats(0.3, 6), seed=st.integers(0, 3))
@settings(max_examples=12, deadline=None)
def test_budgets_are_met_within_caps(rows, epochs, seed):
    given_groups = sources(30_000, 90_000, 20_000)
    try:
        found = transport(given_groups, rows, options(projected(seed), max_epochs=epochs))
    except InfeasibleBudget as error:
        assert rows > sum(int(epochs * g.available) for g in given_groups), error
        return
    assert sum(found) == rows
    for target, group in zip(found, given_groups, strict=True):
        assert target <= int(epochs * group.available)


def test_the_plan_is_predicted_to_be_best_and_its_forecast_is_the_laws():
    values, given_groups = projected(4), sources(50_000, 50_000, 0)
    chosen = options(values)
    found = transport(given_groups, 20_000, chosen)
    assert found[2] == 0
    given_groups = sources(50_000, 50_000, 50_000)
    found = transport(given_groups, 20_000, chosen)
    [table] = diagnose(given_groups, found, chosen)
    forecasts = {line[0]: line for line in table.rows}
    assert forecasts["planned"][2] == max(line[2] for line in table.rows)
    distance = by_scipy(values, np.array(found) / 20_000)
    assert forecasts["planned"][1] == pytest.approx(distance)
    assert forecasts["planned"][2] == pytest.approx(straight(20_000, distance))
    assert forecasts["planned"][3] == pytest.approx(0, abs=1e-6)
    assert "5 pilots of 1,000 rows" in table.note and "far to predict" not in table.note
    # A loss is better the smaller it is; the same mixture wins.
    losses = options(values, lambda n, d: 3 - straight(n, d), better="smaller")
    assert transport(given_groups, 20_000, losses) == found
    [table] = diagnose(given_groups, [10**6, 0, 0], chosen)
    assert "200 times the larger pilots" in table.note


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda runs: runs[:8], "3 pilots of 5,000 rows, too few .* at least 4 of this size"),
        (lambda runs: runs[:5], r"pilots are of 1 sizes \(1000\); run them at two"),
        (lambda runs: [runs[0]] * 4 + runs[5:], "pilots of 1,000 rows are equally far"),
        (
            lambda runs: [{**r, "shares": {"webb": 1.0}} for r in runs],
            'share for "webb", a group that isn\'t there; did you mean "web"',
        ),
        (
            lambda runs: [{**r, "performance": -r["performance"]} for r in runs],
            "perform no worse the farther they are",
        ),
    ],
)
def test_pilots_that_do_not_tell_are_refused(change, message):
    values = projected(0)
    asked = options(values, measured=change(runs_of(values, straight)))
    with pytest.raises(RecipeError, match=message):
        transport(sources(9_000, 9_000, 9_000), 9_000, asked)


def test_sources_and_projections_must_fit_together():
    values = projected(0)
    more = [*sources(9, 9, 9), Group({"source": "blogs"}, 7)]
    with pytest.raises(RecipeError, match='"blogs" has 7 rows and no projections; add them'):
        transport(more, 9, options(values))
    with pytest.raises(RecipeError, match='projections for "wiki", a group that isn\'t there'):
        transport(sources(9, 9, 9)[:2], 9, options(values))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"web": [[1.0]] * 5}, '"web" has 5 projections and the target 6; .* of one size'),
        ({"web": [[math.nan]] * 6}, "finite"),
        ({"web": [[None]] * 6}, "valid number"),
        ({"web": [[]] * 6}, "at least 1"),
        ({"web": [[0.5] * 100_000] * 6}, "are too many; write quantiles"),
    ],
)
def test_projections_that_are_none_are_refused(change, message):
    values = projected(0)
    runs = runs_of(values, straight)
    with pytest.raises(ValidationError, match=message):
        options({**values, **change}, measured=runs)
    del values["target"]
    with pytest.raises(ValidationError, match='no values of the target, "target"'):
        options(values, measured=runs)


def test_options_that_mean_nothing_are_refused():
    values = projected(0)
    runs = runs_of(values, straight)
    with pytest.raises(ValidationError, match="leave out min_rows"):
        options(values, measured=runs, min_rows=3)
    with pytest.raises(ValidationError, match=r"shares sum to 0\.5, not to 1"):
        options(values, measured=[{**runs[0], "shares": {"web": 0.5}}])


SEARCHED = """
import json, sys
sys.path[:0] = json.loads(sys.argv[1])
from tests.allocate.test_transport import options, projected, sources
from lakebalance.allocate.transport import diagnose, transport
for seed in range(4):
    chosen = options(projected(seed), measured=json.loads(sys.argv[2]), max_epochs=3)
    found = transport(sources(30_000, 90_000, 20_000), 50_000, chosen)
    print(found, [line[1].hex() for line in diagnose(sources(3, 9, 2), found, chosen)[0].rows])
"""


@pytest.mark.slow
def test_mixtures_and_distances_are_the_same_by_any_number_of_threads_and_instructions():
    """To the last bit, though BLAS has other threads, and numpy other instructions."""
    runs = json.dumps(runs_of(projected(0), straight))
    said = set()
    for threads, without in [("1", ""), ("4", "AVX2 FMA3 AVX512F AVX512_SKX X86_V3 X86_V4")]:
        settings = {"OPENBLAS_NUM_THREADS": threads, "NPY_DISABLE_CPU_FEATURES": without}
        command = [sys.executable, "-c", SEARCHED, json.dumps(sys.path), runs]
        done = subprocess.run(
            command, env=os.environ | settings, capture_output=True, text=True, check=True
        )
        said.add(done.stdout)
    assert len(said) == 1 and said.pop().count("[") == 8


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({}, "write either embeddings or projections"),
        ({"embeddings": {"column": "e"}}, "target"),
        ({"embeddings": {"column": "e", "target": {"table": "a/b", "where": "rand() < 1"}}},
         '"rand" is not a function of the row'),
        ({"embeddings": {"column": "e", "target": {"table": "a/b", "format": "parquet",
                                                   "version": 3}}}, "has no versions"),
        ({"embeddings": {"column": "e", "target": {"table": "a/b"}, "label_weight": 0}}, "than 0"),
    ],
)  # fmt: skip
def test_embeddings_that_mean_nothing_are_refused(change, message):
    runs = runs_of(projected(0), straight)
    with pytest.raises(ValidationError, match=message):
        Transport(method="transport", pilots={"measured": runs}, **change)
    named = {"column": "e", "target": {"table": "a/b"}}
    chosen = Transport(method="transport", pilots={"measured": runs}, embeddings=named)
    with pytest.raises(RecipeError, match="embeddings are read by plan and run alone"):
        transport(sources(9, 9, 9), 9, chosen)
