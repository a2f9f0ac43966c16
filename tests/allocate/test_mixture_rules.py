"""Rules for mixtures: what METHODS of the literature say of them, and what each of them must be."""

import heapq
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from lakebalance.allocate.clip import Clip, clip
from lakebalance.allocate.data_constrained import METHOD, DataConstrained, data_constrained
from lakebalance.allocate.equal import Equal, equal
from lakebalance.allocate.rounding import InfeasibleBudget
from lakebalance.allocate.rules import Group
from lakebalance.allocate.targets import Targets, targets
from lakebalance.allocate.unimax import Unimax, unimax
from lakebalance.core.errors import RecipeError
from lakebalance.core.repetition import R_STAR, effective_rows, next_value

FLIGHTS = [58665, 54635, 714, 32]
COUNTS = st.lists(st.integers(0, 300), min_size=1, max_size=6)


def groups(counts):
    return [Group({"c": f"g{i}"}, n) for i, n in enumerate(counts)]


def worth(**options):
    return DataConstrained(method="data_constrained", **options)


def paper_unimax(counts, budget, epochs):
    """Algorithm 1 of the paper, in fractions of rows: what is left over is not spent."""
    given_, left = {}, budget
    for done, i in enumerate(sorted(range(len(counts)), key=counts.__getitem__)):
        given_[i] = min(left / (len(counts) - done), epochs * counts[i])
        left -= given_[i]
    return [given_[i] for i in range(len(counts))]


def test_unimax_of_the_worked_example():
    asked = Unimax(method="unimax", max_epochs=4)
    assert unimax(groups(FLIGHTS), 10_000, asked) == [3508, 3508, 2856, 128]
    assert unimax(groups(FLIGHTS), 456_184, asked) == [4 * n for n in FLIGHTS]
    with pytest.raises(InfeasibleBudget, match="456,184"):
        unimax(groups(FLIGHTS), 500_000, asked)


def test_unimax_does_not_go_without_a_cap_unsaid():
    with pytest.raises(ValidationError, match="max_epochs"):
        Unimax(method="unimax")
    asked = Unimax(method="unimax", max_epochs=None)
    assert unimax(groups(FLIGHTS), 500_000, asked) == [125_000] * 4


@given(counts=COUNTS, budget=st.integers(0, 2000), epochs=st.integers(1, 8))
def test_unimax_is_the_papers_within_a_row_and_that_of_equal(counts, budget, epochs):
    budget = min(budget, epochs * sum(counts))
    found = unimax(groups(counts), budget, Unimax(method="unimax", max_epochs=epochs))
    assert found == equal(groups(counts), budget, Equal(method="equal", max_epochs=epochs))
    for ours, theirs in zip(found, paper_unimax(counts, budget, epochs), strict=True):
        assert abs(ours - theirs) < 1


@given(counts=COUNTS, more=st.integers(1, 300), rows=st.integers(0, 300), at=st.integers(0, 5))
def test_more_rows_of_a_group_never_give_it_fewer(counts, more, rows, at):
    at, rows = at % len(counts), min(rows, 4 * sum(counts))
    grown = [n + more * (i == at) for i, n in enumerate(counts)]
    for rule, asked in (
        (unimax, Unimax(method="unimax", max_epochs=4)),
        (data_constrained, worth(max_epochs=4, values={"g0": 1.7})),
    ):
        before, after = (rule(groups(n), rows, asked) for n in (counts, grown))
        assert after[at] >= before[at] - 1  # where shares are rounded, a row may go elsewhere


def test_what_repetition_leaves_of_rows():
    """The worked example: 16 epochs are worth as much as 10.6 of new rows."""
    kept = [effective_rows(1000, 1000 * e) / (1000 * e) for e in (2, 4, 8, 16, 40)]
    assert [round(k, 3) for k in kept] == [0.984, 0.931, 0.828, 0.661, 0.379]
    step = 1e-3
    for rows in (1000, 2500, 7000):
        slope = (effective_rows(1000, rows + step) - effective_rows(1000, rows)) / step
        assert slope == pytest.approx(next_value(1000, rows), rel=1e-5)


def greedy(counts, values, budget):
    """One row after the other, each to the group whose next is worth most."""
    given_ = [0] * len(counts)
    heap = [(-v, i) for i, (n, v) in enumerate(zip(counts, values, strict=True)) if n]
    heapq.heapify(heap)
    for _ in range(budget):
        _, i = heapq.heappop(heap)
        given_[i] += 1
        heapq.heappush(heap, (-values[i] * next_value(counts[i], given_[i]), i))
    return given_


def total_worth(counts, values, rows):
    return math.fsum(
        v * effective_rows(n, r) for n, v, r in zip(counts, values, rows, strict=True) if r
    )


@settings(deadline=None)
@given(data=st.data(), counts=st.lists(st.integers(1, 60), min_size=1, max_size=5))
def test_rows_are_worth_as_much_as_when_each_goes_where_it_is_worth_most(data, counts):
    values = [data.draw(st.sampled_from([0.5, 0.9, 1.0, 1.5, 3.0])) for _ in counts]
    budget = data.draw(st.integers(0, 20 * sum(counts)))
    asked = worth(values={f"g{i}": v for i, v in enumerate(values)})
    found = data_constrained(groups(counts), budget, asked)
    assert sum(found) == budget
    best = total_worth(counts, values, greedy(counts, values, budget))
    # Whole rows may lie a row a group beside the best, each off by what a row's worth changes.
    assert total_worth(counts, values, found) >= best - max(values) * len(counts) / R_STAR


