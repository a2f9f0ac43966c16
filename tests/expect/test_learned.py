"""Gates that learn from earlier runs: limits by numpy, and earlier runs from the ledger."""

import datetime as dt
import math
from dataclasses import replace

import numpy as np
import pytest

import lakebalance as lb
from lakebalance.core.errors import GateError
from lakebalance.expect.learned import Line, learned, limits
from lakebalance.ledger import state_of
from lakebalance.recipe.learned import Learned
from lakebalance.result import remember_plan
from lakebalance.sample.thresholds import Threshold


def test_limits_are_medians_and_their_deviations():
    rng = np.random.default_rng(5)
    for n in (1, 4, 9, 200):
        values = rng.normal(100, 7, n)
        spread = np.median(np.abs(values - np.median(values))) * 1.4826
        found = limits(list(values), 4, 0.5, above=False)
        away = max(4 * spread, 0.5)
        assert found.middle == pytest.approx(np.median(values))
        assert (found.low, found.high) == pytest.approx((found.middle - away, found.middle + away))
    # For what is normal, the deviation is the standard deviation.
    assert spread == pytest.approx(7, rel=0.15)
    one_sided = limits([0.1, 0.1, 0.2], 5, 0.01, above=True)
    assert one_sided.low == -math.inf and one_sided.high == pytest.approx(0.11)


def judged(now, before, **gate):
    asked = Learned(**{"metric": "rows", "at_least": 3, **gate})
    return learned(asked, [Line("x", now, before)], "expect.learned.0")


@pytest.mark.parametrize(
    ("now", "before", "gate", "success"),
    [
        (100, [100, 102, 98], {}, True),
        (80, [100, 102, 98], {}, False),
        (120, [100, 102, 98], {}, False),
        # Runs that were all alike allow what is tolerated, and no more.
        (101, [100, 100, 100], {}, True),
        (102, [100, 100, 100], {}, False),
        (102, [100, 100, 100], {"tolerance": 0.05}, True),
        # One wild run does not widen the limits.
        (150, [100, 101, 99, 100, 5000], {}, False),
        (0.0, [0.1, 0.1, 0.1], {"metric": "quarantined"}, True),
        (0.12, [0.1, 0.1, 0.1], {"metric": "quarantined"}, False),
        (0, [0, 0, 0], {}, True),
        (1, [0, 0, 0], {}, False),
    ],
)
def test_what_is_beyond_them_fails(now, before, gate, success):
    found = judged(now, before, **gate)
    assert found.verdict.success == success and found.verdict.number == now
    assert found.diagnostic.rows[0][-1] == ("no" if success else "yes")


def test_too_few_runs_pass_and_are_warned_of():
    found = judged(5, [100, 100])
    assert found.verdict.success and found.verdict.number is None
    code, message = found.diagnostic.warning
    assert code == "learned_too_few_runs" and "Fewer than 3 earlier runs, 2 at most" in message


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"metric": "unexpected", "source": "s"}, "source goes with metric: rows"),
        ({"metric": "rows", "at_least": 30}, "at_least is 30, and runs 20"),
        ({"metric": "rows", "on_fail": "quarantine"}, "quarantine"),
    ],
)
def test_what_cannot_be_learned(parts, message):
    with pytest.raises(ValueError, match=message):
        Learned(**parts)


