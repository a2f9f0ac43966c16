"""Budgets in units other than rows: within a row of them, the same rows however they lie."""

from collections import Counter, defaultdict
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

import lakebalance as lb
from lakebalance.allocate.carry import Boundary, one_more
from lakebalance.allocate.equal import Equal
from lakebalance.allocate.rounding import InfeasibleBudget
from lakebalance.allocate.rules import Group
from lakebalance.core.amounts import Amount
from lakebalance.core.counts import GroupCount
from lakebalance.core.errors import RecipeError, TableError
from lakebalance.recipe import Recipe
from lakebalance.sample.amounts import Cut
from lakebalance.sample.thresholds import LOWEST
from lakebalance.unit_rows import Seen, Unit, rows_of_parts, seen_after

LANGUAGES = ["de", "de", "en", "en", "en", "en", None]
ROWS = [
    (i, LANGUAGES[i % 7], (i * 7919) % 97, Decimal(i * 31 % 1000).scaleb(-2), "aé"[i % 2] * (i % 9))
    for i in range(420)
]
SCHEMA = "id long, language string, n_tokens int, price decimal(8,2), text string"
BALANCE = {"by": ["language"], "method": "equal"}


@given(
    st.lists(st.integers(1, 1000).flatmap(lambda n: st.tuples(st.integers(0, n - 1), st.just(n))))
)
def test_all_groups_together_are_less_than_one_row_short(pairs):
    boundaries = [Boundary(short, row) for short, row in pairs]
    taken = one_more(boundaries)
    missing = sum(b.short - b.next_row * t for b, t in zip(boundaries, taken, strict=True))
    assert 0 <= missing < max([b.next_row for b in boundaries], default=1)
    for boundary, more in zip(boundaries, taken, strict=True):
        assert abs(boundary.short - boundary.next_row * more) < boundary.next_row


def test_rows_of_equal_keys_are_taken_one_by_one_others_of_one_hash_together():
    alike = Cut(at=5, rows_below=10, below=100, rows_at=4, row=3)
    assert [alike.taken(part) for part in (100, 102, 103, 111)] == [0, 0, 1, 3]
    assert (alike.threshold(1, 2).last, alike.threshold(1, 2).at_last) == (5, 2)
    assert not alike.threshold(1, 2).whole and alike.threshold(1, 4).whole
    assert alike.threshold(0, 0).copies(4) == (1, 1) and alike.threshold(0, 0).copies(5) == (0, 0)
    differing = Cut(at=LOWEST, rows_below=0, below=0, rows_at=2, row=9, together=True)
    assert (differing.rows(0), differing.rows(1)) == (0, 2)
    assert differing.threshold(2, 0).last is None and differing.threshold(2, 1).whole


ONE = Unit("n", Fraction(1))


def by_sums(rows_of):
    """Where parts end, by adding up rows in their order; the i-th row has the hash i."""

    def find(wanted):
        cuts = {}
        for group, of in wanted.items():
            below = 0
            for i, steps in enumerate(rows_of[group]):
                if below + steps > of.part:
                    cuts[group] = Cut(i, i, below, 1, steps)
                    break
                below += steps
        return cuts

    return find


@given(st.data())
def test_each_phase_in_order_is_short_by_less_than_a_row_and_rows_are_seen_evenly(data):
    rows_of = data.draw(st.lists(st.lists(st.integers(0, 20), min_size=1, max_size=8), max_size=4))
    rows_of = {i: [*rows, 1] for i, rows in enumerate(rows_of)}
    counts = [
        GroupCount(i, "s", {}, len(rows), len(rows), {"n": Amount(sum(rows), max(rows), 0)})
        for i, rows in rows_of.items()
    ]
    seen = {}
    for _ in range(4):
        shares = [(count, data.draw(st.sampled_from([0, 1, 7, 30, 90]))) for count in counts]
        planned = rows_of_parts(shares, ONE, by_sums(rows_of), seen=seen)
        short = sum(part for _, part in shares) - sum(g.units.planned for g in planned)
        assert 0 <= short < max((max(rows_of[c.id]) for c, part in shares if part), default=1)
        for group, (_, part) in zip(planned, shares, strict=True):
            rows, n = rows_of[group.id], len(rows_of[group.id])
            first = seen.get(group.id, Seen()).rows
            assert group.target >= 0 and (part or not group.target)
            # The very rows that follow those which were seen, round after round.
            own = [rows[i % n] for i in range(first, first + group.target)]
            assert sum(own) == group.units.planned
            assert abs(group.units.planned - part) < max(rows)
        seen = seen_after(planned, seen)