def test_a_group_of_more_value_is_repeated_before_another_is_begun():
    late = 1 + R_STAR * math.log(1.5)
    books, web = 100, 900
    asked = worth(values={"g0": 1.5})
    assert data_constrained(groups([books, web]), 700, asked) == [700, 0]
    found = data_constrained(groups([books, web]), 2000, asked)
    assert found[0] / books - found[1] / web == pytest.approx(late - 1, abs=0.02)


def test_what_is_not_worth_it_is_not_repeated():
    asked = worth(min_value=0.8)
    found = data_constrained(groups([900, 100]), None, asked)
    for available, rows in zip([900, 100], found, strict=True):
        assert next_value(available, rows) >= 0.8 > next_value(available, rows + 1)
    with pytest.raises(InfeasibleBudget, match="largest feasible is 4,433"):
        data_constrained(groups([900, 100]), 4434, asked)
    assert data_constrained(groups([900, 100]), None, worth(min_value=2, values={"g1": 3}))[0] == 0


def test_a_value_of_no_group_is_refused_and_one_of_an_empty_group_is_not():
    with pytest.raises(RecipeError, match=r"value for .gO.*g0"):
        data_constrained(groups([5]), 5, worth(values={"gO": 2}))
    assert data_constrained(groups([5, 0]), 5, worth(values={"g1": 2})) == [5, 0]
    for wrong in (0, -1, math.nan, math.inf):
        with pytest.raises(ValidationError):
            worth(values={"g0": wrong})


def test_the_order_of_groups_changes_nothing_but_who_takes_the_rest():
    counts, asked = [700, 31, 9000, 2], worth(values={"a": 1.2})
    named = [Group({"c": n}, c) for n, c in zip("abcd", counts, strict=True)]
    one = data_constrained(named, 20_011, asked)
    other = data_constrained(named[::-1], 20_011, asked)[::-1]
    assert all(abs(a - b) <= 1 for a, b in zip(one, other, strict=True))


def test_plan_says_what_the_next_epoch_is_worth():
    (said,) = METHOD.diagnose(groups([100, 50, 0]), [400, 50, 0], worth())
    assert said.columns == ["group", "available", "rows", "epochs", "worth", "kept", "next epoch"]
    assert said.rows[0][:4] == ["g0", 100, 400, 4.0]
    repeated = 100 * (1 - R_STAR * math.expm1(-3 / R_STAR))
    assert said.rows[0][4:] == [
        round(repeated),
        pytest.approx(repeated / 400, abs=1e-6),
        pytest.approx(math.exp(-3 / R_STAR), abs=1e-6),
    ]
    assert said.rows[1] == ["g1", 50, 50, 1.0, 50, 1.0, 1.0]


def test_a_ceiling_flattens_a_mixture_at_any_budget_as_cambrians_does():
    """t = min(n, cap), then shares of the budget."""
    asked = Clip(method="clip", ceiling=50)
    assert clip(groups([900, 50, 2]), 51, asked) == [25, 25, 1]
    assert clip(groups([900, 50, 2]), None, asked) == [50, 50, 2]
    with pytest.raises(InfeasibleBudget):
        clip(groups([900, 50, 2]), 200, Clip(method="clip", ceiling=50, max_epochs=1))
    single = Clip(method="clip", group_ceilings={"g0": 100})
    assert clip(groups([900, 50, 50]), 100, single) == [50, 25, 25]
    with pytest.raises(RecipeError, match="g0"):
        clip(groups([900]), None, Clip(method="clip", group_ceilings={"gO": 100}))


def test_learned_weights_are_checked():
    weights = {"g0": 0.7, "g1": 0.2, "g2": 0.1}
    asked = Targets(method="targets", shares=weights, complete=True)
    assert targets(groups([9, 9, 9]), 10, asked) == [7, 2, 1]
    with pytest.raises(RecipeError, match='"g3" has 9 rows and no target'):
        targets(groups([9, 9, 9, 9]), 10, asked)
    assert targets(groups([9, 9, 9, 0]), 10, asked) == [7, 2, 1, 0]
    with pytest.raises(RecipeError, match="g2"):
        targets(groups([9, 9]), 10, asked)
    with pytest.raises(ValidationError, match=r"sum to 0\.9, not to 1; .* normalise: true"):
        Targets(method="targets", shares={"g0": 0.7, "g1": 0.2})
    loose = Targets(method="targets", shares={"g0": 0.6, "g1": 0.2}, normalise=True)
    assert targets(groups([9, 9]), 8, loose) == [6, 2]
    for wrong in (-0.1, math.nan, math.inf):
        with pytest.raises(ValidationError, match='that of "g1" is'):
            Targets(method="targets", shares={"g0": 1, "g1": wrong}, normalise=True)
    with pytest.raises(ValidationError, match="all shares are 0"):
        Targets(method="targets", shares={"g0": 0}, normalise=True)
    with pytest.raises(ValidationError, match="goes with shares"):
        Targets(method="targets", counts={"g0": 1}, normalise=True)
