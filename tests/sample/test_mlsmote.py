"""New rows for rare labels: bags, votes and label sets that nobody has, planned and met exactly."""

import json
from collections import Counter
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lakebalance as lb
from lakebalance.core.diagnostics import NewRows
from lakebalance.core.errors import RecipeError
from lakebalance.core.labels import readable
from lakebalance.core.places import Places
from lakebalance.fates import explain
from lakebalance.plans import PlannedGroup, with_new_rows
from lakebalance.report.html import render
from lakebalance.sample.children import Parents
from lakebalance.sample.label_bags import bags_of
from lakebalance.sample.label_votes import voted
from lakebalance.sample.mlsmote import (
    MLSmote,
    born_in_bag,
    check_columns,
    check_group,
    children_of,
    prepare,
)
from lakebalance.sample.thresholds import Share, Threshold


def options(**more):
    given = {"method": "mlsmote", "labels": ["l"], "features": ["x", "y"], **more}
    return MLSmote.model_validate(given)


def array(*labels):
    return json.dumps({"v": labels}, ensure_ascii=False, separators=(",", ":"))


def half_of(voters):
    """The labels that at least half of some sets have: what the paper counts, one by one."""
    counts = Counter(label for labels in voters for label in set(labels))
    return {label for label, n in counts.items() if 2 * n >= len(voters)}


def could_be(label, labels):
    """Whether a row has a label: True, False, or None where it is not known."""
    if labels is None or (label not in labels and None in labels):
        return None
    return label in labels


def by_three_values(label, voters):
    states = [could_be(label, labels) for labels in voters]
    if 2 * states.count(True) >= len(voters):
        return True
    return None if 2 * (len(voters) - states.count(False)) >= len(voters) else False


LABELS = st.lists(st.sampled_from(["a", "b", "c", "é,]"]), max_size=4)
UNKNOWN = st.one_of(st.none(), st.lists(st.sampled_from(["a", "b", "c", None]), max_size=4))
VOTERS = st.integers(1, 8)


@settings(deadline=None)
@given(st.lists(LABELS, min_size=1, max_size=12), VOTERS, st.randoms(use_true_random=False))
def test_a_new_row_has_the_labels_of_at_least_half(rows, half, chance):
    voters = np.array([[chance.randrange(len(rows)) for _ in range(half)] for _ in range(5)])
    made = voted(pa.array(rows, pa.list_(pa.string())), voters).to_pylist()
    for labels, own in zip(made, voters, strict=True):
        assert set(labels) == half_of([rows[i] for i in own])
        if set(labels) == set(rows[own[0]]):
            assert labels == rows[own[0]]
        else:
            seen = list(dict.fromkeys(label for i in own for label in rows[i]))
            assert labels == [label for label in seen if label in labels]


@settings(deadline=None)
@given(st.lists(UNKNOWN, min_size=1, max_size=9), VOTERS, st.randoms(use_true_random=False))
def test_what_unknown_labels_could_decide_stays_unknown(rows, half, chance):
    voters = np.array([[chance.randrange(len(rows)) for _ in range(half)] for _ in range(5)])
    made = voted(pa.array(rows, pa.list_(pa.string())), voters).to_pylist()
    for labels, own in zip(made, voters, strict=True):
        known = {n: by_three_values(n, [rows[i] for i in own]) for n in ["a", "b", "c", "other"]}
        assert {n for n in labels or [] if n} == {n for n, has in known.items() if has}
        assert (labels is None or None in labels) == (None in known.values())


@pytest.mark.parametrize(
    ("kind", "one"),
    [(pa.bool_(), True), (pa.int8(), 1), (pa.float64(), 1.0), (pa.decimal128(3, 1), Decimal(1))],
)
def test_columns_of_0_and_1_vote_alike(kind, one):
    states = [one, type(one)(0), None]
    voters = np.array(list(np.ndindex(3, 3, 3)))
    made = voted(pa.array(states, kind), voters)
    assert made.type == kind
    names = {0: ["n"], 1: [], 2: [None]}
    expected = [by_three_values("n", [names[i] for i in own]) for own in voters]
    assert [v if v is None else v == 1 for v in made.to_pylist()] == expected


