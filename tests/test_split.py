"""A split before balance: no held-out row is trained on, and only the training part is balanced."""

import datetime as dt
from decimal import Decimal

import pytest

import lakebalance as lb
from lakebalance import planning
from lakebalance.core.counts import GroupCount
from lakebalance.core.errors import AuditError, RecipeError, TableError
from lakebalance.core.split import PART, part_of
from lakebalance.frames import Frames
from lakebalance.recipe.load import loads
from lakebalance.recipe.models import Recipe, Split

ROWS = [(i, f"p{i % 40}", "a" if i % 10 else "b", i * 1.5) for i in range(400)]
SCHEMA = "id long, person string, label string, `the x.y` double"
BALANCE = {"balance": {"by": ["label"], "method": "equal"}, "rows": 300}
SHARES = {"shares": {"validation": 0.2, "test": 0.1}}


@pytest.fixture(scope="module")
def made(spark):
    """The rows of an output's table, sorted."""

    def rows(recipe, name=None):
        path = recipe.publish.table + (f"_{name}" if name else "")
        return sorted(tuple(r) for r in spark.read.format("delta").load(path).collect())

    return rows


@pytest.fixture(scope="module")
def published(spark, tmp_path_factory):
    """A recipe that holds two parts out, with its plan and its result."""
    folder = tmp_path_factory.mktemp("split")
    writer = spark.createDataFrame(ROWS, SCHEMA).write.format("delta")
    writer.option("delta.columnMapping.mode", "name").save(str(folder / "s"))
    source = {"name": "s", "table": str(folder / "s"), "key": ["id"]}
    asked = Recipe(
        name="published",
        sources=[source],
        split=SHARES,
        allocate=BALANCE,
        publish={"table": str(folder / "out")},
    )
    return asked, lb.plan(asked, spark), lb.run(asked, spark)


def ids(rows):
    return {row[0] for row in rows}


def test_parts_share_no_row_and_only_training_is_balanced(published, made):
    asked, plan, result = published
    assert result.plan.to_dict()["outputs"] == plan.to_dict()["outputs"]
    trained, validation, test = made(asked), made(asked, "validation"), made(asked, "test")
    assert len(trained) == 300 and sum(r[2] == "b" for r in trained) == 150
    held = ids(validation) | ids(test)
    assert not ids(trained) & held and not ids(validation) & ids(test)
    # The rare class is repeated, so that each of its rows that is not held out is there.
    assert {i for i in ids(trained) | held if i % 10 == 0} == set(range(0, 400, 10))
    assert len(ids(validation)) == len(validation) and len(ids(test)) == len(test)
    # 400 rows, shares .2 and .1: four standard deviations are 32 and 24 rows.
    assert abs(len(validation) - 80) < 32 and abs(len(test) - 40) < 24
    planned = {o.name: o.rows for o in plan.outputs}
    assert planned == {"validation": len(validation), "test": len(test)}
    for output, rows in zip(result.outputs, (validation, test), strict=True):
        assert [p["planned"] for p in output["published"]] == [
            sum(r[2] == p["group"]["label"] for r in rows) for p in output["published"]
        ]


def test_a_row_keeps_its_part_when_rows_come_and_when_the_sampling_seed_changes(
    spark, table, recipe
):
    def parts(rows, split=SHARES, seed=1, partitions=2):
        source = {"name": "s", "table": table("s", rows, SCHEMA, partitions), "key": ["id"]}
        frames = Frames(recipe(source, split=split, seed=seed), spark)
        found = frames.grouped(frames.all_rows).select("id", PART).collect()
        return {row.id: row[PART] for row in found}

    many = parts(ROWS, seed=99, partitions=7)
    assert parts(ROWS[:300]) == {i: part for i, part in many.items() if i < 300}
    assert parts(ROWS, {**SHARES, "seed": 1}) != many