def test_caps_of_whole_epochs_are_exact_where_doubles_are_not():
    group = Group({"g": "a"}, 3 * 2**53 + 1)
    assert Equal(method="equal", max_epochs=3).caps([group]) == [3 * group.available]


def asked(path, tmp_path, allocate, **parts):
    key = parts.pop("key", ["id"])
    sources = parts.pop("sources", [{"name": "s", "table": path, "key": key}])
    target = {"table": str(tmp_path / "out"), "source_column": "src"}
    return Recipe(name="units", sources=sources, allocate=allocate, publish=target, **parts)


@pytest.mark.parametrize(
    ("allocate", "parts", "says"),
    [
        ({"budget": {"amount": 9, "of": "n"}, "rows": 5}, {}, "write rows or budget, not both"),
        ({"budget": {"amount": -1, "of": "n"}}, {}, "greater than or equal to 0"),
        ({"budget": {"amount": 9, "of": {"per_unit": 4}}}, {}, "bytes or characters"),
        ({"budget": {"amount": 9, "of": {"bytes": "t", "per_unit": 0}}}, {}, "greater than 0"),
        (
            {
                "budget": {"amount": 9, "of": "n"},
                "balance": {"by": ["g"], "method": "clip", "floor": 5},
            },
            {},
            '"clip" counts in rows.* write one of data_constrained, equal',
        ),
        (
            {"budget": {"amount": 9, "of": "n"}, "balance": {**BALANCE, "min_rows": 5}},
            {},
            "min_rows counts rows",
        ),
        (
            {
                "budget": {"amount": 9, "of": "n"},
                "balance": {"by": ["g"], "method": "targets", "counts": {"a": 1}},
            },
            {},
            "write shares",
        ),
        (
            {"budget": {"amount": 9, "of": "n"}},
            {"sample": {"method": "random_noise", "features": ["x"]}},
            '"random_noise" makes .* by their number.* one of bootstrap, repeat, weight',
        ),
    ],
)
def test_what_cannot_be_met_in_units_is_refused(tmp_path, allocate, parts, says):
    with pytest.raises(ValidationError, match=says):
        asked("a/b", tmp_path, allocate, **parts)


@pytest.fixture(scope="module")
def path(spark, tmp_path_factory):
    path = str(tmp_path_factory.mktemp("units") / "s")
    spark.createDataFrame(ROWS, SCHEMA).write.format("delta").save(path)
    return path


def found(spark, recipe):
    """Each row's copies in the output."""
    rows = spark.read.format("delta").load(recipe.publish.table).collect()
    return Counter(row.id for row in rows)


def by_hand(spark, recipe, amounts, parts):
    """Copies of each row, by a sort of all of them in Python."""
    from lakebalance.frames import Frames
    from lakebalance.sample.thresholds import HASH

    frames = Frames(recipe, spark)
    hashed = frames.hashed(frames.all_rows, frames.outputs[0]).select("id", HASH).collect()
    order = sorted(hashed, key=lambda row: row[HASH])
    groups = defaultdict(list)
    for row in order:
        groups[ROWS[row.id][1]].append(row.id)
    copies, carried = Counter(), 0
    for language in (None, "de", "en"):
        ids, part = groups[language], parts[language]
        total = sum(amounts[i] for i in ids)
        base, rest = divmod(part, total)
        copies.update({i: base for i in ids if base})
        for i in ids if rest else ():
            if rest < amounts[i]:
                carried += rest
                if rest and carried >= amounts[i]:
                    copies[i] += 1
                    carried -= amounts[i]
                break
            rest -= amounts[i]
            copies[i] += 1
    return copies


