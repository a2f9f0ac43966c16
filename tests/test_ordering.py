"""Ordered training runs: from recipe to table, its files, and into what reads them."""

import math
import re
from collections import Counter
from pathlib import Path

import pytest

import lakebalance as lb
from lakebalance.allocate.rounding import InfeasibleBudget
from lakebalance.core.errors import RecipeError, TableError
from lakebalance.frames import Frames
from lakebalance.recipe import Recipe
from lakebalance.recipe.order import Order
from lakebalance.sample.places import bounds_of

PAGE = (Path(__file__).parents[1] / "docs" / "ordering.md").read_text(encoding="utf-8")
# Nine of ten rows are of one label; scores have ties, nulls and NaN.
ROWS = [
    (i, "a" if i % 10 else "bc"[i % 50 == 0], float("nan") if i % 17 == 0 else (i * 79 % 101) / 10)
    for i in range(1200)
]
OTHERS = [(i, "a", None if i % 3 else 1.0) for i in range(2000, 2300)]
SCHEMA = "id long, label string, quality double"
SCORES = {"best": {"column": "quality"}}
PHASES = [{"name": "natural", "rows": 700}, {"name": "best", "rows": 400}]
BASE = {"name": "r", "sources": [{"name": "s", "table": "a/s"}], "publish": {"table": "a/out"}}


def asked(folder):
    """A recipe with three phases and files of about 200 rows."""
    order = {"rows_per_file": 200, "scores": SCORES}
    return Recipe(
        name="ordered",
        sources=[{"name": name, "table": str(folder / name), "key": ["id"]} for name in ("s", "t")],
        allocate={"balance": {"by": ["label"], "method": "equal"}, "rows": 900},
        phases=PHASES,
        order=order,
        publish={"table": str(folder / "out"), "source_column": "source"},
    )


@pytest.fixture(scope="module")
def published(spark, tmp_path_factory):
    """The recipe, its plan, its result, and the table's rows by position."""
    folder = tmp_path_factory.mktemp("ordering")
    for name, rows in (("s", ROWS), ("t", OTHERS)):
        df = spark.createDataFrame(rows, SCHEMA).repartition(3)
        df.write.format("delta").save(str(folder / name))
    recipe = asked(folder)
    plan, result = lb.plan(recipe, spark), lb.run(recipe, spark)
    return recipe, plan, result, in_order(spark, recipe)


def in_order(spark, recipe):
    return spark.read.format("delta").load(recipe.publish.table).orderBy("lb_position").collect()


def phase_of(rows, number):
    return [row for row in rows if row.lb_phase == number]


def test_positions_are_dense_and_run_through_the_phases(published):
    *_, rows = published
    assert [row.lb_position for row in rows] == list(range(2000))
    assert [row.lb_phase for row in rows] == [1] * 900 + [2] * 700 + [3] * 400


def test_each_phase_is_as_planned_and_so_is_every_prefix(published):
    _, plan, result, rows = published
    assert [o["version"] for o in result.outputs] == [result.version] * 2
    for number, name in enumerate(("balanced", "natural", "best"), start=1):
        own = phase_of(rows, number)
        groups = {(g.source, g.group["label"]): g.target for g in plan.groups_of(name)}
        assert Counter((r.source, r.label) for r in own) == groups
        bounds, seen = bounds_of(groups), Counter()
        for m, row in enumerate(own, start=1):
            seen[row.source, row.label] += 1
            for group, rows_of in groups.items():
                assert abs(seen[group] - m * rows_of / len(own)) <= bounds[group]


def test_epochs_are_even_over_all_phases_and_copies_stand_apart(published):
    *_, rows = published
    for label, source in (("a", "s"), ("b", "s"), ("c", "s"), ("a", "t")):
        given = ROWS if source == "s" else OTHERS
        copies = Counter(dict.fromkeys((r[0] for r in given if r[1] == label), 0))
        last = {}
        for i, row in enumerate(r for r in rows if (r.label, r.source) == (label, source)):
            if row.lb_phase < 3 and row.id in last:
                assert i - last[row.id] == len(copies)
            last[row.id] = i
            copies[row.id] += 1
        assert max(copies.values()) - min(copies.values()) <= 1