@pytest.mark.slow
def test_rows_of_one_value_are_on_one_side_in_all_sources(spark, table, recipe, made):
    more = [(i + 1000, f"p{i % 40}", "a", float("nan")) for i in range(80)] + [
        (5000, None, "a", 0.0)
    ]
    sources = [
        {"name": "s", "table": table("s", ROWS, SCHEMA), "key": ["id"]},
        {"name": "t", "table": table("t", more, SCHEMA), "key": ["id"]},
    ]
    asked = recipe(*sources, split={"shares": {"test": 0.3}, "by": ["person"]}, allocate=BALANCE)
    lb.run(asked, spark)
    people = [{row[1] for row in rows} for rows in (made(asked), made(asked, "test"))]
    assert not people[0] & people[1]
    assert 4 < len(people[1]) < 22


@pytest.mark.parametrize(
    ("kind", "value_of", "start"),
    [
        ("timestamp", lambda i: dt.datetime(2013, 1, 1) + dt.timedelta(days=i), "2013-07-20"),
        ("date", lambda i: dt.date(2013, 1, 1) + dt.timedelta(days=i), "2013-07-20"),
        ("date", lambda i: dt.date(2013, 1, 1) + dt.timedelta(days=i), dt.date(2013, 7, 20)),
        ("decimal(9,2)", Decimal, 200),
    ],
)
def test_nothing_late_is_trained_on(spark, recipe, kind, value_of, start):
    rows = [(i, value_of(i)) for i in range(400)]
    df = spark.createDataFrame(rows, f"id long, `when it was` {kind}")
    spec = Split(time="when it was", starts={"test": start})
    parts = df.select("id", part_of(df, spec).alias("part")).collect()
    assert {r.id for r in parts if r.part == "test"} == set(range(200, 400))
    assert {r.id for r in parts if r.part == "train"} == set(range(200))


def test_rows_without_a_time_are_an_error(spark, table, recipe):
    path = table("s", [(1, 2.0), (2, None), (3, float("nan"))], "id long, t double")
    asked = recipe(path, split={"time": "t", "starts": {"test": 2}})
    with pytest.raises(RecipeError, match=r"split\.time: 2 rows have no time"):
        lb.plan(asked, spark)
    asked = recipe({"name": "s", "table": path, "where": "t < 1e9"}, split=asked.split)
    with pytest.raises(TableError, match='split left no rows in "train"'):
        lb.plan(asked, spark)


@pytest.mark.parametrize(
    ("split", "match"),
    [
        ({"shares": {"test": 1.0}}, "split.shares: each share must be above 0"),
        ({"shares": {"train": 0.5}}, "'train' is what is left for training"),
        ({"by": ["label"]}, "split: write shares, or time and starts"),
        ({"time": "id"}, "write shares, or time and starts"),
        ({"starts": {"test": 3}}, "by goes with shares, time with starts"),
        ({"shares": {"test": 0.1}, "tables": {"tset": "x"}}, "'tset', which is no part"),
        ({"shares": {"test": 0.1}, "tables": {"test": "a/out"}}, "two outputs have the table"),
        ({"share": {"test": 0.1}}, "split.share: unknown field"),
        ({"done": False}, "write shares, or time and starts, or done: true"),
    ],
)
def test_what_a_split_may_not_be(split, match):
    recipe = {"name": "r", "sources": [{"name": "s", "table": "a/s"}], "split": split}
    with pytest.raises(RecipeError, match=match):
        loads(str(recipe | {"publish": {"table": "a/out"}}))


@pytest.mark.parametrize(
    ("split", "match"),
    [
        ({"shares": {"test": 0.1}, "by": ["persn"]}, 'split.by: no column "persn".*person'),
        ({"time": "label", "starts": {"test": 1}}, 'split.time: column "label" is string'),
        ({"time": "id", "starts": {"test": "soon"}}, "split.starts: 'soon' is not a number"),
        ({"time": "id", "starts": {"v": 9, "test": 9}}, "split.starts: .* do not rise"),
    ],
)
def test_what_does_not_fit_the_columns(spark, table, recipe, split, match):
    with pytest.raises(RecipeError, match=match):
        lb.plan(recipe(table("s", ROWS, SCHEMA), split=split), spark)