@pytest.mark.parametrize(
    ("budget", "amounts", "size"),
    [
        ({"amount": 20_000, "of": "n_tokens"}, [row[2] for row in ROWS], 1),
        pytest.param(
            {"amount": 999.99, "of": "price"},
            [int(row[3] * 100) for row in ROWS],
            100,
            marks=pytest.mark.slow,
        ),
        pytest.param(
            {"amount": 900, "of": {"bytes": "text", "per_unit": 2}},
            [len(row[4].encode()) for row in ROWS],
            2,
            marks=pytest.mark.slow,
        ),
    ],
)
def test_the_rows_are_those_of_a_sort_by_hand(spark, path, tmp_path, budget, amounts, size):
    recipe = asked(path, tmp_path, {"budget": budget, "balance": BALANCE})
    plan, result = lb.plan(recipe, spark), lb.run(recipe, spark)
    steps = int(Decimal(str(budget["amount"])) * size)
    each, over = divmod(steps, 3)
    parts = {g: each + (i < over) for i, g in enumerate((None, "de", "en"))}
    assert {g.group["language"]: g.units.part for g in plan.groups} == parts
    copies = by_hand(spark, recipe, amounts, parts)
    assert found(spark, recipe) == copies
    assert max(copies.values()) > 1
    met = sum(amounts[i] * n for i, n in copies.items())
    assert 0 <= steps - met < max(amounts)
    assert result.plan.to_dict()["groups"] == plan.to_dict()["groups"]
    assert sum(g.units.planned for g in plan.groups) == met
    assert sum(p["found_units"] for p in result.published) == pytest.approx(met / size)
    if size == 1:  # once is enough: read again from the ledger
        assert lb.run(recipe, spark).plan.to_dict()["groups"] == plan.to_dict()["groups"]


@pytest.mark.slow
def test_sources_phases_split_pruning_and_another_order_of_rows(spark, path, tmp_path):
    moved = str(tmp_path / "moved")
    read = spark.read.format("delta").load(path)
    read.repartition(7, "n_tokens").write.format("delta").save(moved)
    made = {}
    for name, table in {"first": path, "second": moved}.items():
        sources = [
            {"name": s, "table": table, "key": ["id"], "where": f"id % 3 {sign} 0"}
            for s, sign in (("few", "="), ("more", "<>"))
        ]
        recipe = asked(
            table,
            tmp_path / name,
            {
                "mix": {"by": "source", "method": "temperature", "temperature": 2, "max_epochs": 2},
                "balance": {**BALANCE, "max_epochs": 3},
                "budget": {"amount": 9000, "of": "n_tokens"},
            },
            sources=sources,
            prune=[{"method": "exact", "columns": ["n_tokens", "price", "language", "text"]}],
            split={"shares": {"test": 0.1}},
            phases=[{"name": "cheap", "budget": {"amount": 100.5, "of": "price"}}],
        )
        result = lb.run(recipe, spark)
        assert 9000 - 97 < sum(p["found_units"] for p in result.published) <= 9000
        cheap, test = result.outputs
        assert 90.5 < round(sum(p["found_units"] for p in cheap["published"]), 2) <= 100.5
        assert "found_units" not in test["published"][0]
        titles = [d["title"] for d in result.plan.diagnostics]
        assert titles[-2:] == ["balanced: budget in n_tokens", "cheap: budget in price"]
        made[name] = found(spark, recipe)
    assert lb.plan(recipe, spark).to_dict()["outputs"] == result.plan.to_dict()["outputs"]
    fates = [f for f in lb.explain(recipe, spark, "id < 9") if f["fate"] in ("kept", "sampled out")]
    assert {f["units"]["unit"] for f in fates} == {"n_tokens"}
    assert all(f["copies"] == made["second"][f["row"]["id"]] for f in fates)
    assert made["first"] == made["second"]


