"""What must hold for every allocation rule, those of other packages too."""

import inspect

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from lakebalance.allocate.rounding import InfeasibleBudget
from lakebalance.allocate.rules import Group
from lakebalance.core.errors import RecipeError
from lakebalance.core.registry import methods
from lakebalance.recipe.reference import example_of

NAMES = sorted(methods("allocate"))
# They say by name who gets what, so most groups of a test get nothing.
OWN_TARGETS = {"targets", "budget_split"}
OWN_TOTAL = {"none", "to_max", "to_min", "ratio"}  # take no budget but their own
# More rows of a label change which labels are rare, more of a bucket which pool is the best.
NOT_MONOTONE = {"ml_ros", "ml_rus", "qqt"}


def rule(name, **changes):
    method = methods("allocate")[name]

    def allocated(groups, rows):
        options = {**yaml.safe_load(example_of(method)), **of_groups(name, groups), **changes}
        allowed = method.options.model_fields
        chosen = method.options(**{k: v for k, v in options.items() if k in allowed})
        return method.function(groups, rows, chosen)

    return allocated


def of_groups(name, groups):
    """Options of rules that are told of every group by its name."""
    if name == "budget_split":
        splits = [{"budget": 1000, "shares": {"g0": 0.75, "g1": 0.25}}]
        return {"splits": splits, "prices": {}, "budget": None, "first": "g1"}
    if name in OWN_TARGETS:
        return {"shares": {"g0": 0.75, "g1": 0.25}}
    if name == "qqt":  # the fewer rows, the better they are
        utilities = {group.name: -0.3 / (1 + group.available / 1e5) for group in groups}
        buckets = {n: {"utility": u, "half_life": 3} for n, u in utilities.items()}
        return {"buckets": buckets, "unit": 1}
    if name == "transport":  # the fewer rows, the nearer they are
        values = {group.name: [[float(group.available)]] for group in groups} | {"target": [[0.0]]}
        one = [g.name for g in sorted(groups, key=lambda g: g.available)]
        shares = [
            {one[0]: 1 - p, one[-1]: p} if len(one) > 1 else {one[0]: 1} for p in (0, 0.3, 0.6, 1)
        ]
        runs = [
            {"rows": n, "performance": n / 1e5 - p.get(one[-1], 0), "shares": p}
            for n in (100, 900)
            for p in shares
        ]
        return {"pilots": {"measured": runs}, "projections": {"values": values}}
    return {}


def groups(counts):
    return [Group({"c": f"g{i}"}, n) for i, n in enumerate(counts)]


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=60, deadline=None)
@given(
    counts=st.lists(st.integers(0, 10**6), min_size=2, max_size=20),
    rows=st.none() | st.integers(0, 10**6),
    cap=st.floats(0.5, 20),
)
def test_the_budget_is_met_within_the_caps_or_refused(name, counts, rows, cap):
    given_groups = groups(counts)
    try:
        result = rule(name, max_epochs=cap, min_rows=0)(given_groups, rows)
    except (InfeasibleBudget, ValueError):
        return
    except Exception as error:
        known = ("with no rows", "isn't there", "already; write a larger number", "equally far")
        assert any(words in str(error) for words in known), error
        return
    assert result == rule(name, max_epochs=cap, min_rows=0)(given_groups, rows)
    assert len(result) == len(counts)
    assert all(isinstance(target, int) and target >= 0 for target in result)
    if rows is not None:
        assert sum(result) == rows
    for target, available in zip(result, counts, strict=True):
        if name != "none":
            assert target <= int(cap * available)
        if available == 0:
            assert target == 0


@pytest.mark.parametrize("name", [n for n in NAMES if n not in NOT_MONOTONE])
@settings(max_examples=40, deadline=None)
@given(data=st.data(), counts=st.lists(st.integers(1, 10**5), min_size=2, max_size=6))
def test_more_rows_of_a_group_never_give_it_fewer(name, data, counts):
    at = data.draw(st.integers(0, len(counts) - 1))
    more = data.draw(st.sampled_from([1, 7, 1000, 10**5]))
    rows = None if name in OWN_TOTAL else data.draw(st.integers(0, sum(counts)))
    asked = of_groups(name, groups(counts)) | {"max_epochs": 1000.0, "min_rows": 0}
    grown = [n + more * (i == at) for i, n in enumerate(counts)]
    try:
        before, after = (rule(name, **asked)(groups(n), rows) for n in (counts, grown))
    except RecipeError as error:
        known = ("equally far", "already; write a larger number")
        assert isinstance(error, InfeasibleBudget) or any(k in str(error) for k in known), error
        return
    # Where shares are rounded, a row may go elsewhere.
    assert after[at] >= before[at] - 1


@pytest.mark.parametrize("name", [n for n in NAMES if n not in OWN_TARGETS | {"none"}])
def test_the_order_of_groups_moves_at_most_the_rounded_row(name):
    counts = [58665, 54635, 714, 32, 9000, 120]
    rows = None if name in OWN_TOTAL else 10_000
    forward = rule(name)(groups(counts), rows)
    backward = rule(name)(groups(counts[::-1]), rows)[::-1]
    assert all(abs(a - b) <= 1 for a, b in zip(forward, backward, strict=True))


@pytest.mark.parametrize("name", NAMES)
def test_options_refuse_what_they_do_not_know(name):
    options = yaml.safe_load(example_of(methods("allocate")[name]))
    with pytest.raises(ValidationError):
        methods("allocate")[name].options(**options, no_such_option=1)


@pytest.mark.parametrize("stage", ["prune", "allocate", "sample"])
def test_every_method_is_documented(stage):
    for method in methods(stage).values():
        assert method.summary.endswith(".")
        doc = inspect.getdoc(method.function) or ""
        assert "Parameters\n-" in doc, method.name
        if stage == "allocate":
            assert "Raises\n-" in doc and "Examples\n-" in doc, method.name
        else:
            assert "Returns\n-" in doc, method.name


@pytest.mark.parametrize("name", NAMES)
def test_a_group_without_rows_changes_nothing_for_others(name):
    # As a source that has none today, of which the rules that are told of each group know.
    own, empty = groups([900, 300, 120, 7]), Group({"c": "g4"}, 0, 0)
    asked = of_groups(name, own) | {"max_epochs": 3.0, "min_rows": 0}
    knows = {
        "qqt": lambda: asked["buckets"].update({"g4": {"utility": -0.1, "half_life": 3}}),
        "transport": lambda: asked["projections"]["values"].update({"g4": [[1.0]]}),
    }
    rows = None if name in OWN_TOTAL or name == "budget_split" else 500
    try:
        before = rule(name, **asked)(own, rows)
    except InfeasibleBudget:
        pytest.skip("its example asks for other rows")
    knows.get(name, dict)()
    assert rule(name, **asked)([*own, empty], rows) == [*before, 0]