def test_a_score_orders_each_group_of_its_phase_nulls_last(published):
    *_, rows = published
    for label, source in (("a", "s"), ("b", "s"), ("a", "t")):
        own = [r.quality for r in phase_of(rows, 3) if (r.label, r.source) == (label, source)]
        scored = [q for q in own if q is not None and not math.isnan(q)]
        assert own[: len(scored)] == sorted(scored)


def test_explain_says_how_often_a_row_is_in_each_phase(spark, published):
    recipe, _, _, rows = published
    found = {p: Counter(r.id for r in phase_of(rows, p)) for p in (1, 2, 3)}
    for fate in lb.explain(recipe, spark, "id < 60", limit=60):
        i = fate["row"]["id"]
        each = [fate, *[fate["outputs"][name] for name in ("natural", "best")]]
        assert [one["copies"] for one in each] == [found[p][i] for p in (1, 2, 3)]
        for number, one in enumerate(each, start=1):
            own = [r.lb_position for r in phase_of(rows, number) if r.id == i]
            assert one["positions"] == own


def test_other_files_and_partitions_give_the_same_order(spark, published):
    recipe, *_, rows = published
    other = recipe.model_copy(
        update={
            "order": recipe.order.model_copy(update={"rows_per_file": 10**6, "max_epochs": 40.0}),
            "publish": recipe.publish.model_copy(update={"table": recipe.publish.table + "2"}),
        }
    )
    source = recipe.sources[0].table
    spark.read.format("delta").load(source).repartition(7).write.format("delta").mode(
        "overwrite"
    ).save(source)
    lb.run(other, spark)
    # As texts, as NaN differs from itself.
    assert list(map(repr, in_order(spark, other))) == list(map(repr, rows))
    assert lb.run(other, spark).repeated


def test_files_are_in_order_and_each_is_sorted(spark, published):
    recipe, *_, rows = published
    import pyarrow.parquet as pq

    files = lb.files_in_order(spark, recipe.publish.table)
    read = [pq.ParquetFile(f).read(["lb_position"])["lb_position"].to_pylist() for f in files]
    assert [p for own in read for p in own] == [row.lb_position for row in rows]
    # 900, 700 and 400 rows in files of about 200.
    assert len(read) == 10 and all(150 < len(own) < 250 for own in read)
    assert ["lb_phase=1" in f for f in files] == sorted(["lb_phase=1" in f for f in files])[::-1]
    with pytest.raises(TableError, match="there is no Delta table"):
        lb.files_in_order(spark, recipe.publish.table + "-none")
    with pytest.raises(RecipeError, match="lb_positoin"):
        lb.files_in_order(spark, recipe.publish.table, "lb_positoin")


@pytest.mark.parametrize(("scores", "shuffles"), [({}, 1), (SCORES, 2)], ids=["chance", "score"])
def test_rows_are_shuffled_once_and_once_more_by_a_score(
    spark, published, capsys, scores, shuffles
):
    recipe, plan, *_ = published
    order = Order.model_validate({"rows_per_file": 200, "scores": scores})
    frames = Frames(recipe.model_copy(update={"order": order}), spark)
    frames.sampled(frames.gate.passed(), plan, frames.outputs[0]).explain()
    shown = capsys.readouterr().out
    assert len(re.findall(r"(?<!Broadcast)Exchange ", shown)) == shuffles


def read_by(name, **given):
    """What the page's example for a library reads."""
    code = next(c for c in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL) if f"# {name}" in c)
    exec(compile(code, "docs/ordering.md", "exec"), given)
    return [int(row["lb_position"]) for row in given["rows"]]


def test_pyarrow_reads_it_as_the_page_says(spark, published):
    files = lb.files_in_order(spark, published[0].publish.table)
    assert read_by("pyarrow", files=files) == list(range(2000))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["torch", "datasets", "streaming"])
def test_trainers_read_it_as_the_page_says(spark, published, tmp_path, name):
    pytest.importorskip(name)
    files = lb.files_in_order(spark, published[0].publish.table)
    given = {"files": files, "workers": 0, "shards": str(tmp_path / "mds")}
    assert read_by(name, **given) == list(range(2000))