def by_the_paper(at, labels, k):
    """For each row of a bag its k nearest others and the labels that they and it vote for."""
    scaled = (at - at.mean(axis=0)) / np.where(at.std(axis=0) > 0, at.std(axis=0), 1)
    found = []
    for i, place in enumerate(scaled):
        far = ((scaled - place) ** 2).sum(axis=1)
        near = sorted((j for j in range(len(at)) if j != i), key=lambda j: (far[j], j))[:k]
        found.append((near, half_of([labels[j] for j in [i, *near]])))
    return found


@pytest.mark.parametrize(("rows", "k", "children"), [(40, 5, 1), (25, 4, 3), (3, 5, 2), (1, 5, 1)])
def test_children_of_a_bag_are_those_of_the_paper(rows, k, children):
    chance = np.random.default_rng(rows)
    at = chance.normal(size=(rows, 2))
    labels = [["t", *chance.choice(["a", "b", "c", "d"], 2).tolist()] for _ in range(rows)]
    colours = chance.choice(["red", "blue"], rows).tolist()
    asked = options(k_neighbors=k, fewer="reduce")
    hashes = chance.integers(0, 2**62, rows)
    places = Places(["x", "y"])
    parents = Parents(places, at, hashes, np.full(rows, children), [pa.array(labels)])
    made = born_in_bag(parents, asked)
    assert len(made.parents) == rows * children
    expected = by_the_paper(at, labels, k)
    for keys, place, own in zip(made.parents, made.at, made.categories[0].to_pylist(), strict=True):
        first, second = keys[:2]
        near, wanted = expected[first]
        assert set(own) == wanted and "t" in own
        assert keys[2:].tolist() == (near or [first]) and second in (near or [first])
        way = at[second] - at[first]
        steps = (place - at[first])[way != 0] / way[way != 0]
        assert len(steps) == 0 or (np.ptp(steps) < 1e-9 and 0 <= steps[0] <= 1)
    if rows > k > 1:
        assert len({tuple(p[:2]) for p in made.parents}) > rows / 2
    seen = [pa.array(colours), pa.array(labels)]
    named = Parents(places, at, hashes, parents.copies, seen)
    voted_colours = born_in_bag(named, options(k_neighbors=k, categorical=["c"])).categories[0]
    assert set(voted_colours.to_pylist()) <= {"red", "blue"}


def shares_of(groups):
    return {
        i: Share(n, n, Threshold(1), values, source) for i, (source, values, n) in enumerate(groups)
    }


def test_bags_are_of_one_source_and_of_rows_that_agree_in_what_else_is_counted():
    groups = [
        ("s", {"r": 1, "l": array("a")}, 90),
        ("s", {"r": 1, "l": array("a", "b")}, 7),
        ("s", {"r": 1, "l": array("b", "c", "b")}, 5),
        ("s", {"r": 2, "l": array("b")}, 4),
        ("t", {"r": 2, "l": array("b", None)}, 3),
        ("t", {"r": 2, "l": "{}"}, 3),
        ("t", {"r": 2, "l": array("c")}, 0),
    ]
    bags = bags_of(shares_of(groups), ["l"], ["b", "c"])
    assert [(bag.name, list(bag.groups), bag.rows) for bag in bags] == [
        ("s/1/b", [1, 2], 12), ("s/1/c", [2], 5), ("s/2/b", [3], 4), ("t/2/b", [4], 3),
    ]  # fmt: skip
    state = {"rare": ["b", "c"]}
    assert [children_of(v, options(children=2), state) for _, v, _ in groups] == [
        0, 2, 4, 2, 2, 0, 2,
    ]  # fmt: skip


def test_bags_that_are_too_small_or_too_large_are_refused_before_any_job():
    groups = [("s", {"l": array("a")}, 90), ("s", {"l": array("b")}, 4)]
    with pytest.raises(
        RecipeError, match=r'label "s/b" has 4 rows .* sample.k_neighbors: 3, sample'
    ):
        prepare([], shares_of(groups), options())
    with pytest.raises(RecipeError, match=r"at most 3; write sample.max_group_rows: 4"):
        prepare([], shares_of(groups), options(k_neighbors=2, max_group_rows=3))
    with pytest.raises(
        RecipeError, match=r'"s/b" has 4 rows and a target of 9.*method: none.* ml_rus'
    ):
        check_group(options(), "s/b", 4, 9)


def test_labels_that_are_all_alike_have_no_children():
    found = prepare([], shares_of([("s", {"l": array("a", "b")}, 9)]), options())
    assert not found.made and found.state == {"rare": [], "lengths": {}}
    assert found.diagnostics[0].note.startswith("0 labels are rare")


