"""Requests to forget that are killed, widened, tied over batches, or go down to the files."""

from collections import Counter

import pytest

import lakebalance as lb
from lakebalance.core.errors import TableError
from tests.erasure.lakes import ROWS, SCHEMA, Lake, files_with, same_text_as

pytestmark = pytest.mark.slow


class Killed(BaseException):
    """What stops a process between two stages."""


def killing(before):
    def show(stage):
        if stage.startswith(before):
            raise Killed(stage)

    return show


def never(spark, folder, gone):
    lake = Lake(spark, folder, [row for row in ROWS if row[0] not in gone])
    lake.run()
    return lake


def test_bytes_are_gone_with_sources_and_vacuum_wherever_it_was_killed(spark, tmp_path):
    lake = Lake(spark, tmp_path / "lake", ROWS)
    lake.run()
    text = min(row[1] for row in lake.rows("small"))
    secret = repr(text)
    assert {file.parent.name for file in files_with(lake.folder, secret)} >= {"s", "out", "small"}
    ask = {"where": f"text = {secret}", "sources": True, "vacuum_hours": 0, "dry_run": False}
    for stage in (
        f"erasing in {lake.path('s')}",
        f"making {lake.path('out')} again: publish",
        f"making {lake.path('small')} again: read",
        "looking for the rows again",
    ):
        with pytest.raises(Killed):
            lb.forget(lake.first, spark, **ask, progress=killing(stage))
    done = lb.forget(lake.first, spark, **ask)
    assert done["complete"] and {line["files"] for line in done["old_files"]} == {0}
    assert {line["after"]["marked"] for line in [*done["sources"], *done["tables"]]} == {0}
    assert files_with(lake.folder, secret) == []
    clean = never(spark, tmp_path / "never", {row[0] for row in ROWS if row[1] == text})
    assert lake.outputs == clean.outputs


def test_the_best_copy_takes_the_place_of_a_forgotten_row_where_ties_are_promoted(spark, tmp_path):
    lake = Lake(spark, tmp_path / "lake", ROWS)
    lake.run()
    gone = {row[0] for row in ROWS if row[4] == 3}
    done = lb.forget(lake.first, spark, where="user = 3", ties="promote", dry_run=False)
    assert done["rows"] == {"asked": len(gone)}
    assert lake.outputs == never(spark, tmp_path / "never", gone).outputs


def test_a_list_is_widened_by_what_its_rows_share(spark, tmp_path):
    lake = Lake(spark, tmp_path / "lake", ROWS)
    lake.run()
    # Half of the rows of user 5, one of user 6; no text of the list is a number.
    listed = [*[row[0] for row in ROWS if row[4] == 5][:5], 6]
    keys = tmp_path / "keys.csv"
    keys.write_text("id\n" + "".join(f"{i}\n" for i in listed) + "not a number\n")
    ask = {"keys": str(keys), "suspect": ["user"], "suspect_share": 0.5, "ties": "promote"}
    shown = lb.forget(lake.first, spark, **ask)
    assert shown["suspects"] == [
        {"source": "s", "values": {"user": 5}, "listed": 5, "rows": 10, "meant": True},
        {"source": "s", "values": {"user": 6}, "listed": 1, "rows": 10, "meant": False},
    ]
    assert shown["rows"] == {"asked": 6, "suspect": 5}
    lb.forget(lake.first, spark, **ask, dry_run=False)
    gone = {row[0] for row in ROWS if row[4] == 5} | {6}
    assert lake.outputs == never(spark, tmp_path / "never", gone).outputs


def test_a_run_that_read_the_rows_before_publishes_nothing(spark, tmp_path):
    lake = Lake(spark, tmp_path / "lake", ROWS)
    lake.run()
    before = lake.outputs
    other = lake.first.model_copy(update={"seed": 2})

    def asking(stage):
        if stage == "publish":
            with pytest.raises(Killed):
                lb.forget(
                    lake.first, spark, where="user = 3", dry_run=False,
                    progress=killing("erasing beside"),
                )  # fmt: skip

    with pytest.raises(TableError, match="were forgotten during this run"):
        lb.run(other, spark, asking)
    assert lake.outputs == before
    gone = {row[0] for row in same_text_as(ROWS, lambda row: row[4] == 3)}
    lb.run(other, spark)
    assert not {row[0] for row in lake.rows("out")} & gone


