"""The allocation rules against METHODS' worked examples and as properties."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from lakebalance.allocate.effective_number import row_weights
from lakebalance.allocate.equal import Equal
from lakebalance.allocate.nest import Available, allocate
from lakebalance.allocate.none import NoRule, none
from lakebalance.allocate.rounding import (
    InfeasibleBudget,
    divide,
    integer_shares,
    largest_remainder,
)
from lakebalance.allocate.rules import Group
from lakebalance.allocate.targets import Targets, targets
from lakebalance.allocate.temperature import Temperature, temperature
from lakebalance.core.errors import RecipeError
from lakebalance.core.registry import methods
from lakebalance.recipe.reference import example_of

COUNTS = [58665, 54635, 714, 32]


def groups(counts):
    return [Group({"c": f"{i:03}"}, n) for i, n in enumerate(counts)]


@pytest.mark.parametrize(
    ("t", "cap", "expected"),
    [
        (1, None, [5144, 4791, 62, 3]),
        (2, None, [4765, 4598, 526, 111]),
        (5, None, [3813, 3759, 1579, 849]),
        (5, 4, [4114, 4055, 1703, 128]),
    ],
)
def test_temperature_matches_worked_examples(t, cap, expected):
    options = Temperature(method="temperature", temperature=t, max_epochs=cap)
    assert temperature(groups(COUNTS), 10000, options) == expected


def test_largest_remainder_ties_go_to_the_first():
    assert largest_remainder(1002, [1, 1, 1, 1]) == [251, 251, 250, 250]


def test_infeasible_budget_names_the_largest_feasible():
    with pytest.raises(InfeasibleBudget, match="largest feasible is 30"):
        divide(31, [1, 1], [10, 20])
    with pytest.raises(InfeasibleBudget, match="least feasible is 12"):
        divide(10, [1, 1], [None, None], [6, 6])


@given(
    st.lists(
        st.tuples(st.floats(0, 1e9), st.integers(0, 10**6), st.integers(0, 10**6)),
        min_size=1,
        max_size=30,
    ),
    st.floats(0, 1),
)
def test_divide_is_exact_within_caps_and_floors(parts, where):
    shares = [share for share, _, _ in parts]
    floors = [min(a, b) for _, a, b in parts]
    caps = [max(a, b) for _, a, b in parts]
    weights = integer_shares(shares)
    feasible = sum(c if w else f for c, w, f in zip(caps, weights, floors, strict=True))
    total = sum(floors) + int(where * (feasible - sum(floors)))
    result = divide(total, shares, caps, floors)
    assert sum(result) == total
    for value, cap, floor in zip(result, caps, floors, strict=True):
        assert floor <= value <= cap


@given(st.permutations(COUNTS), st.integers(0, 100_000))
def test_temperature_gives_more_to_larger_groups(counts, rows):
    options = Temperature(method="temperature", temperature=2, max_epochs=None)
    result = temperature(groups(counts), rows, options)
    ordered = [t for _, t in sorted(zip(counts, result, strict=True))]
    assert ordered == sorted(ordered)


def test_none_keeps_everything_and_refuses_another_budget():
    assert none(groups([3, 4]), None, NoRule(method="none")) == [3, 4]
    with pytest.raises(InfeasibleBudget, match="keeps all 7 rows"):
        none(groups([3, 4]), 5, NoRule(method="none"))


def test_targets_for_a_group_that_is_not_there_shows_the_nearest():
    options = Targets(method="targets", counts={"UAA": 3})
    with pytest.raises(RecipeError, match='"UAA", a group that isn\'t there; did you mean "UA"'):
        targets([Group({"carrier": "UA"}, 10)], None, options)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"counts": {"a": 1}, "shares": {"a": 1}},
        {"shares": {"a": 0.4}},
        {"counts": {"a": -1}},
        {"shares": {"a": float("nan")}},
        {"counts": {"a": 1}, "min_rows": 2},
    ],
)
def test_targets_refuses_contradictions(fields):
    with pytest.raises(ValueError):
        Targets(method="targets", **fields)


def test_balance_caps_limit_what_the_mixture_gives_a_source():
    counts = [
        Available("big", {"c": "a"}, 1000),
        Available("big", {"c": "b"}, 1000),
        Available("small", {"c": "a"}, 10),
        Available("small", {"c": "b"}, 1),
    ]
    mix = Temperature(method="temperature", temperature=100, max_epochs=None)
    result = allocate(counts, 1000, mix, Equal(method="equal", max_epochs=2))
    assert [a.target for a in result] == [489, 489, 20, 2]
    assert sum(a.target for a in result) == 1000


def test_balance_without_mixture_sees_the_groups_of_all_sources_together():
    counts = [
        Available("x", {"c": "a"}, 30),
        Available("x", {"c": "b"}, 10),
        Available("y", {"c": "a"}, 60),
    ]
    result = allocate(counts, 20, None, Equal(method="equal"))
    assert [a.target for a in result] == [3, 10, 7]


@pytest.mark.parametrize("name", sorted(methods("allocate")))
def test_every_rule_takes_no_groups_and_a_hundred_thousand(name):
    method = methods("allocate")[name]
    example = yaml.safe_load(example_of(method))
    options = method.options(**({"method": name, "counts": {}} if name == "targets" else example))
    many = groups([(i * 7919) % 1000 + 1 for i in range(100_000)])
    if name == "budget_split":
        # Its options name groups, which must be there.
        with pytest.raises(RecipeError, match="a group that isn't there"):
            method.function([], None, options)
        many = [Group({"c": named}, 1000) for named in ("sft", "pairs")] + many[2:]
    else:
        assert method.function([], None, options) == []
    if name == "transport":
        with pytest.raises(RecipeError, match=r"projections for .web., a group that isn't there"):
            method.function(many, None, options)  # each source needs projections of its own
        return
    if name == "qqt":
        with pytest.raises(RecipeError, match=r"100,000 buckets.*make fewer"):
            method.function(many, None, options)
        return
    assert len(method.function(many, None, options)) == 100_000


def test_rules_within_divide_each_group_further():
    class By(Equal):
        by: list[str]

    counts = [
        Available(source, {"class": c, "site": s}, n)
        for source, c, s, n in [
            ("x", "a", 1, 500), ("x", "a", 2, 100), ("x", "b", 1, 40), ("x", "b", 2, 30),
            ("y", "a", 1, 500), ("y", "b", 2, 10),
        ]
    ]  # fmt: skip
    balance = By(method="equal", by=["class"], max_epochs=1)
    inner = By(method="equal", by=["site"], max_epochs=1)
    found = [a.target for a in allocate(counts, 120, None, balance, [inner])]
    # 60 for each class, 30 for each site of it; a site's sources share by what they have.
    assert sum(found) == 120
    assert found[0] + found[1] + found[4] == 60 and found[1] == 30
    assert found[2] == 30 and found[3] + found[5] == 30
    mixed = [a.target for a in allocate(counts, 40, Equal(method="equal"), balance, [inner])]
    assert mixed == [5, 5, 5, 5, 10, 10]


def test_what_lies_within_limits_what_a_group_gets():
    class By(Equal):
        by: list[str]

    counts = [Available("s", {"c": c, "d": d}, n) for c, d, n in
              [("a", 1, 100), ("a", 2, 3), ("b", 1, 5), ("b", 2, 5)]]  # fmt: skip
    result = allocate(
        counts, 50, None, By(method="equal", by=["c"]), [By(method="equal", by=["d"], max_epochs=2)]
    )
    assert [a.target for a in result] == [24, 6, 10, 10]


def test_a_source_without_rows_is_known_to_the_mixture():
    counts = [Available("a", {"l": "x"}, 60), Available("b", {"l": "x"}, 30)]
    named = ["a", "e", "b"]

    def targets_of(shares, balance=None):
        mix = Targets(method="targets", shares=shares)
        return [a.target for a in allocate(counts, 40, mix, balance, (), named)]

    for balance in (None, Equal(method="equal")):
        assert targets_of({"a": 0.5, "b": 0.5, "e": 0}, balance) == [20, 20]
    with pytest.raises(RecipeError, match='target for "e", a group with no rows'):
        targets_of({"a": 0.5, "b": 0.4, "e": 0.1})
    with pytest.raises(RecipeError, match='"f", a group that isn'):
        targets_of({"a": 0.5, "b": 0.4, "f": 0.1})


def test_an_error_says_in_which_group_it_is():
    counts = [
        Available("a", {"l": "x"}, 40), Available("a", {"l": "y{}"}, 20),
        Available("b", {"l": "x"}, 30),
    ]  # fmt: skip
    mix, both = Equal(method="equal"), Targets(method="targets", shares={"x": 0.5, "y{}": 0.5})
    with pytest.raises(RecipeError, match='in source "b": target for "y'):
        allocate(counts, 40, mix, both)
    floors = Equal(method="equal", min_rows=30)
    with pytest.raises(InfeasibleBudget, match='in source "a": the budget of 25 rows is less'):
        allocate(counts, 50, mix, floors)


def test_booleans_are_named_as_recipes_write_them():
    groups = [Group({"b": True}, 5), Group({"b": False}, 7), Group({"b": None}, 1)]
    assert [group.name for group in groups] == ["true", "false", "null"]
    shares = {"true": 0.5, "false": 0.5}
    assert targets(groups, 4, Targets(method="targets", shares=shares)) == [2, 2, 0]
    assert Group({"a": 1, "b": 0}, 5).name == "1/0"


def test_a_tiny_beta_is_as_good_as_none():
    assert row_weights([9, 1], 1e-17) == row_weights([9, 1], 0.0)
    own = [0.7 / (1 - 0.3**n) for n in (9, 2)]
    assert row_weights([9, 2], 0.3) == pytest.approx([2 * w / sum(own) for w in own])