@pytest.mark.slow
def test_a_table_for_each_phase(spark, published, tmp_path):
    recipe = published[0]
    each = recipe.model_copy(
        update={
            "order": recipe.order.model_copy(update={"into": "each"}),
            "publish": recipe.publish.model_copy(update={"table": str(tmp_path / "each")}),
        }
    )
    lb.run(each, spark)
    for number, name in ((1, ""), (2, "_natural"), (3, "_best")):
        table = spark.read.format("delta").load(f"{tmp_path / 'each'}{name}")
        got = table.orderBy("lb_position").collect()
        wanted = phase_of(published[3], number)
        assert [(r.id, r.lb_position) for r in got] == [
            (r.id, r.lb_position - wanted[0].lb_position) for r in wanted
        ]
        assert "lb_phase" not in table.columns


def test_equal_rows_without_a_key_are_cut_exactly(spark, table, recipe):
    twins = recipe(
        table("twins", [("a",)] * 90 + [("b",)] * 30, "label string"),
        allocate={"balance": {"by": ["label"], "method": "equal"}, "rows": 80},
        phases=[{"name": "next", "rows": 64}],
        order={"rows_per_file": 16},
    )
    lb.run(twins, spark)
    rows = in_order(spark, twins)
    assert [row.lb_position for row in rows] == list(range(144))
    assert Counter((r.lb_phase, r.label) for r in rows) == {
        (1, "a"): 40, (1, "b"): 40, (2, "a"): 48, (2, "b"): 16,
    }  # fmt: skip


def test_epochs_of_all_phases_are_within_the_cap_or_the_group_is_named(spark, published):
    recipe, plan, *_ = published
    (shown,) = [d for d in plan.diagnostics if d["title"] == "The order of training"]
    said = [d["title"] for d in plan.diagnostics if "repeat or weigh" in d["title"]]
    assert said == ["repeat or weigh", "all phases: repeat or weigh"]
    assert [line[:3] for line in shown["rows"]][:2] == [
        ["balanced", "s", 900 - shown["rows"][1][2]], ["balanced", "t", shown["rows"][1][2]],
    ]  # fmt: skip
    less = recipe.model_copy(update={"order": recipe.order.model_copy(update={"max_epochs": 3.0})})
    with pytest.raises(InfeasibleBudget, match=r"rows of s/c, which has 24: .* where 3 allow 72"):
        lb.plan(less, spark)


@pytest.mark.parametrize(
    ("parts", "match"),
    [
        ({"order": {"scores": {"lst": {"column": "q"}}}}, r"order\.scores\.lst: no phase has"),
        ({"order": {}, "sample": {"method": "weight"}}, "order: sample.method weight has no order"),
        ({"order": {}, "publish": {"table": "a/o", "partition_by": ["c"]}}, "leave out publish"),
        ({"order": {}, "phases": [{"name": "n", "table": "a/n"}]}, "write into: each"),
        (
            {
                "order": {},
                "allocate": {"budget": {"amount": 9, "of": "q"}},
                "phases": [{"name": "p", "rows": 5}],
            },
            "all are budgets in one unit; there are q and rows",
        ),
        ({"order": {"phase": "lb_position"}}, "phase and position are two columns"),
        ({"order": {"max_epochs": 0}}, "greater than 0"),
        ({"order": {"into": "two"}}, "'one' or 'each'"),
    ],
)
def test_what_an_order_may_not_be(parts, match):
    with pytest.raises(ValueError, match=match):
        Recipe.model_validate(BASE | parts)


@pytest.mark.parametrize(
    ("order", "match"),
    [
        ({"position": "id"}, 'order.position: the sources have a column "id" already'),
        ({"scores": {"balanced": {"column": "label"}}}, "label.* is string; a score is"),
        ({"scores": {"balanced": {"column": "quallity"}}}, "order.scores.balanced.column"),
    ],
)
def test_columns_that_an_order_cannot_use(spark, published, order, match):
    recipe = published[0].model_copy(update={"order": Recipe.model_validate(
        BASE | {"order": order}).order})  # fmt: skip
    with pytest.raises(RecipeError, match=match):
        lb.plan(recipe, spark)