def test_duplicates_in_other_batches_are_tied_by_the_index(spark, tmp_path):
    def batch(folder, number, days, rows):
        path = str(tmp_path / folder / f"s{number}")
        spark.createDataFrame(rows, SCHEMA).write.format("delta").save(path)
        return Lake.recipe(
            name=f"batch{number}",
            sources=[{"name": "s", "table": path, "key": ["id"]}],
            prune=[{"method": "exact", "columns": ["text"], "index": "all"}],
            publish={"table": str(tmp_path / folder / f"out{number}")},
        )

    def ids(folder, number):
        path = str(tmp_path / folder / f"out{number}")
        return sorted(row["id"] for row in spark.read.format("delta").load(path).collect())

    new = [(i, f"late {i % 40}", *rest) for i, _, *rest in ROWS[200:300]]
    early, late = ROWS[:200], [*new, (999, "text 30", "a", 1.0, 99)]
    recipes = [batch("lake", n, n, rows) for n, rows in ((1, early), (2, late))]
    for recipe in recipes:
        lb.run(recipe, spark)
    assert len({30, 180} & set(ids("lake", 1))) == 1 and 999 not in ids("lake", 2)
    done = lb.forget(recipes[0], spark, where="id = 30", dry_run=False)
    # Text 30 is in 30 and 180 of the first batch, and in 999 of the second.
    assert done["rows"] == {"asked": 1, "tied": 2} and done["complete"]
    index = spark.read.format("delta").load(str(tmp_path / "lake" / "_lakebalance" / "index-all"))
    kept = {n: ids("lake", n) for n in (1, 2)}
    assert index.count() >= len(kept[1]) + len(kept[2])
    for n, rows in ((1, early), (2, late)):
        lb.run(batch("never", n, n, [r for r in rows if r[0] not in (30, 180, 999)]), spark)
        assert kept[n] == ids("never", n)


def test_synthetic_rows_and_weights_are_made_again_without_their_parents(spark, tmp_path):
    def lake(folder, rows):
        path = str(tmp_path / folder / "s")
        spark.createDataFrame(rows, SCHEMA).write.format("delta").save(path)
        return Lake.recipe(
            name="made",
            sources=[{"name": "s", "table": path, "key": ["id"]}],
            allocate={"balance": {"by": ["label"], "method": "to_max"}},
            sample={"method": "smote", "features": ["x", "user"]},
            publish={"table": str(tmp_path / folder / "out"), "source_column": "from"},
        )

    recipe = lake("lake", ROWS)
    lb.run(recipe, spark)
    done = lb.forget(recipe, spark, where="user % 4 = 0", dry_run=False)
    clean = lake("never", [row for row in ROWS if row[4] % 4])
    lb.run(clean, spark)
    made, expected = (
        sorted(map(repr, spark.read.format("delta").load(r.publish.table).collect()))
        for r in (recipe, clean)
    )
    assert made == expected and done["complete"]


def test_tables_that_others_wrote_since_lose_the_rows_and_nothing_else(spark, tmp_path):
    lake = Lake(spark, tmp_path / "lake", ROWS)
    lake.run()
    small = spark.read.format("delta").load(lake.path("small")).limit(20)
    small.write.format("delta").mode("append").save(lake.path("small"))
    before = lake.rows("small")
    gone = {row[0] for row in same_text_as(ROWS, lambda row: row[4] == 7)}
    done = lb.forget(lake.first, spark, where="user = 7", dry_run=False)
    left = {row: n for row, n in before.items() if row[0] not in gone}
    assert lake.rows("small") == left and sum(left.values()) < before.total()
    assert "was written by others since" in done["notes"][0] and done["complete"]


def test_models_that_saw_the_rows_are_named(spark, tmp_path):
    lake = Lake(spark, tmp_path / "lake", ROWS)
    lake.run()
    one = min(row[0] for row in lake.rows("small"))
    held = [sum(n for r, n in lake.rows(name).items() if r[0] == one) for name in ("out", "small")]
    assert all(held)
    models = str(tmp_path / "models")
    lines = [
        ("one", lake.path("out"), 0),
        ("two", lake.path("small"), 0),
        ("three", lake.path("s"), 0),
        ("old", lake.path("out"), 99),
        ("far", str(tmp_path / "nowhere"), 0),
    ]
    schema = "model string, table string, version long"
    spark.createDataFrame(lines, schema).write.format("delta").save(models)
    shown = lb.forget(lake.first, spark, where=f"id = {one}", ties="promote", models=models)
    assert {(m["model"], m["rows"]) for m in shown["models"]} == {
        ("one", held[0]), ("two", held[1]), ("three", 1), ("old", None), ("far", None),
    }  # fmt: skip


