"""The rules that balance classes: METHODS' worked values, and imbalanced-learn as the judge."""

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from lakebalance.allocate.clip import Clip, clip
from lakebalance.allocate.effective_number import EffectiveNumber, effective_number, row_weights
from lakebalance.allocate.inverse_frequency import InverseFrequency, inverse_frequency
from lakebalance.allocate.power import Power, power
from lakebalance.allocate.ratio import Ratio, ratio
from lakebalance.allocate.rounding import InfeasibleBudget
from lakebalance.allocate.rules import Group
from lakebalance.allocate.temperature import Temperature, temperature
from lakebalance.allocate.to_max import ToMax, to_max
from lakebalance.allocate.to_min import ToMin, to_min
from lakebalance.core.errors import RecipeError

COUNTS = [58665, 54635, 714, 32]


def groups(counts):
    return [Group({"c": f"g{i}"}, n) for i, n in enumerate(counts)]


def test_to_max_stops_at_the_cap_and_leaves_empty_groups_empty():
    assert to_max(groups([9, 3, 0]), None, ToMax(method="to_max")) == [9, 9, 0]
    assert to_max(groups([9, 3, 0]), None, ToMax(method="to_max", max_epochs=2)) == [9, 6, 0]
    assert to_max(groups([9, 3]), None, ToMax(method="to_max", min_rows=12)) == [12, 12]


def test_to_min_passes_over_empty_groups():
    assert to_min(groups([9, 3, 0]), None, ToMin(method="to_min")) == [3, 3, 0]
    assert to_min(groups([9, 3]), None, ToMin(method="to_min", min_rows=5)) == [5, 3]
    repeated = ToMin(method="to_min", min_rows=5, max_epochs=1.5)
    assert to_min(groups([9, 3]), None, repeated) == [5, 4]


@pytest.mark.parametrize("rule", [to_max, to_min])
def test_a_budget_that_is_not_theirs_is_refused(rule):
    options = {to_max: ToMax(method="to_max"), to_min: ToMin(method="to_min")}[rule]
    with pytest.raises(InfeasibleBudget, match='cannot meet a budget of 7; leave out "rows"'):
        rule(groups([9, 3]), 7, options)


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=20), st.sampled_from([0.2, 0.25, 0.5]))
def test_power_is_temperature_of_its_inverse(counts, alpha):
    options = Temperature(method="temperature", temperature=1 / alpha, max_epochs=None)
    ours = power(groups(counts), 5000 if any(counts) else 0, Power(method="power", alpha=alpha))
    theirs = temperature(groups(counts), 5000 if any(counts) else 0, options)
    assert all(abs(a - b) <= 1 for a, b in zip(ours, theirs, strict=True))


@pytest.mark.parametrize(
    ("beta", "expected"),
    [
        (0.0, [1.0, 1.0, 1.0, 1.0]),
        (0.999, [0.1121, 0.1121, 0.2195, 3.5564]),
        (0.9999, [0.0122, 0.0122, 0.1762, 3.7995]),
    ],
)
def test_effective_number_weights_match_the_worked_values(beta, expected):
    assert [round(w, 4) for w in row_weights(COUNTS, beta)] == expected


def test_effective_number_goes_from_proportional_to_equal():
    def shares(beta):
        options = EffectiveNumber(method="effective_number", beta=beta)
        return effective_number(groups([900, 100]), 1000, options)

    assert shares(0) == [900, 100]
    assert shares(1 - 1e-15) == [500, 500]


def test_inverse_frequency_is_scikit_learns_balanced():
    utils = pytest.importorskip("sklearn.utils.class_weight")
    counts = [60, 30, 10]
    labels = [i for i, n in enumerate(counts) for _ in range(n)]
    known = utils.compute_class_weight("balanced", classes=numpy.array([0, 1, 2]), y=labels)
    options = InverseFrequency(method="inverse_frequency")
    targets = inverse_frequency(groups(counts), 900, options)
    ours = [t / 9 / n for t, n in zip(targets, counts, strict=True)]
    assert ours == pytest.approx(list(known), rel=0.01)


def test_clip_keeps_what_lies_between():
    options = Clip(method="clip", floor=10, ceiling="mean", group_ceilings={"g1": 20})
    assert clip(groups([900, 50, 2]), None, options) == [317, 20, 10]
    capped = Clip(method="clip", floor=10, max_epochs=3)
    assert clip(groups([900, 50, 2]), None, capped) == [900, 50, 6]
    assert clip(groups([900, 50, 2]), 100, Clip(method="clip", floor=10)) == [80, 10, 10]


def test_clip_refuses_a_floor_over_the_ceiling():
    with pytest.raises(ValidationError, match="over its ceiling"):
        Clip(method="clip", floor=10, ceiling=9)
    with pytest.raises(RecipeError, match='floor of "g0", 10, is over its ceiling, 9'):
        clip(groups([900, 9]), None, Clip(method="clip", floor=10, ceiling="min"))
    with pytest.raises(RecipeError, match='floor for "g7", a group that isn\'t there'):
        clip(groups([900, 9]), None, Clip(method="clip", group_floors={"g7": 1}))


WORDS = ["auto", "minority", "majority", "not minority", "not majority", "all"]


@settings(max_examples=150, deadline=None)
@given(
    counts=st.lists(st.integers(1, 60), min_size=2, max_size=6),
    strategy=st.sampled_from(WORDS) | st.floats(0.05, 1.0),
    direction=st.sampled_from(["over", "under"]),
)
def test_ratio_makes_the_counts_of_imbalanced_learn(counts, strategy, direction):
    known = pytest.importorskip("imblearn.utils")
    labels = [i for i, n in enumerate(counts) for _ in range(n)]
    if isinstance(strategy, float) and len(counts) > 2:
        counts, labels = counts[:2], [y for y in labels if y < 2]
    try:
        found = known.check_sampling_strategy(strategy, labels, f"{direction}-sampling")
    except ValueError:
        # It refuses to do nothing, too, which is no mistake here.
        try:
            chosen = Ratio.model_validate(_options(strategy, direction))
            assert ratio(groups(counts), None, chosen) == counts
        except (ValidationError, RecipeError):
            pass
        return
    if direction == "over":
        expected = [n + found.get(i, 0) for i, n in enumerate(counts)]
    else:
        expected = [found.get(i, n) for i, n in enumerate(counts)]
    chosen = Ratio.model_validate(_options(strategy, direction))
    assert ratio(groups(counts), None, chosen) == expected


def _options(strategy, direction):
    return {"method": "ratio", "direction": direction, "sampling_strategy": strategy}


def test_ratio_takes_counts_and_names():
    options = _options({"g1": 80}, "over")
    assert ratio(groups([90, 10]), None, Ratio.model_validate(options)) == [90, 80]
    options = _options(["g0"], "under")
    assert ratio(groups([90, 10, 20]), None, Ratio.model_validate(options)) == [10, 10, 20]
    with pytest.raises(RecipeError, match='"g0" has 90 rows and direction over cannot make 80'):
        ratio(groups([90, 10]), None, Ratio.model_validate(_options({"g0": 80}, "over")))
    with pytest.raises(RecipeError, match="a group that isn't there"):
        ratio(groups([90, 10]), None, Ratio.model_validate(_options(["g7"], "over")))