def test_new_rows_join_the_groups_that_they_fall_into_or_make_new_ones():
    groups = [
        PlannedGroup(i, source, {"r": 1, "l": array(*labels)}, n, n, n, Threshold(1))
        for i, (source, labels, n) in enumerate([("t", "a", 5), ("t", "c", 2), ("s", "a", 3)])
    ]
    made = [
        NewRows(1, {"l": array("c")}, 4),
        NewRows(1, {"l": array("b", "c")}, 3),
        NewRows(0, {"l": array("b", "c")}, 2),
        NewRows(2, {"l": array("c")}, 1),
    ]
    found = with_new_rows(groups, made)
    assert [(g.source, g.group["l"], g.available, g.target, g.synthetic) for g in found] == [
        ("t", array("a"), 5, 5, 0),
        ("t", array("b", "c"), 0, 5, 5),
        ("t", array("c"), 2, 6, 4),
        ("s", array("a"), 3, 3, 0),
        ("s", array("c"), 0, 1, 1),
    ]
    assert found[1].group["r"] == 1 and found[1].threshold == Threshold(0)
    assert len({g.id for g in found}) == 5 and with_new_rows(groups, made) == found


# The worked example's counts 5, 2 and 1, about ten times: only 3 is over the mean ratio.
SETS = [["1"]] * 30 + [["1", "2"]] * 10 + [["2"]] * 10 + [["1", "3"]] * 7 + [["3", "2"]] * 3


def rows_of(sets):
    return [
        (i, x, float(i % 7), i * 3 % 11, ["red", "blue"][i % 2], f"n{i}")
        for i, x in enumerate(sets)
    ]


SCHEMA = "id int, l array<string>, x double, y int, colour string, name string"
SAMPLE = {
    "method": "mlsmote", "labels": ["l"], "features": ["x", "y"], "categorical": ["colour"],
    "blank": ["name"], "k_neighbors": 3, "children": 2,
}  # fmt: skip


@pytest.mark.slow
def test_the_plan_counts_new_label_sets_and_the_run_meets_them(spark, table, recipe):
    made, elsewhere = (
        recipe(
            {"name": "s", "table": table(name, rows, SCHEMA, partitions), "key": ["id"]},
            allocate={"balance": {"by": ["l"], "method": "none"}},
            sample=SAMPLE,
        )
        for name, rows, partitions in (("a", rows_of(SETS), 1), ("b", rows_of(SETS)[::-1], 4))
    )
    result, plan = lb.run(made, spark), lb.plan(elsewhere, spark)
    assert plan.to_dict()["groups"] == result.plan.to_dict()["groups"]
    assert plan.rows == 60 + 2 * 10 == result.rows
    assert [w["code"] for w in plan.warnings] == ["copies_without_split"]
    assert "label sets that no row has" in render(result.to_dict())
    written = spark.read.format("delta").load(result.table).collect()
    old = [row for row in written if row["lb_parents"] is None]
    new = [row for row in written if row["lb_parents"] is not None]
    assert Counter(row["id"] for row in old) == Counter(range(60)) and len(new) == 20
    assert Counter(row["id"] for row in new) == Counter({i: 2 for i in range(50, 60)})
    assert all("3" in row["l"] and row["name"] is None for row in new)
    assert all(2 <= len(row["lb_parents"]) <= 4 for row in new)
    counts = Counter(tuple(row["l"]) for row in written)
    targets = {tuple(json.loads(readable(g.group["l"]))): g.target for g in plan.groups}
    assert counts == targets
    unseen = [g for g in plan.groups if not g.available]
    assert all(g.target == g.synthetic > 0 and not g.epochs for g in unseen)
    assert "label sets that no row has" in plan.diagnostics[-2]["note"]
    fates = {fate["row"]["id"]: fate for fate in explain(made, spark, "id IN (50, 0)")}
    assert {i: (f["children"], f["copies"]) for i, f in fates.items()} == {0: (0, 1), 50: (2, 1)}