@pytest.mark.parametrize("key", [["id"], None])
def test_a_version_that_a_run_read_is_gone(spark, recipe, tmp_path, key):
    path, target = str(tmp_path / "s"), str(tmp_path / "out")

    def write(rows):
        df = spark.createDataFrame(rows, "id long, label string, user long")
        df.write.format("delta").mode("overwrite").save(path)

    rows = [(i, "ab"[i % 5 == 0], i % 20) for i in range(60)]
    write(rows)
    source = {"name": "s", "table": path, **({"key": key} if key else {})}
    rule = {"balance": {"by": ["label"], "method": "equal"}, "rows": 24}
    asked = recipe(source, allocate=rule)
    lb.run(asked, spark)
    before = Counter(tuple(row) for row in spark.read.format("delta").load(target).collect())
    held = [row for row in before if row[2] == 5]
    assert held
    # One of them has gone from the source since; another one lies in it still.
    write([row for row in rows if row[2] != 5 or row[0] not in {held[0][0], 25}])
    spark.sql(f"VACUUM delta.`{path}` RETAIN 0 HOURS")
    shown = lb.forget(asked, spark, where="user = 5")
    assert shown["tables"][0]["marked"] == sum(before[row] for row in held)
    done = lb.forget(asked, spark, where="user = 5", dry_run=False)
    assert done["complete"] and "of s that it read is not there any more" in done["notes"][0]
    after = Counter(tuple(row) for row in spark.read.format("delta").load(target).collect())
    assert after == Counter({row: n for row, n in before.items() if row not in held})


def test_new_rows_of_a_version_that_is_gone_are_refused(spark, recipe, tmp_path):
    path = str(tmp_path / "s")
    for n in (60, 70):
        rows = [(i, "ab"[i % 5 == 0], float(i)) for i in range(n)]
        df = spark.createDataFrame(rows, "id long, label string, x double")
        df.write.format("delta").mode("overwrite").save(path)
        if n == 60:
            asked = recipe(
                {"name": "s", "table": path, "key": ["id"]},
                allocate={"balance": {"by": ["label"], "method": "to_max"}},
                sample={"method": "smote", "features": ["x"]},
            )
            lb.run(asked, spark)
    spark.sql(f"VACUUM delta.`{path}` RETAIN 0 HOURS")
    with pytest.raises(TableError, match=r"made new rows of those of s.* run its recipe again"):
        lb.forget(asked, spark, where="id = 5", dry_run=False)


def test_batches_that_can_be_made_again_are_filled_up_beside_one_that_is_gone(
    spark, recipe, tmp_path
):
    schema = "id long, label string, user long, day string"
    target = str(tmp_path / "out")
    made = {}
    for i, day in enumerate(("mon", "tue")):
        path = str(tmp_path / day)
        for n in (60, 70) if day == "mon" else (60,):
            rows = [(100 * i + k, "ab"[k % 5 == 0], k % 20, day) for k in range(n)]
            spark.createDataFrame(rows, schema).write.format("delta").mode("overwrite").save(path)
            if n == 60:
                made[day] = recipe(
                    {"name": "s", "table": path, "key": ["id"]},
                    allocate={"balance": {"by": ["label"], "method": "equal"}, "rows": 24},
                    publish={"table": target, "replace_where": f"day = '{day}'"},
                )
                lb.run(made[day], spark)
    spark.sql(f"VACUUM delta.`{tmp_path / 'mon'}` RETAIN 0 HOURS")
    rows = spark.read.format("delta").load(target)
    held = {r["day"]: r["count"] for r in rows.where("user = 5").groupBy("day").count().collect()}
    assert set(held) == {"mon", "tue"}
    done = lb.forget(made["tue"], spark, where="user = 5", dry_run=False)
    assert done["complete"]
    rows = spark.read.format("delta").load(target)
    counts = {r["day"]: r["count"] for r in rows.groupBy("day").count().collect()}
    assert rows.where("user = 5").isEmpty()
    assert counts == {"mon": 24 - held["mon"], "tue": 24}


def test_what_nobody_can_follow_is_not_said_to_be_complete(spark, recipe, tmp_path):
    path, schema = str(tmp_path / "s"), "id long, label string, user long"
    rows = [(i, "ab"[i % 5 == 0], i % 20) for i in range(60)]
    spark.createDataFrame(rows, schema).write.format("delta").save(path)
    rule = {"balance": {"by": ["label"], "method": "equal"}, "rows": 24}
    first = recipe({"name": "s", "table": path, "key": ["id"]}, allocate=rule)
    lb.run(first, spark)
    target = str(tmp_path / "out")
    second = recipe(
        {"name": "t", "table": target},
        name="second",
        allocate={"balance": {"by": ["label"], "method": "equal"}},
        publish={"table": str(tmp_path / "small")},
    )
    lb.run(second, spark)
    lb.run(first.model_copy(update={"seed": 2}), spark)
    spark.sql(f"VACUUM delta.`{target}` RETAIN 0 HOURS")
    done = lb.forget(first, spark, where="user = 5", dry_run=False)
    assert not done["complete"]
    assert any("read a version of t that is not there any more" in note for note in done["notes"])
