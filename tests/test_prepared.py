"""What a rule diagnoses and a sampler prepares is in the plan, and comes back from the ledger."""

from dataclasses import replace

import pytest

import lakebalance as lb
from lakebalance.core import registry
from lakebalance.core.diagnostics import Diagnostic, Prepared

ROWS = [(i, "a" if i < 8 else "b") for i in range(10)]


@pytest.fixture
def talkative(monkeypatch):
    """``equal`` and ``repeat``, as they would be if they had something to say."""
    real, seen = registry.methods, []

    def diagnose(groups, targets, options):
        rows = [[g.name, g.available, t] for g, t in zip(groups, targets, strict=True)]
        return [Diagnostic("rule", ["group", "available", "target"], rows)]

    def prepare(frames, shares, options):
        rows = sum(frame.count() for frame in frames)
        return Prepared({"rows": rows}, [Diagnostic("sampler", ["rows"], [[rows]])])

    def function(frames, shares, options, prepared):
        seen.append(prepared)
        return real("sample")["repeat"].function(frames, shares, options)

    def methods(stage):
        known = dict(real(stage))
        if stage == "allocate":
            known["equal"] = replace(known["equal"], diagnose=diagnose)
        if stage == "sample":
            known["repeat"] = replace(known["repeat"], prepare=prepare, function=function)
        return known

    monkeypatch.setattr(registry, "methods", methods)
    return seen


@pytest.mark.slow
def test_plan_run_and_ledger_say_the_same(spark, table, recipe, talkative):
    sources = [table("s", ROWS, "id int, c string"), table("t", ROWS, "id int, c string")]
    asked = recipe(*sources, allocate={"balance": {"method": "equal", "by": ["c"]}, "rows": 10})
    planned, done, again = lb.plan(asked, spark), lb.run(asked, spark), lb.run(asked, spark)
    repeats = ["value of repetition", "repeat or weigh"]  # of b there are 4 rows, and 5 come out
    assert [d["title"] for d in planned.diagnostics] == ["rule", *repeats, "sampler"]
    assert planned.diagnostics[0]["rows"] == [["a", 16, 5], ["b", 4, 5]]
    assert planned.prepared == {"rows": 20} == talkative[0]
    assert again.repeated
    for plan in (done.plan, again.plan):
        assert (plan.diagnostics, plan.prepared) == (planned.diagnostics, planned.prepared)
