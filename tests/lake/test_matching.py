"""Renamed columns are found by types, statistics and values; rows decide."""

import random
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from lakebalance import lake
from lakebalance.lake import matching
from lakebalance.lake.facts import ColumnFacts, TableFacts
from lakebalance.lake.matching import Candidate, assigned, candidates
from lakebalance.lake.schema_graph import Names
from written import write

ROWS = 300


def column(name, kind="long", low=0, high=9, nulls=0):
    return ColumnFacts(name, kind, nulls, nulls, low, low, high, high)


def table(name, *columns, rows=10):
    return TableFacts(name, 0, rows, 1, 1, columns)


def found(*tables, known=(), names=None):
    pairs = candidates(tables, known, names or Names())
    return {(c.child.table, c.parent.table): c for c in pairs}


def test_what_types_and_statistics_leave():
    wide = table("wide", column("a"), column("b", "string", "a", "z"), column("c", low=50, high=90))
    narrow = table("narrow", column("x", "integer", 2, 9), column("y", low=51, high=60))
    far = table("far", column("x", low=100, high=101))
    nulls = table("nulls", column("x", nulls=2))
    pairs = found(wide, narrow, far, nulls, known={("nulls", "far")})
    assert set(pairs) == {("narrow", "wide")}
    assert set(pairs["narrow", "wide"].allowed) == {("x", "a"), ("y", "c")}
    assert not found(narrow, wide, known={("narrow", "wide")})
    many = replace(narrow, rows=11)
    assert not found(many, wide)


def test_names_ranges_and_nulls_say_which_columns_are_alike():
    parent = table("p", column("dep_delay"), column("arr_delay", low=-5, high=90), rows=10)
    child = table("c", column("departure_delay"), column("arr_dly"), rows=10)
    alike = found(parent, child)["c", "p"].allowed
    assert alike["departure_delay", "dep_delay"] > alike["departure_delay", "arr_delay"]
    assert alike["arr_dly", "arr_delay"] > 0.5
    # What names stand for counts as the same.
    names = Names({"arr_dly": "arr_delay"})
    best = found(parent, child, names=names)["c", "p"]
    assert best.allowed["arr_dly", "arr_delay"] > alike["arr_dly", "arr_delay"]
    assert assigned(best).columns == (("arr_dly", "arr_delay"), ("departure_delay", "dep_delay"))


def test_a_column_is_taken_once_and_all_are_needed():
    child, parent = table("c", column("a"), column("b")), table("p", column("x"), column("y"))
    only = {("a", "x"): 1.0, ("b", "x"): 1.0}
    assert assigned(Candidate(child, parent, only)) is None
    edge = assigned(Candidate(child, parent, {**only, ("b", "y"): 0.0}))
    assert edge.columns == (("a", "x"), ("b", "y"))


def test_the_column_that_fewest_may_hold_is_asked_first():
    child = table("c", column("a"), column("b"))
    allowed = {("a", "x"): 1.0, ("a", "y"): 1.0, ("b", "y"): 0.5}
    candidate = Candidate(child, table("p", column("x"), column("y")), allowed)
    assert (candidate.telling, candidate.likeness) == ("b", 0.75)
    assert not candidate.without({("b", "y")}).is_possible


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A table; a part of it under other names, narrower and turned; one whose rows are others."""
    top, chance = tmp_path_factory.mktemp("renamed"), random.Random(3)
    ids = chance.sample(range(10**6), ROWS)
    base = pa.table({
        "flight_id": pa.array(ids, pa.int64()),
        "dep_delay": pa.array([chance.randrange(-20, 300) for _ in ids], pa.int64()),
        "arr_delay": pa.array([chance.randrange(-20, 300) for _ in ids], pa.int64()),
        "origin": [chance.choice(["EWR", "JFK", "LGA"]) for _ in ids],
        "dest": [chance.choice(["EWR", "JFK", "LGA", "BOS", "ORD"]) for _ in ids],
    })  # fmt: skip
    write(top / "l/base", base)
    part = base.slice(50, 200)
    ren = {"ankunft": "arr_delay", "ort": "origin", "fid": "flight_id", "abflug": "dep_delay"}
    renamed = pa.table({name: part[old] for name, old in ren.items()})
    write(top / "l/renamed", renamed.set_column(3, "abflug", part["dep_delay"].cast(pa.int32())))
    shuffled = base["dep_delay"].take(chance.sample(range(ROWS), ROWS))
    write(top / "l/other", pa.table({"n": base["flight_id"], "d": shuffled}))
    write(top / "l/far", pa.table({"k": pa.array([10**7, 10**7 + 1], pa.int64())}))
    return top


def test_a_part_under_other_names_is_found_and_rebuilt(spark, folder, call):
    state = f"{folder}/s"
    assert call("scan", f"{folder}/l", "--state", state)[0] == 0
    assert not lake.graph(spark, state, lake.Narrowing(verify=True)).edges
    graph = lake.graph(spark, state, lake.Narrowing(verify=True, match=True))
    steps = {step["step"]: step["pairs"] for step in graph.funnel}
    # Each column of "other" is in base, but its rows are not.
    assert (steps["schema"], steps["renamed columns"], steps["verified"]) == (0, 2, 1)
    (held,) = graph.edges
    assert (Path(held.edge.child).name, held.compared.rows) == ("renamed", 200)
    assert dict(held.edge.columns) == {
        "abflug": "dep_delay", "ankunft": "arr_delay", "fid": "flight_id", "ort": "origin",
    }  # fmt: skip
    plan = lake.plan(spark, state, lake.Prices(reads=0))
    (outcome,) = lake.apply(spark, state, plan.id).outcomes
    assert outcome.rows == 200, outcome.why
    code, text, err = call("graph", "--state", state, "--match")
    assert code == 0, err
    assert "renamed in base: abflug is dep_delay, ankunft is arr_delay" in " ".join(text.split())


@pytest.mark.slow
def test_pairs_beyond_the_most_are_counted(spark, folder, call, monkeypatch):
    monkeypatch.setattr(matching, "MOST_PAIRS", 1)
    state = f"{folder}/t"
    assert call("scan", f"{folder}/l", "--state", state)[0] == 0
    graph = lake.graph(spark, state, lake.Narrowing(match=True))
    assert graph.not_tried > 0
    text = " ".join(call("graph", "--state", state, "--match")[1].split())
    assert f"{graph.not_tried} pairs whose columns are least alike were not tried" in text
