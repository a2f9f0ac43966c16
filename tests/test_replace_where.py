"""Runs that replace the rows of a condition: batches beside each other, partitions anew."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import lakebalance as lb
from lakebalance.core.errors import RecipeError, TableError
from lakebalance.core.tables import Table, history, newest_version

SCHEMA = "id long, label string, user long, day string"
DAYS = ("mon", "tue")


def rows_of_day(day, start, n=60):
    return [(start + i, "ab"[i % 5 == 0], i % 20, day) for i in range(n)]


@pytest.fixture
def lake(spark, tmp_path):
    """A source with two days, and a recipe for each: half of what is there, both labels alike."""
    source, target = str(tmp_path / "s"), str(tmp_path / "out")
    rows = [*rows_of_day("mon", 0), *rows_of_day("tue", 1000)]
    spark.createDataFrame(rows, SCHEMA).write.format("delta").save(source)

    def of(day, publish=None, **parts):
        body = {
            "name": "batches",
            "seed": 1,
            "sources": [
                {"name": "s", "table": source, "key": ["id"], "where": f"day = '{day}'"},
            ],
            "allocate": {"balance": {"by": ["label"], "method": "equal"}, "rows": 20},
            "publish": {
                "table": target,
                "replace_where": f"day = '{day}'",
                **(publish or {}),
            },
        }
        return lb.Recipe.model_validate({**body, **parts})

    return source, target, of


def held(spark, target, day=None):
    rows = spark.read.format("delta").load(target)
    return Counter(
        tuple(r) for r in (rows if day is None else rows.where(f"day = '{day}'")).collect()
    )


@pytest.mark.parametrize(
    "publish",
    [
        pytest.param({}, marks=pytest.mark.slow),
        {"partition_by": ["day"]},
        pytest.param({"cluster_by": ["day"]}, marks=pytest.mark.slow),
    ],
)
def test_batches_lie_beside_each_other_each_once(spark, lake, publish):
    source, target, of = lake
    first, second = (lb.run(of(day, publish), spark) for day in DAYS)
    assert first.rows == second.rows == 20
    assert [p["found"] for p in second.published] == [10, 10]
    both = held(spark, target)
    assert both.total() == 40
    assert {row[3] for row in both} == set(DAYS)

    # Neither the newest nor the one before it does anything again.
    version = newest_version(spark, Table(target))
    for day, made in zip(DAYS, (first, second), strict=True):
        again = lb.run(of(day, publish), spark)
        assert again.repeated and again.version == made.version
        assert again.to_dict()["output"]["replace_where"] == f"day = '{day}'"
    assert newest_version(spark, Table(target)) == version

    # What has come to a day replaces that day's rows alone.
    more = rows_of_day("mon", 500)
    spark.createDataFrame(more, SCHEMA).write.format("delta").mode("append").save(source)
    result = lb.run(of("mon", publish), spark)
    assert not result.repeated and result.plan.run_id != first.plan.run_id
    now = held(spark, target)
    assert now.total() == 40 and held(spark, target, "tue") == held_then(both, "tue")
    assert held(spark, target, "mon") != held_then(both, "mon")
    if "partition_by" in publish:
        commit = history(spark, Table(target))[0]
        removed = int(commit["operationMetrics"]["numRemovedFiles"])
        files = spark.read.format("delta").option("versionAsOf", version).load(target)
        assert 0 < removed < len(files.inputFiles())


def held_then(rows, day):
    return Counter({row: n for row, n in rows.items() if row[3] == day})


def test_rows_that_a_later_run_would_not_replace_are_refused(spark, lake):
    source, target, of = lake
    everything = [{"name": "s", "table": source, "key": ["id"]}]
    with pytest.raises(TableError, match=r"rows that are not day = 'mon'.*the sources' where"):
        lb.run(of("mon", sources=everything), spark)
    assert held(spark, target).total() == 0
    lb.run(of("mon"), spark)
    before = held(spark, target)
    with pytest.raises(TableError, match=r"rows that are not day = 'tue'"):
        lb.run(of("tue", sources=everything), spark)
    assert held(spark, target) == before


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        ("dya = 'mon'", r"publish\.replace_where: .*dya"),
        ("day = ", r"publish\.replace_where: "),
        ("id", r"publish\.replace_where: "),
    ],
)
def test_a_condition_that_the_output_cannot_fulfil(spark, lake, condition, said):
    _, target, of = lake
    with pytest.raises(RecipeError, match=said):
        lb.plan(of("mon", {"replace_where": condition}), spark)
    assert newest_version(spark, Table(target)) is None


def test_a_condition_that_is_none_of_the_row_or_numbers_positions(lake):
    _, _, of = lake
    with pytest.raises(ValueError, match="not a function of the row"):
        of("mon", {"replace_where": "day = current_date()"})
    with pytest.raises(ValueError, match=r"leave out publish\.replace_where"):
        of("mon", order={})


@pytest.mark.slow
def test_rows_that_another_condition_took_are_made_again(spark, lake):
    _, target, of = lake
    lb.run(of("mon"), spark)
    monday = held(spark, target)
    lb.run(of("mon", {"replace_where": "id < 30"}, sources=of_ids(of, "id < 30")), spark)
    assert held(spark, target, "mon") != monday
    again = lb.run(of("mon"), spark)
    assert not again.repeated and held(spark, target) == monday


def of_ids(of, where):
    (source,) = of("mon").sources
    return [source.model_copy(update={"where": where}).model_dump(exclude_none=True)]


@pytest.mark.slow
def test_history_of_a_batch_is_its_own(spark, lake):
    _, target, of = lake
    first = lb.run(of("mon"), spark)
    monday = held(spark, target, "mon")
    tuesday = lb.run(of("tue"), spark)
    lb.run(of("mon", seed=2), spark)
    assert held(spark, target, "mon") != monday

    # explain is about the batch that the recipe names.
    found = lb.explain(of("tue"), spark, "id >= 1000", limit=60)
    chosen = {row["row"]["id"]: row["copies"] for row in found if row["copies"]}
    assert chosen == {row[0]: n for row, n in held(spark, target, "tue").items()}

    made = lb.diff(of("mon"), spark, first.plan.run_id, tuesday.plan.run_id)["outputs"]["balanced"]
    assert (made["before"], made["after"], made["same"]) == (20, 20, 0)
    # Without runs, the newest two of the batch are compared, not those of another.
    own = lb.diff(of("mon"), spark)["runs"]
    assert own[0]["run_id"] == first.plan.run_id and own[1]["run_id"] != tuesday.plan.run_id

    back = lb.rollback(of("mon"), spark, first.plan.run_id)
    assert len(back["undone"]) == 1  # not Tuesday's, though it came later
    assert held(spark, target, "mon") == monday
    assert held(spark, target, "tue").total() == 20
    assert lb.run(of("mon"), spark).repeated and lb.run(of("tue"), spark).repeated

    # What the live rows of each batch need stays, however few runs are kept.
    kept = lb.clean(of("mon"), spark, keep=1)["kept"]
    assert kept == sorted([first.plan.run_id, tuesday.plan.run_id])


@pytest.mark.slow
def test_rows_are_forgotten_in_every_batch(spark, lake):
    _, target, of = lake
    for day in DAYS:
        lb.run(of(day), spark)
    before = held(spark, target)
    assert {row[3] for row in before if row[2] == 5} == set(DAYS)
    proof = lb.forget(of("mon"), spark, where="user = 5", dry_run=False)
    assert proof["complete"]
    after = held(spark, target)
    assert not [row for row in after if row[2] == 5]
    # Each batch is filled up to its plan, and says so when it is run again.
    assert after.total() == 40 and {row[3] for row in after} == set(DAYS)
    for day in DAYS:
        assert lb.run(of(day), spark).repeated
    assert held(spark, target) == after


@pytest.mark.slow
def test_batches_that_a_run_of_all_has_replaced_are_no_more(spark, lake):
    source, target, of = lake
    lb.run(of("mon"), spark)
    everything = [{"name": "s", "table": source, "key": ["id"]}]
    lb.run(of("tue", {"replace_where": None}, sources=everything), spark)
    proof = lb.forget(of("mon"), spark, where="user = 5", dry_run=False)
    # The table is filled up to plan, which it would not be after a run that nothing is left of.
    assert proof["complete"] and len(proof["tables"]) == 1
    assert held(spark, target).total() == 20


@pytest.mark.slow
def test_each_day_has_a_source_of_its_own(spark, lake, tmp_path):
    _, target, of = lake
    for day, start in zip(DAYS, (0, 1000), strict=True):
        path = str(tmp_path / day)
        spark.createDataFrame(rows_of_day(day, start), SCHEMA).write.format("delta").save(path)
        lb.run(of(day, sources=[{"name": "s", "table": path, "key": ["id"]}]), spark)
    tuesday = of("tue", sources=[{"name": "s", "table": str(tmp_path / "tue"), "key": ["id"]}])
    assert lb.forget(tuesday, spark, where="user = 5", dry_run=False)["complete"]
    assert not [row for row in held(spark, target) if row[2] == 5]


@pytest.mark.slow
def test_a_schema_that_grows(spark, lake, tmp_path):
    source, target, of = lake
    lb.run(of("mon"), spark)
    wider = str(tmp_path / "wider")
    df = spark.read.format("delta").load(source).selectExpr("*", "user / 2 AS half")
    df.write.format("delta").save(wider)
    sources = [{"name": "s", "table": wider, "key": ["id"], "where": "day = 'tue'"}]
    with pytest.raises(TableError, match=r"publish\.merge_schema: true"):
        lb.run(of("tue", sources=sources), spark)
    lb.run(of("tue", {"merge_schema": True}, sources=sources), spark)
    rows = spark.read.format("delta").load(target)
    assert rows.where("day = 'mon' AND half IS NULL").count() == 20
    assert rows.where("day = 'tue' AND half IS NOT NULL").count() == 20
    assert lb.run(of("mon"), spark).repeated


@pytest.mark.slow
def test_batches_at_once_do_not_stand_in_each_others_way(spark, lake):
    _, target, of = lake
    days = [*DAYS, "wed", "thu"]
    rows = [row for i, day in enumerate(days) for row in rows_of_day(day, 1000 * i)]
    source = of("mon").sources[0].table
    spark.createDataFrame(rows, SCHEMA).write.format("delta").mode("overwrite").save(source)
    with ThreadPoolExecutor(len(days)) as pool:
        made = list(pool.map(lambda day: lb.run(of(day), spark), days))
    assert [result.rows for result in made] == [20] * len(days)
    found = held(spark, target)
    assert Counter(row[3] for row in found.elements()) == dict.fromkeys(days, 20)


@pytest.mark.slow
def test_a_ledger_that_is_older_than_conditions(spark, lake):
    _, target, of = lake
    first = lb.run(of("mon", {"replace_where": None}), spark)
    ledger = str(Path(target).parent / "_lakebalance" / "ledger")
    lines = spark.read.format("delta").load(ledger).drop("replace_where").toPandas()
    writer = spark.createDataFrame(lines).write.format("delta").mode("overwrite")
    writer.option("overwriteSchema", "true").save(ledger)
    assert "replace_where" not in spark.read.format("delta").load(ledger).columns
    assert lb.run(of("mon", {"replace_where": None}), spark).repeated
    second = lb.run(of("tue"), spark)
    lines = spark.read.format("delta").load(ledger).collect()
    found = {line["run_id"]: line["replace_where"] for line in lines}
    assert found == {first.plan.run_id: None, second.plan.run_id: "day = 'tue'"}
    assert lb.explain(of("tue"), spark, "id = 1000")