@pytest.mark.slow
def test_columns_of_labels_held_out_rows_and_other_groups(spark, table, recipe, by_key):
    """Rows with a 1 in the rare column, three regions of two sources, one part held out."""
    kinds = [(True, 0, 0)] * 60 + [(False, 1, 0)] * 40 + [(True, None, 1), (False, 0, 1)] * 8
    rows = [(i, "ns"[i % 3 == 0], *kind, i * 0.5) for i, kind in enumerate(kinds)]
    schema = "id int, region string, `is.a` boolean, b int, c int, x double"
    path = table("t", rows, schema)
    made = recipe(
        {"name": "s", "table": path, "key": ["id"]},
        split={"shares": {"test": 0.2}},
        allocate={"balance": {"by": ["region", "is.a", "b", "c"], "method": "none"}},
        sample={
            "method": "mlsmote", "labels": ["is.a", "b", "c"], "features": ["x"],
            "k_neighbors": 9, "fewer": "reduce",
        },
    )  # fmt: skip
    result = lb.run(made, spark)
    written = spark.read.format("delta").load(result.table).collect()
    held_out = spark.read.format("delta").load(result.table + "_test").collect()
    keys = by_key(path)
    new = [row for row in written if row["lb_parents"] is not None]
    rare = [row for row in written if row["lb_parents"] is None and row["c"] == 1]
    assert len(new) == len(rare) and len(written) + len(held_out) == 116 + len(new)
    out = {row["id"] for row in held_out}
    for row in new:
        parents = [keys[key] for key in row["lb_parents"]]
        assert {p["region"] for p in parents} == {row["region"]} and {p["c"] for p in parents} == {
            1
        }
        assert not out & {p["id"] for p in parents} and row["c"] == 1
        states = [p["b"] for p in parents]
        assert row["b"] is (None if 2 * states.count(None) >= len(states) else 0)
    assert all(p["planned"] == p["found"] for p in result.published)
    again = lb.run(made, spark)
    assert again.repeated and again.plan.to_dict()["groups"] == result.plan.to_dict()["groups"]


@pytest.mark.parametrize(
    ("sample", "message"),
    [
        ({"labels": ["n"]}, 'column "n" is int, which holds one label a row'),
        ({"labels": ["m"]}, "array<double>; write an array of texts"),
        ({"labels": ["o"]}, 'not counted by "o", so their label sets are not known'),
        ({"features": ["n"]}, '"n" is in allocate.balance.by already'),
        ({"categorical": ["x"]}, '"x" is in sample.features already'),
    ],
)
def test_columns_that_cannot_be_what_they_are_named_for_are_refused(spark, sample, message):
    df = spark.createDataFrame([], "n int, m array<double>, o array<string>, x double")
    asked = options(**{"labels": ["m"], "features": ["x"], **sample})
    with pytest.raises(RecipeError, match=f"sample.*{message}"):
        check_columns(df, asked, ["n", "m"])


@pytest.mark.slow
def test_rules_may_take_rows_away_first(spark, table, recipe, by_key):
    """What is left is what mlsmote sees: rare labels, bags and neighbours are of it alone."""
    sets = [["1"]] * 60 + [["1", "2"]] * 20 + [["2"]] * 12 + [["1", "3"]] * 7
    path = table("t", rows_of(sets), SCHEMA)
    made = recipe(
        {"name": "s", "table": path, "key": ["id"]},
        allocate={"balance": {"by": ["l"], "method": "clip", "ceiling": 9}},
        sample={**SAMPLE, "children": 1},
    )
    plan, result = lb.plan(made, spark), lb.run(made, spark)
    shown = [{k: v for k, v in g.items() if k != "threshold"} for g in plan.to_dict()["groups"]]
    assert shown == [
        {k: v for k, v in g.items() if k != "threshold"} for g in result.plan.to_dict()["groups"]
    ]
    assert all(p["planned"] == p["found"] for p in result.published)
    written = spark.read.format("delta").load(result.table).collect()
    keys = by_key(path)
    old = Counter(row["id"] for row in written if row["lb_parents"] is None)
    new = [row for row in written if row["lb_parents"] is not None]
    assert len(old) == 9 + 9 + 9 + 7 and set(old.values()) == {1}
    # Of the rows left, 1 is on 25, 2 on 18, 3 on 7: over the mean ratio of 1.99 is 3 alone.
    assert len(new) == 7
    assert {keys[key]["id"] for row in new for key in row["lb_parents"]} <= set(old)
    [gone] = explain(made, spark, f"id = {min(set(range(60)) - set(old))}")
    assert (gone["fate"], gone["children"]) == ("sampled out", 0)
