"""``budget_split``: shares by the table, exact money, the floor of the first kind, and mistakes."""

import math
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from lakebalance.allocate.budget_split import BudgetSplit, budget_split
from lakebalance.allocate.nest import Available, allocate
from lakebalance.allocate.rounding import InfeasibleBudget
from lakebalance.allocate.rules import Group
from lakebalance.core.errors import RecipeError

SPLITS = [
    {"budget": 1000, "shares": {"sft": 1}},
    {"budget": 100_000, "shares": {"sft": 0.2, "pairs": 0.8}},
]


def kinds(sft=10**6, pairs=10**6):
    return [Group({"k": "sft"}, sft), Group({"k": "pairs"}, pairs)]


def asked(**options):
    return BudgetSplit(method="budget_split", **{"splits": SPLITS, **options})


@pytest.mark.parametrize(
    ("budget", "pairs"), [(10, 0), (1000, 0), (10_000, 0.4), (100_000, 0.8), (10**6, 0.8)]
)
def test_shares_change_with_the_logarithm_of_the_budget(budget, pairs):
    shares = asked().shares_at(budget)
    assert shares["pairs"] == pytest.approx(pairs) and sum(shares.values()) == pytest.approx(1)
    assert budget_split(kinds(), budget, asked()) == [
        budget - round(budget * pairs),
        round(budget * pairs),
    ]


def test_larger_budgets_never_want_a_smaller_share_of_pairs():
    shares = [asked().shares_at(1000 * 1.1**i)["pairs"] for i in range(60)]
    assert shares == sorted(shares)


@settings(deadline=None)
@given(data=st.data(), number=st.integers(1, 5))
def test_money_is_spent_to_within_a_row_and_never_more(data, number):
    names = [f"g{i}" for i in range(number)]
    price = st.sampled_from([0.1, 0.3, 0.75, 1.0, 1.5, 4.0, 12.5])
    prices = {n: data.draw(price) for n in names}
    counts = data.draw(st.lists(st.integers(1, 2000), min_size=number, max_size=number))
    parts = data.draw(st.lists(st.integers(0, 9), min_size=number, max_size=number))
    parts[0] += 1
    shares = {n: part / sum(parts) for n, part in zip(names, parts, strict=True)}
    budget = data.draw(st.integers(1, 20_000)) / 4
    options = asked(
        splits=[{"budget": 5, "shares": shares}],
        prices=prices,
        budget=budget,
        max_epochs=4,
        min_rows=data.draw(st.integers(0, 3)),
        first=data.draw(st.sampled_from(names)),
    )
    groups = [Group({"k": n}, count) for n, count in zip(names, counts, strict=True)]
    try:
        found = budget_split(groups, None, options)
    except InfeasibleBudget:
        return
    exact = [Fraction(str(prices[n])) for n in names]
    cost = sum(p * n for p, n in zip(exact, found, strict=True))
    assert cost <= Fraction(budget)
    wanting = [
        p
        for p, n, count, part in zip(exact, found, counts, parts, strict=True)
        if part and n < 4 * count
    ]
    assert not wanting or Fraction(budget) - cost < min(wanting)
    assert all(n <= 4 * count for n, count in zip(found, counts, strict=True))
    first = names.index(options.first)
    least = min(math.floor(0.1 * budget / prices[options.first] - 1e-9), 4 * counts[first])
    assert found[first] >= least


def test_prices_and_the_largest_feasible_budget():
    prices = {"sft": 4, "pairs": 1.5}
    found = budget_split(kinds(), None, asked(prices=prices, budget=10_000))
    assert found == [1500, 2666] and 4 * 1500 + 1.5 * 2666 == 9999
    with pytest.raises(InfeasibleBudget, match="largest feasible is 5,500"):
        budget_split(kinds(1000, 1000), None, asked(prices=prices, budget=10_000, max_epochs=1))


def test_what_a_kind_cannot_use_goes_to_the_other():
    assert budget_split(kinds(pairs=100), 10_000, asked(max_epochs=3)) == [9700, 300]


def test_the_first_kind_never_starts_cold():
    only_pairs = [{"budget": 1, "shares": {"pairs": 1, "sft": 0}}]
    groups = kinds()
    assert budget_split(groups, 1000, asked(splits=only_pairs)) == [0, 1000]
    assert budget_split(groups, 1000, asked(splits=only_pairs, first="sft")) == [100, 900]
    few = asked(splits=only_pairs, first="sft", first_share=0.05)
    assert budget_split(groups, 1000, few) == [50, 950]


def test_kinds_are_sources_or_groups_of_a_source():
    counts = [Available(s, {"k": k}, 5000) for s in ("a", "b") for k in ("sft", "pairs")]
    mix = BudgetSplit(
        method="budget_split", splits=[{"budget": 9, "shares": {"a": 0.3, "b": 0.7}}], budget=1000
    )
    assert [a.target for a in allocate(counts, None, mix, None)] == [150, 150, 350, 350]
    found = allocate(counts, 10_000, None, asked())
    assert [a.target for a in found] == [3000, 2000, 3000, 2000]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"splits": []}, "at least 1"),
        ({"splits": SPLITS[::-1]}, "budgets must rise"),
        ({"splits": [{"budget": 5, "shares": {"sft": 0.5}}]}, "sum to 0.5, not to 1"),
        ({"splits": [{"budget": 5, "shares": {"sft": math.nan}}]}, "finite"),
        ({"splits": [{"budget": 0, "shares": {"sft": 1}}]}, "greater than or equal"),
        ({"prices": {"sft": 0}, "budget": 5}, "greater than or equal"),
        ({"prices": {"sft": math.inf}, "budget": 5}, "less than or equal"),
        ({"prices": {"sft": 2}}, "with prices, write the budget"),
        ({"first_share": 0.2}, "which kind is the first"),
        ({"first": "sft", "first_share": 1.5}, "less than or equal to 1"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, said):
    with pytest.raises(ValidationError, match=said):
        asked(**options)


def test_kinds_that_are_not_there_are_refused_with_the_nearest():
    with pytest.raises(RecipeError, match=r'"sft", a group that isn.t there.*"sfz"'):
        budget_split([Group({"k": "sfz"}, 9), Group({"k": "pairs"}, 9)], 5, asked())
    with pytest.raises(RecipeError, match=r'first_share for "stf"'):
        budget_split(kinds(), 5, asked(first="stf"))
    with pytest.raises(RecipeError, match=r'"pairs", a group with no rows'):
        budget_split(kinds(pairs=0), 10_000, asked())
    assert budget_split(kinds(pairs=0), 500, asked()) == [500, 0]


def test_rows_and_money_are_not_both_written():
    with pytest.raises(InfeasibleBudget, match="not both"):
        budget_split(kinds(), 100, asked(budget=100))


def test_floors_that_cost_more_than_the_budget_are_refused():
    few = asked(prices={"sft": 10, "pairs": 1}, budget=50, min_rows=10)
    with pytest.raises(InfeasibleBudget, match="least feasible is 110"):
        budget_split(kinds(), None, few)
