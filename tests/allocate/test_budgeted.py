"""Budgets by learning curves: the worked examples, a grid as the judge, and curves that are bad."""

import itertools

import pytest
from pydantic import ValidationError

from lakebalance.allocate.budgeted import Budgeted, _Problem, budgeted
from lakebalance.allocate.curves import Curve, Measured, fit
from lakebalance.allocate.rounding import InfeasibleBudget
from lakebalance.allocate.rules import Group
from lakebalance.core.errors import RecipeError

TWO = {"g0": Curve(b=1, c=0.5), "g1": Curve(b=4, c=0.5)}


def groups(*counts):
    return [Group({"c": f"g{i}"}, n) for i, n in enumerate(counts)]


def options(**fields):
    return Budgeted.model_validate({"method": "budgeted", **fields})


def test_the_worked_example_of_both_ends():
    shared = {"curves": TWO, "costs": {"g1": 2}, "budget": 1000}
    weighted = options(weights={"g0": 0.5, "g1": 0.5}, **shared)
    found = _Problem(groups(9000, 9000), weighted).solve(1000)
    assert [round(n, 2) for n in found] == [239.53, 380.23]
    fair = _Problem(groups(9000, 9000), options(objective="maximin", **shared)).solve(1000)
    assert [round(n, 2) for n in fair] == [30.30, 484.85]
    assert [round(c.loss(n), 5) for c, n in zip(TWO.values(), fair, strict=True)] == [0.18166] * 2


@pytest.mark.parametrize("objective", ["utilitarian", 3.0, "maximin"])
def test_no_other_allocation_of_a_small_budget_is_better(objective):
    curves = [Curve(a=0.1, b=2, c=0.4), Curve(b=3, c=0.9), Curve(a=0.3, b=1, c=0.2)]
    chosen = options(
        curves={f"g{i}": c for i, c in enumerate(curves)}, objective=objective, min_rows=1
    )

    def worth(rows):
        losses = [c.loss(n) for c, n in zip(curves, rows, strict=True)]
        if objective == "maximin":
            return max(losses)
        return sum(loss ** (1 if objective == "utilitarian" else objective) for loss in losses)

    found = budgeted(groups(40, 12, 25), 45, chosen)
    assert sum(found) == 45
    every = [
        (a, b, 45 - a - b)
        for a, b in itertools.product(range(1, 41), range(1, 13))
        if 1 <= 45 - a - b <= 25
    ]
    # Whole rows can't do better than the best of all, and rounding costs next to nothing.
    assert worth(found) <= min(map(worth, every)) * 1.002


def test_a_growing_exponent_goes_from_utilitarian_to_maximin():
    def second(objective):
        chosen = options(curves=TWO, objective=objective)
        return budgeted(groups(9000, 9000), 1000, chosen)[1]

    found = [second(p) for p in ("utilitarian", 1.0, 2.0, 8.0, 64.0, "maximin")]
    assert found[0] == found[1] and found == sorted(found)
    assert found[-1] == 941  # b^(1/c): 16 of 17 parts


def test_costs_are_paid_from_the_budget_and_what_is_left_buys_no_row():
    chosen = options(curves={"*": Curve(b=1, c=0.5)}, costs={"g0": 3, "g1": 0.7}, budget=500)
    rows = budgeted(groups(1000, 1000, 1000), None, chosen)
    spent = rows[0] * 3 + rows[1] * 0.7 + rows[2]
    assert 500 - 0.7 < spent <= 500 + 1e-9


def test_rows_are_fresh_ones_unless_epochs_are_allowed():
    curves = {"*": Curve(b=1, c=0.5)}
    assert budgeted(groups(10, 500), 300, options(curves=curves)) == [10, 290]
    assert budgeted(groups(10, 500), 300, options(curves=curves, max_epochs=20)) == [150, 150]
    with pytest.raises(InfeasibleBudget, match="largest feasible is 510"):
        budgeted(groups(10, 500), 511, options(curves=curves))


def test_the_next_batch_evens_out_what_earlier_runs_took():
    chosen = options(curves={"*": Curve(b=1, c=0.5)}, already={"g0": 300, "g1": 100})
    rows = budgeted(groups(900, 900, 900), 350, chosen)
    assert sum(rows) == 350 and rows[0] == 0
    assert abs((rows[1] + 100) - rows[2]) <= 1


def test_curves_are_fitted_to_what_was_measured():
    true = {"g0": Curve(a=0.2, b=3, c=0.7), "g1": Curve(b=2, c=0.3)}
    measured = [
        Measured(group=g, rows=n, loss=c.loss(n)) for g, c in true.items() for n in (50, 300, 4000)
    ]
    found = fit(measured)
    for group, curve in true.items():
        assert found[group].c == pytest.approx(curve.c, rel=0.01)
        assert found[group].loss(10_000) == pytest.approx(curve.loss(10_000), rel=0.01)
    by_hand = budgeted(groups(9000, 9000), 5000, options(curves=true))
    fitted = budgeted(
        groups(9000, 9000), 5000, options(measured=[m.model_dump() for m in measured])
    )
    assert fitted == pytest.approx(by_hand, rel=0.02)


def test_two_measurements_give_the_curve_through_both():
    curve = fit([Measured(group="x", rows=n, loss=8 * n**-0.5) for n in (16, 256)])["x"]
    assert (curve.a, round(curve.b, 9), round(curve.c, 9)) == (0, 8, 0.5)


def test_a_curve_that_rises_is_refused():
    rising = [Measured(group="x", rows=10, loss=0.2), Measured(group="x", rows=99, loss=0.3)]
    with pytest.raises(RecipeError, match='loss of group "x" does not fall'):
        fit(rising)
    with pytest.raises(RecipeError, match="at one number of rows only"):
        fit(rising[:1])
    with pytest.raises(ValidationError):
        Curve(b=-1, c=0.5)


def test_a_group_without_a_curve_is_named():
    with pytest.raises(RecipeError, match='group "g1" has no learning curve'):
        budgeted(groups(9, 9), 4, options(curves={"g0": Curve(b=1, c=1)}))
    with pytest.raises(RecipeError, match='curve for "zz", a group that isn\'t there'):
        budgeted(groups(9), 4, options(curves={"g0": TWO["g0"], "zz": TWO["g1"]}))


def test_maximin_leaves_no_group_out():
    steep = {"a": Curve(a=5, b=1, c=1), "b": Curve(b=1, c=1)}
    two = [Group({"c": "a"}, 1000), Group({"c": "b"}, 1000)]

    def planned(groups, rows, **options):
        return budgeted(groups, rows, Budgeted(method="budgeted", objective="maximin", **options))

    assert planned(two, 100, curves=steep) == [99, 1]
    assert planned(two, 1, curves=steep) == [1, 0]
    assert planned(two, None, curves=steep, costs={"a": 2}, budget=100) == [49, 2]
    assert planned(two, 100, curves=steep, already={"b": 1}) == [100, 0]
    few = [Group({"c": "a"}, 6), Group({"c": "b"}, 21)]
    curves = {"a": Curve(a=0.5, b=1, c=1), "b": Curve(b=0.5, c=0.3)}

    def worst(rows):
        return max(
            curve.a + curve.b * n**-curve.c if n else float("inf")
            for n, curve in zip(rows, curves.values(), strict=True)
        )

    assert worst(planned(few, 6, curves=curves)) == min(worst((n, 6 - n)) for n in range(7))