def test_what_is_warned_of(spark, table, recipe):
    source = {
        "name": "s",
        "table": table("s", [*ROWS, (401, "p", "c", 1.0)], SCHEMA),
        "key": ["id"],
    }

    def codes(**parts):
        return [w["code"] for w in lb.plan(recipe(source, **parts), spark).warnings]

    up = {"balance": {"by": ["label"], "method": "to_max"}}
    assert codes(allocate=up) == ["copies_without_split"]
    assert codes(allocate=up, sample={"method": "weight"}) == []
    assert codes(allocate=up, split={"done": True}) == []
    prune = [{"method": "exact", "columns": ["id"]}]
    assert codes(allocate=up, split=SHARES, prune=prune).count("group_not_in_part") == 2
    assert "split_without_prune" in codes(allocate=up, split=SHARES)
    cleaning = [{"method": "tomek", "by": ["label"], "features": ["id"]}]
    assert "split_without_prune" in codes(split=SHARES, prune=cleaning)
    assert "split_without_prune" not in codes(split={**SHARES, "by": ["person"]})


def test_a_held_out_row_has_its_fate(spark, published, made):
    asked, *_ = published
    first = min(ids(made(asked, "test")))
    [fate] = lb.explain(asked, spark, f"id = {first}")
    assert (fate["fate"], fate["part"], fate["copies"]) == ("held out", "test", 1)
    assert fate["table"].endswith("out_test") and "outputs" not in fate
    trained = made(asked)
    [fate] = lb.explain(asked, spark, f"id = {trained[0][0]}")
    assert (fate["fate"], fate["copies"]) == ("kept", trained.count(trained[0]))


@pytest.mark.slow
def test_children_have_parents_in_training_only(spark, table, recipe, by_key):
    rows = [(i, "a" if i % 5 else "b", float(i % 37)) for i in range(500)]
    path = table("s", rows, "id long, label string, x double")
    asked = recipe(
        {"name": "s", "table": path, "key": ["id"]},
        split={"shares": {"test": 0.5}},
        allocate={"balance": {"by": ["label"], "method": "to_max"}},
        sample={"method": "borderline_smote", "features": ["x"]},
    )
    lb.run(asked, spark)
    out = spark.read.format("delta").load(asked.publish.table)
    parents = {p for r in out.where("lb_parents IS NOT NULL").collect() for p in r.lb_parents}
    held = {r.id for r in spark.read.format("delta").load(asked.publish.table + "_test").collect()}
    assert parents and not {by_key(path)[parent].id for parent in parents} & held


@pytest.mark.slow
def test_no_table_stays_where_one_cannot_be_written(spark, table, recipe, monkeypatch, made):
    source = {"name": "s", "table": table("s", ROWS, SCHEMA), "key": ["id"]}
    asked = recipe(source, split=SHARES, allocate=BALANCE)
    from lakebalance import publishing

    real = publishing.count_rows

    def other(frames, plan, output, *rest):
        found = real(frames, plan, output, *rest)
        if output.name == "balanced":
            found[0]["found"] += 1
        return found

    monkeypatch.setattr(publishing, "count_rows", other)
    with pytest.raises(AuditError, match=r"out was emptied; .*test was emptied"):
        lb.run(asked, spark)
    assert made(asked) == made(asked, "test") == made(asked, "validation") == []
    monkeypatch.undo()
    assert lb.run(asked, spark).rows == 300 and made(asked, "test")


@pytest.mark.slow
def test_a_finished_run_does_nothing_and_makes_up_for_what_was_lost(spark, published, made):
    asked, _, done = published
    again = lb.run(asked, spark)
    assert again.repeated and again.to_dict()["outputs"] == done.to_dict()["outputs"]
    before, test = made(asked), made(asked, "test")
    spark.sql(f"DELETE FROM delta.`{asked.publish.table}_test` WHERE id % 2 = 0")
    third = lb.run(asked, spark)
    assert third.version == done.version and made(asked) == before
    assert made(asked, "test") == test and third.outputs[1]["version"] == 2


def test_what_left_no_rows_for_training_is_named():
    def message(rows, left):
        with pytest.raises(TableError) as error:
            planning._has_rows([GroupCount(1, "s", {"label": "a"}, rows, left)])
        return str(error.value)

    assert message(1200, 0) == (
        'gates and pruning left none of the 1,200 rows in "train"; see expect and prune'
    )
    assert message(0, 0).startswith('the split left no rows in "train"')
    planning._has_rows([GroupCount(1, "s", {"label": "a"}, 1200, 1)])
