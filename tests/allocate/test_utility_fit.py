"""Utilities fitted to losses: what made them is found again, and scipy's solver as the judge."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize

from lakebalance.allocate.least_squares import least_squares
from lakebalance.allocate.pools import Bucket, Law, Pool
from lakebalance.allocate.qqt import Qqt, diagnose, qqt
from lakebalance.allocate.rules import Group
from lakebalance.allocate.utility_fit import MeasuredLoss, fit_utilities
from lakebalance.core.errors import RecipeError

ROWS = 100_000
LAW = Law(a=2.0, d=0.1, unit=10_000)
TRUE = {"top": (-0.3, 2.0), "middle": (-0.2, 5.0), "rest": (-0.16, 6.0)}
SEEN = [30_000, 100_000, 150_000, 250_000, 400_000, 700_000, 1_000_000, 2_000_000]


def losses(true=TRUE, seen=SEEN, noise=0.0, seed=0):
    rng = np.random.default_rng(seed)
    measured = []
    for name, (b, c) in true.items():
        pool = Pool.of(LAW, [Bucket(name, ROWS, b, c, ROWS)], max(seen))
        measured += [
            MeasuredLoss(bucket=name, samples_seen=n, loss=pool.loss(n) + noise * rng.normal())
            for n in seen
        ]
    return measured


def fitted(measured, rows=None, **constants):
    names = sorted({point.bucket for point in measured})
    return fit_utilities(measured, rows or dict.fromkeys(names, ROWS), LAW.unit, **constants)


def by_the_paper(at, measured):
    """The paper's product in a plain loop: b and log c by bucket, then log a and d."""
    names, found = sorted({point.bucket for point in measured}), []
    a, d = np.exp(at[-2]), at[-1]
    for point in measured:
        i = names.index(point.bucket)
        b, c, falling = at[2 * i], np.exp(at[2 * i + 1]), 1.0
        for e in range(point.samples_seen // ROWS + 1):
            n = min((e + 1) * ROWS, point.samples_seen)
            before = e * ROWS if e else LAW.unit / a
            falling *= (n / before) ** (b * 0.5 ** (e / c))
        found.append(d + falling - point.loss)
    return np.array(found)


@pytest.mark.parametrize("constants", [{}, {"d": 0.1}, {"a": 2.0}, {"a": 2.0, "d": 0.1}])
def test_what_made_the_losses_is_found_again(constants):
    fit = fitted(losses(), **constants)
    found = {bucket.name: (bucket.utility, bucket.half_life) for bucket in fit.buckets}
    assert found == {name: pytest.approx(pair, rel=1e-4) for name, pair in TRUE.items()}
    assert (fit.law.a, fit.law.d) == pytest.approx((2.0, 0.1), rel=1e-4)
    assert max(abs(residual) for _, residual in fit.residuals) < 1e-6
    names = [p.name for p in fit.parameters if p.bucket is None]
    assert names == [name for name in ("a", "d") if name not in constants]


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 10**6), noise=st.sampled_from([1e-4, 1e-3, 4e-3]))
def test_no_worse_than_scipy_from_the_truth_and_with_its_errors(seed, noise):
    measured = losses(noise=noise, seed=seed)
    ours = fitted(measured)
    start = [x for name in sorted(TRUE) for x in (TRUE[name][0], np.log(TRUE[name][1]))]
    theirs = optimize.least_squares(
        by_the_paper, [*start, np.log(2.0), 0.1], args=(measured,), x_scale="jac", xtol=1e-12,
        ftol=1e-14, gtol=1e-14,
    )  # fmt: skip
    squares = sum(residual**2 for _, residual in ours.residuals)
    assert squares <= 2 * theirs.cost * (1 + 1e-6)
    if any(p.error is None for p in ours.parameters):
        return  # at a limit, where scipy knows none
    assert squares == pytest.approx(2 * theirs.cost, rel=1e-6)
    variance = 2 * theirs.cost / (len(measured) - 8)
    expected = np.sqrt(np.diag(np.linalg.inv(theirs.jac.T @ theirs.jac)) * variance)
    logs = [p.name in ("half_life", "a") for p in ours.parameters]
    errors = [
        p.error / (p.value if log else 1) for p, log in zip(ours.parameters, logs, strict=True)
    ]
    assert errors == pytest.approx(expected.tolist(), rel=0.02)


def test_standard_errors_are_as_far_off_as_fits_are():
    """Over many noisy tables, fitted numbers lie about their standard error from the truth."""
    off = []
    for seed in range(40):
        fit = fitted(losses(noise=1e-3, seed=seed), a=2.0, d=0.1)
        truth = [x for name in sorted(TRUE) for x in TRUE[name]]
        off += [(p.value - t) / p.error for p, t in zip(fit.parameters, truth, strict=True)]
    # Of 18 degrees of freedom, t has a standard deviation of 1.06.
    assert 0.95 < np.std(off) < 1.2 and abs(np.mean(off)) < 0.2


@pytest.mark.slow
@settings(max_examples=6, deadline=None)
@given(order=st.randoms(use_true_random=False))
def test_the_order_of_the_table_changes_nothing(order: random.Random):
    measured = losses(noise=2e-3)
    shuffled = list(measured)
    order.shuffle(shuffled)
    assert fitted(shuffled) == fitted(measured)


def test_losses_that_do_not_tell_a_number_give_it_no_error():
    forever = [
        MeasuredLoss(bucket="top", samples_seen=n, loss=0.1 + (2 * n / 10_000) ** -0.3)
        for n in SEEN
    ]
    [b, c] = fitted(forever, a=2.0, d=0.1).parameters
    assert c.value == 1000 and c.error is None
    assert b.value == pytest.approx(-0.3, rel=0.01) and b.error is not None