@pytest.mark.slow
def test_earlier_runs_are_those_of_the_ledger(spark, table, recipe):
    rows = [(i, None if i % 10 == 0 else "a") for i in range(40)]
    expectation = {"expectation": "ExpectColumnValuesToNotBeNull", "args": {"column": "label"}}
    gates = [{"metric": m, "at_least": 3, "runs": 3} for m in ("rows", "quarantined", "unexpected")]
    asked = recipe(
        {"name": "s", "table": table("t", rows, "id bigint, label string"), "key": ["id"]},
        expect={"expectations": [expectation], "learned": gates},
    )
    planned = lb.plan(asked, spark)
    assert [gate.kind for gate in planned.gates] == ["expectation", *["learned"] * 3]
    assert [w["code"] for w in planned.warnings].count("learned_too_few_runs") == 3
    state = state_of(asked)
    for i, read in enumerate((1000, 39, 41, 40)):
        plan = planned.to_dict()
        plan["sources"][0]["rows"], plan["quarantined"] = read, 1
        plan["gates"][0] |= {"rows": read, "unexpected": 1}
        now = dt.datetime(2024, 1, 1, tzinfo=dt.timezone.utc)
        state.record(spark, {"run_id": f"run{i}", "name": "test", "target": asked.publish.table,
                             "version": i, "rows": 1, "started": now, "plan": plan,
                             "recipe": "", "result": {}})  # fmt: skip
    rows_gate, aside, unexpected = lb.plan(asked, spark).gates[1:]
    # Of the newest three runs, which does not count the one of 1,000 rows.
    assert rows_gate.success and rows_gate.worst == "rows (median of 3 runs 40)"
    assert not aside.success and aside.number == 0.1 and aside.limit == pytest.approx(0.035)
    assert not unexpected.success
    assert unexpected.worst.startswith("ExpectColumnValuesToNotBeNull(column='label') (median")
    stopping = asked.model_copy(
        update={"expect": asked.expect.model_copy(
            update={"learned": [Learned(**{**gates[1], "on_fail": "stop"})]})}
    )  # fmt: skip
    with pytest.raises(GateError, match="quarantined as in earlier runs failed: rows set aside"):
        lb.run(stopping, spark)


def test_shares_of_groups_are_as_they_were(spark, table, recipe):
    def path(name, rare):
        rows = [(i, "rare" if i < rare else None if i % 2 else "a") for i in range(40)]
        return {"name": "s", "table": table(name, rows, "id bigint, label string"), "key": ["id"]}

    parts = {
        "expect": {"learned": [{"metric": "groups", "at_least": 3, "tolerance": 0.05}]},
        "allocate": {"balance": {"by": ["label"], "method": "equal"}},
        "split": {"shares": {"test": 0.2}},
    }
    asked = recipe(path("t", 4), **parts)
    planned, state = lb.plan(asked, spark), state_of(asked)
    assert planned.gates[0].number is None and planned.gates[0].success

    def with_thresholds(groups):
        return [replace(group, threshold=Threshold(1)) for group in groups]

    groups, (test,) = with_thresholds(planned.groups), planned.outputs
    others = [replace(group, rows=[60, 20, 20][i]) for i, group in enumerate(groups)]
    for i, own in enumerate([others, groups, groups, groups]):
        held = replace(test, groups=with_thresholds(test.groups))
        plan = replace(planned, run_id=f"run{i}", groups=own, outputs=[held])
        remember_plan(state, spark, plan)
        now = dt.datetime(2024, 1, 1, tzinfo=dt.timezone.utc)
        state.record(spark, {"run_id": f"run{i}", "name": "test", "target": asked.publish.table,
                             "version": i, "rows": 1, "started": now, "plan": plan.summary(),
                             "recipe": "", "result": {}})  # fmt: skip
    same = lb.plan(asked, spark)
    assert same.gates[0].success and same.gates[0].number is not None
    lines = next(d for d in same.diagnostics if d["title"].startswith("groups"))["rows"]
    assert sorted(line[:3] + line[5:] for line in lines) == [
        ['label="a"', 0.45, 0.45, 4, "no"],
        ['label="rare"', 0.1, 0.1, 4, "no"],
        ["label=null", 0.45, 0.45, 4, "no"],
    ]
    gone = lb.plan(recipe(path("u", 0), **parts), spark).gates[0]
    assert not gone.success and gone.worst == 'label="rare" (median of 4 runs 0.1)'
    assert (gone.number, gone.limit) == (0, pytest.approx(0.05))


def test_shares_of_groups_need_groups(recipe):
    with pytest.raises(ValueError, match="metric: groups compares shares of groups"):
        recipe("a/t", expect={"learned": [{"metric": "groups"}]})
