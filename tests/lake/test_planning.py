"""Costs, sizes of samples and what users get wrong, without Spark."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from lakebalance.core.errors import RecipeError
from lakebalance.lake import planning
from lakebalance.lake.containment import Held
from lakebalance.lake.content import (
    MOST_SCANS,
    Compared,
    Pair,
    _sides,
    batches,
    sample_size,
    share_for,
)
from lakebalance.lake.entries import Entry, Inventory
from lakebalance.lake.facts import ColumnFacts, TableFacts
from lakebalance.lake.planning import reads_in
from lakebalance.lake.prices import Prices, problem_of
from lakebalance.lake.retention import retention
from lakebalance.lake.schema_graph import Edge, edges
from lakebalance.lake.stored_plans import plan_id


def table(name, gigabytes=1, borrowed=(), columns="ab"):
    kinds = tuple(ColumnFacts(c, "long") for c in columns)
    return TableFacts(name, 0, 1, gigabytes * 10**9, 1, kinds, borrowed=borrowed)


def test_costs_are_in_the_users_prices():
    tables = [table("big", 100), table("small", 10)]
    prices = Prices(storage=0.02, read=0.005, rebuild=0.1, reads=2)
    problem = problem_of(tables, [("small", "big")], prices, {}, ())
    assert problem.keep == [2 * 10**12, 2 * 10**11]
    assert problem.sources == [{}, {0: 12 * 10**11}]
    assert retention(problem).source == (None, None)
    often = problem_of(tables, [("small", "big")], prices, {"small": 0.1}, ())
    assert often.sources[1][0] == 6 * 10**10
    assert retention(often).source == (None, 0)


def test_a_source_that_is_too_slow_is_none():
    tables = [table("big", 100), table("small", 10)]
    for limit, sources in ((999.0, {}), (1000.0, {0: 5 * 10**11})):
        prices = Prices(max_latency=limit, throughput=100)
        assert problem_of(tables, [("small", "big")], prices, {}, ()).sources[1] == sources


def test_clones_and_what_they_are_of_are_kept_and_clones_serve_nobody():
    tables = [table("/l/a"), table("/l/clone", 0, ("/l/a",)), table("/l/ab")]
    pairs = [("/l/a", "/l/clone"), ("/l/clone", "/l/a"), ("/l/ab", "/l/clone"), ("/l/ab", "/l/a")]
    problem = problem_of(tables, pairs, Prices(), {}, ["/l/ab"])
    assert problem.pinned == {0, 1, 2}
    assert [set(s) for s in problem.sources] == [set(), {0}, {0}]


def test_prices_that_are_none_are_refused():
    for wrong in ({"storage": -1}, {"throughput": 0}, {"max_latency": 0}, {"storag": 1}):
        with pytest.raises(ValidationError):
            Prices(**wrong)


def test_reads_from_a_file(tmp_path):
    file = tmp_path / "reads.csv"
    file.write_text("table,reads\n/l/a,3\n/l/b,0.5\n")
    assert reads_in(file) == {"/l/a": 3.0, "/l/b": 0.5}
    file.write_text("")
    assert reads_in(file) == {}
    for text, said in (
        ("table,read\n/l/a,3\n", 'no column "reads"; did you mean "read"'),
        ("table,reads\n/l/a,often\n", ':2  reads: "often" is not a number'),
        ("table,reads\n/l/a\n", ':2  reads: "None" is not a number'),
        ("table,reads\n/l/a,-1\n", ":2  reads: -1 is not 0 or more"),
        ("table,reads\n/l/a,nan\n", ":2  reads: nan is not 0 or more"),
    ):
        file.write_text(text)
        with pytest.raises(RecipeError, match=said):
            reads_in(file)
    with pytest.raises(RecipeError, match="cannot be read"):
        reads_in(tmp_path / "none.csv")


def test_tables_that_are_not_there_are_named_with_the_nearest():
    entry = Entry("/lake/flights", 0, None, table("/lake/flights"), None, names=("air.flights",))
    known = Inventory((entry,))
    for name in ("file:///lake/flights/", "air.Flights", "spark_catalog.`air`.flights"):
        assert known.path_of(name, "keep") == "/lake/flights"
    with pytest.raises(RecipeError, match=r'keep: .* "/lake/flight"; did you mean "/lake/flights"'):
        known.path_of("/lake/flight", "keep")
    with pytest.raises(RecipeError, match=r'"air.flight"; did you mean "air.flights"'):
        known.path_of("air.flight", "keep")


@given(st.floats(1e-6, 0.5), st.floats(1e-9, 0.5))
def test_the_sample_is_as_large_as_the_risk_asks_for(fraction, risk):
    size = sample_size(fraction, risk)
    assert (1 - fraction) ** size <= risk * (1 + 1e-9)
    assert size == 1 or (1 - fraction) ** (size - 1) > risk * (1 - 1e-9)


@given(st.integers(1, 10**5), st.integers(1, 10**12))
def test_the_share_of_hashes_gives_the_sample(size, rows):
    share = share_for(size, rows)
    wanted = (size + 5 * math.sqrt(size) + 5) / rows
    assert share == 1.0 if wanted > 0.5 else wanted <= share < 2 * wanted


def test_few_rows_are_sent_to_many_and_not_the_many_to_them():
    few, many = (TableFacts(n, 0, rows, 1, 1, ()) for n, rows in (("c", 100), ("p", 10**9)))
    edge = Edge("c", "p", ())
    assert Pair(edge, few, many, 1.0).is_lopsided
    assert not Pair(edge, few, many, 0.5).is_lopsided
    assert not Pair(edge, many, many, 1.0).is_lopsided
    assert not Pair(edge, few, few, 1.0).is_lopsided


def test_pairs_of_one_parent_share_a_job_and_jobs_are_bounded():
    tables = [table(f"t{i:02}") for i in range(12)] + [table(f"n{i}", columns="a") for i in "xy"]
    by_name = {t.table: t for t in tables}
    pairs = [Pair(e, by_name[e.child], by_name[e.parent], 0.5) for e in edges(tables)]
    jobs = list(batches(pairs))
    assert sorted(p.edge.child for job in jobs for p in job) == sorted(p.edge.child for p in pairs)
    assert len(pairs) == 12 * 11 + 2 * 12 + 2
    for job in jobs:
        assert len({side.scan for pair in job for side in _sides(pair)}) <= MOST_SCANS
    assert len(jobs) < 4


def test_what_cannot_be_compared_is_not_said_to_be_refuted(monkeypatch):
    tables = [replace(table(name), rows=5, bytes=10**9) for name in ("/l/a", "/l/b", "/l/c")]
    pairs = [("/l/a", "/l/c"), ("/l/b", "/l/c")]
    held = [Held(Edge(*p, ()), (0, ""), (0, ""), Compared(5, 5, 0, 0.5)) for p in pairs]
    kept = []

    def verified(spark, unsure, by_name, seed):
        return [], [], [{"child": "/l/a", "parent": "/l/c", "problem": "no permission"}]

    monkeypatch.setattr(planning, "load", lambda *_: Inventory([Entry("", 0, None, t, None)
                                                                for t in tables]))  # fmt: skip
    monkeypatch.setattr(planning, "load_edges", lambda *_: held)
    monkeypatch.setattr(planning, "keep_edges", lambda _, edges, state: kept.append(edges))
    monkeypatch.setattr(planning, "verified", verified)
    monkeypatch.setattr(planning, "relied_on", lambda *_: set())
    monkeypatch.setattr(planning, "keep_plan", lambda _, state, content: plan_id(content))
    made = planning.plan(None, "state", Prices(reads=0.001))
    assert made.refuted == [{"child": "/l/b", "parent": "/l/c"}]
    assert made.problems == [{"child": "/l/a", "parent": "/l/c", "problem": "no permission"}]
    assert all(decision.rebuild_from is None for decision in made.decisions)
    assert made.id == plan_id({**made.to_dict(), "plan": "", "reads": {}})
    # It is asked again in the next plan.
    assert [h.edge.child for h in kept[-1]] == ["/l/a"]
    # What another table is rebuilt from stays.
    for relied_on, dropped in ((set(), ["/l/a", "/l/b"]), ({"/l/a", "/l/elsewhere"}, ["/l/b"])):
        monkeypatch.setattr(planning, "relied_on", lambda *_, some=relied_on: some)
        made = planning.plan(None, "state", Prices(reads=0.001), verify=False)
        assert [d.table for d in made.decisions if d.rebuild_from] == dropped