def cut(measured, **fields):
    return [point.model_copy(update=fields) for point in measured]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m[:2], 'bucket "top" was measured at 2 numbers of samples; .* need 3'),
        (lambda m: [m[0], m[0], m[0], m[4]], "measured at 2 numbers"),
        (lambda m: cut(m[:1], samples_seen=20_000) + m[:2], "within its first epoch of 100,000"),
        (lambda m: cut(m[:1], samples_seen=3_000_000, loss=0.9) + m[:3], "does not fall"),
        (lambda m: cut(m, loss=0.6), "does not fall"),
        (lambda m: m[:4], "4 losses for 4 numbers to find; measure 1 more, or write a and d"),
        (lambda m: cut(m[:1], loss=3.2) + m[1:], "has the loss 3.2, but .* at most 1 . d; take"),
    ],
)
def test_losses_that_tell_too_little_are_refused(change, message):
    with pytest.raises(RecipeError, match=message):
        fitted(change(losses({"top": TRUE["top"]})))


def test_constants_that_do_not_go_with_the_losses_are_refused():
    with pytest.raises(RecipeError, match=r"has the loss 0.43\d*, which must be above d = 0.45"):
        fitted(losses(), d=0.45)
    with pytest.raises(
        RecipeError, match=r"30,000 samples is before the law starts, at .* 100,000"
    ):
        fitted(losses(), a=0.1)


@pytest.mark.parametrize("loss", [0, -0.5, float("nan"), float("inf")])
def test_a_loss_is_a_number_above_0(loss):
    with pytest.raises(ValueError, match=r"greater than 0|finite"):
        MeasuredLoss(bucket="top", samples_seen=5, loss=loss)


def groups(*names):
    return [Group({"c": name}, ROWS) for name in names]


def options(measured, **fields):
    given_losses = [point.model_dump() for point in measured]
    base = {"method": "qqt", "unit": LAW.unit, "fit": {"measured": given_losses}}
    return Qqt.model_validate({**base, **fields})


def test_fitted_buckets_are_shared_over_as_written_ones_are():
    buckets = {name: {"utility": b, "half_life": c} for name, (b, c) in TRUE.items()}
    written = Qqt.model_validate(
        {"method": "qqt", "unit": LAW.unit, "a": 2.0, "d": 0.1, "buckets": buckets}
    )
    seen = set()
    for budget in (50_000, 200_000, 500_000, 2_000_000, 9_000_000):
        targets = qqt(groups(*TRUE), budget, options(losses()))
        assert targets == qqt(groups(*TRUE), budget, written)
        seen.add(sum(n > 0 for n in targets))
    assert seen == {1, 2, 3}


def test_the_plan_shows_the_fit_with_its_errors():
    chosen = options(losses(noise=1e-3))
    targets = qqt(groups(*TRUE), 500_000, chosen)
    *_, numbers, residuals = diagnose(groups(*TRUE), targets, chosen)
    named = [row[:2] for row in numbers.rows]
    assert named[:2] == [["middle", "utility"], ["middle", "half_life"]]
    assert named[-2:] == [[None, "a"], [None, "d"]]
    assert all(0 < row[3] < abs(row[2]) for row in numbers.rows)
    assert len(residuals.rows) == 24
    assert [abs(r[5]) for r in residuals.rows] == sorted(
        (abs(r[5]) for r in residuals.rows), reverse=True
    )
    for _, seen, epochs, loss, expected, residual in residuals.rows:
        assert epochs == seen / ROWS and loss - expected == pytest.approx(residual)


def test_losses_of_more_rows_than_there_are_now():
    """What was measured with all rows holds for the half of them that is left for training."""
    half = [Group({"c": name}, ROWS // 2) for name in TRUE]
    told = options(losses(), bucket_rows=dict.fromkeys(TRUE, ROWS))
    choice, _, numbers, _ = diagnose(half, qqt(half, 200_000, told), told)
    assert [row[2] for row in numbers.rows[4:6]] == pytest.approx(TRUE["top"], rel=1e-4)
    # Of half the rows, each is repeated twice as often in as many samples: with half the half-life.
    pool = Pool.of(LAW, [Bucket("top", ROWS // 2, -0.3, 1.0, ROWS // 2)], 200_000)
    assert choice.rows[0][6] == pytest.approx(pool.loss(200_000), rel=1e-4)


def test_losses_of_other_buckets_are_refused_and_buckets_without_losses_too():
    with pytest.raises(RecipeError, match=r'a loss for "rest", a group that isn\'t there; there'):
        qqt(groups("top", "middle"), 9, options(losses()))
    with pytest.raises(RecipeError, match='"low" has no utility; add its losses to those of fit'):
        qqt(groups(*TRUE, "low"), 9, options(losses()))
    empty = [*groups("top", "middle"), Group({"c": "rest"}, 0)]
    assert qqt(empty, 50_000, options(losses())) == [50_000, 0, 0]


def test_least_squares_stay_within_bounds():
    x = np.linspace(1, 5, 9)

    def line(at):
        return at[0] + at[1] * x - (3 - 2 * x), np.stack([np.ones(9), x], axis=1)

    free = least_squares(line, np.zeros(2), (np.full(2, -9.0), np.full(2, 9.0)))
    assert free.at.tolist() == pytest.approx([3, -2])
    bound = least_squares(line, np.zeros(2), (np.array([-9.0, -1.0]), np.full(2, 9.0)))
    assert bound.at.tolist() == pytest.approx([0, -1]) and bound.errors[1] is None