@pytest.mark.slow
def test_phases_in_order_go_on_and_each_is_within_a_row_of_its_units(spark, path, tmp_path):
    """Over all phases no row is there more than once more often than another of its group."""
    allocate = {"balance": BALANCE, "budget": {"amount": 20_000, "of": "n_tokens"}}
    shares = {"de": 0.7, "en": 0.3}  # nothing of the rows of unknown language
    phases = [
        {"name": "two", "budget": {"amount": 11_111, "of": "n_tokens"},
         "balance": {"by": ["language"], "method": "targets", "shares": shares}},
        {"name": "last", "budget": {"amount": 900, "of": "n_tokens"}},
    ]  # fmt: skip
    recipe = asked(path, tmp_path, allocate, phases=phases, order={"rows_per_file": 300})
    plan, result = lb.plan(recipe, spark), lb.run(recipe, spark)
    rows = spark.read.format("delta").load(recipe.publish.table).orderBy("lb_position").collect()
    assert [row.lb_position for row in rows] == list(range(len(rows)))
    amounts, copies = [row[2] for row in ROWS], Counter()
    wanted = {"balanced": 20_000, "two": 11_111, "last": 900}
    for number, (name, budget) in enumerate(wanted.items(), start=1):
        own = [row.id for row in rows if row.lb_phase == number]
        assert 0 <= budget - sum(amounts[i] for i in own) < max(amounts)
        for group in plan.groups_of(name):
            found_units = sum(amounts[i] for i in own if ROWS[i][1] == group.group["language"])
            assert found_units == group.units.planned
            assert abs(found_units - group.units.part) < max(amounts)
        copies.update(own)
        for language in {row[1] for row in ROWS}:
            each = [copies[i] for i, other, *_ in ROWS if other == language]
            assert max(each) - min(each) <= 1
    assert not any(row.lb_phase == 2 and row.language is None for row in rows)
    assert result.plan.to_dict()["outputs"] == plan.to_dict()["outputs"]


@pytest.mark.slow
def test_rows_are_drawn_as_long_as_they_are_within_their_part(spark, path, tmp_path):
    """By hand: all arrivals of all rows in order, until the next is more than is left."""
    from lakebalance.frames import Frames
    from lakebalance.sample.arrivals import arrivals
    from lakebalance.sample.thresholds import HASH

    budget = {"amount": 30_000, "of": "n_tokens"}
    allocate = {"balance": BALANCE, "budget": budget}
    recipe = asked(path, tmp_path, allocate, sample={"method": "bootstrap"})
    result = lb.run(recipe, spark)
    frames = Frames(recipe, spark)
    hashed = frames.hashed(frames.all_rows, frames.outputs[0]).select("id", HASH).collect()
    copies, carried = Counter(), 0
    for group in result.plan.groups:
        ids = [row.id for row in hashed if ROWS[row.id][1] == group.group["language"]]
        hashes = np.array([row[HASH] for row in hashed if row.id in set(ids)])
        come = sorted(
            (moment, ids[i])
            for rows, moments in arrivals(hashes, np.full(len(ids), 50.0))
            for i, moment in zip(rows.tolist(), moments.tolist(), strict=True)
        )
        left = group.units.part
        for _, i in come:
            if ROWS[i][2] > left:
                carried += left
                if left and carried >= ROWS[i][2]:
                    copies[i] += 1
                    carried -= ROWS[i][2]
                break
            left -= ROWS[i][2]
            copies[i] += 1
    assert found(spark, recipe) == copies
    assert 0 <= 30_000 - sum(g.units.planned for g in result.plan.groups) < 97
    for fate in lb.explain(recipe, spark, "id < 30", limit=30):
        assert fate["copies"] == copies[fate["row"]["id"]]


@pytest.mark.slow
def test_weights_make_a_budget_in_units(spark, path, tmp_path):
    allocate = {"balance": BALANCE, "budget": {"amount": 20_000, "of": "n_tokens"}}
    recipe = asked(path, tmp_path, allocate, sample={"method": "weight"})
    result = lb.run(recipe, spark)
    rows = spark.read.format("delta").load(recipe.publish.table).collect()
    assert Counter(row.id for row in rows) == Counter(range(420))
    for group in result.plan.groups:
        own = [row for row in rows if row.language == group.group["language"]]
        assert sum(row.weight * row.n_tokens for row in own) == pytest.approx(group.units.part)
        assert {row.weight for row in own} == {group.weight}
    assert sum(group.units.part for group in result.plan.groups) == 20_000
    assert "their weights make it" in result.plan.diagnostics[-1]["note"]
    (fate,) = lb.explain(recipe, spark, "id = 5")
    assert fate["weight"] == next(row.weight for row in rows if row.id == 5)


def test_bad_amounts_are_refused_with_keys_and_what_to_write(spark, table, tmp_path):
    rows = [(1, 5.0, "a"), (2, -1.0, "b"), (3, float("nan"), "c"), (4, None, None), (5, 0.1, "d")]
    path = table("bad", rows, "id long, seconds double, text string")
    budget = {"amount": 3.1, "of": "seconds"}
    with pytest.raises(TableError, match=r"in 3 rows, such as those of id=\d; id=\d; id=\d; set"):
        lb.plan(asked(path, tmp_path, {"budget": budget}), spark)
    with pytest.raises(TableError, match=r"text is null in 1 rows, such as those of key [0-9a-f]+"):
        per_token = {"amount": 1, "of": {"characters": "text", "per_unit": 4}}
        lb.plan(asked(path, tmp_path, {"budget": per_token}, key=None), spark)
    with pytest.raises(RecipeError, match=r'allocate.budget.of: column "text" is string.*bytes'):
        lb.plan(asked(path, tmp_path, {"budget": {"amount": 1, "of": "text"}}), spark)
    set_aside = [
        {"expectation": "ExpectColumnValuesToNotBeNull", "args": {"column": "seconds"}},
        {
            "expectation": "ExpectColumnValuesToBeBetween",
            "args": {"column": "seconds", "min_value": 0, "max_value": 1e6},
        },
    ]
    good = asked(path, tmp_path, {"budget": budget}, expect={"expectations": set_aside})
    assert sum(g.units.planned for g in lb.plan(good, spark).groups) <= 3_100_000
    capped = {"by": ["text"], "method": "equal", "max_epochs": 2}
    allocate = {"budget": {"amount": 50, "of": "seconds"}, "balance": capped}
    with pytest.raises(InfeasibleBudget, match=r"50 seconds is more .* largest feasible is 10\.2"):
        where = [{"name": "s", "table": path, "key": ["id"], "where": "id IN (1, 5)"}]
        lb.plan(asked(path, tmp_path, allocate, sources=where), spark)


@pytest.mark.slow
def test_rows_with_equal_keys_and_rows_of_no_units(spark, table, tmp_path):
    rows = [(7, "a", 10)] * 9 + [(i, "b", 0) for i in range(5)]
    path = table("equal", rows, "id long, g string, n long")
    allocate = {
        "balance": {"by": ["g"], "method": "proportional"},
        "budget": {"amount": 45, "of": "n"},
    }
    recipe = asked(path, tmp_path, allocate, key=None)
    plan = lb.run(recipe, spark).plan
    assert [(g.target, g.units.planned) for g in plan.groups] == [(4, 40), (0, 0)]
    assert found(spark, recipe) == {7: 4}
    assert "1 groups have rows and no n" in plan.diagnostics[-1]["note"]
