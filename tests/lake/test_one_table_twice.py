"""Tables that are not what a plan took them for: one by two names, shared, or changed since."""

from collections import Counter

import pytest

from drops import multiset, planned, rows
from lakebalance import lake
from lakebalance.core.tables import Table, detail
from lakebalance.lake.removals import removals_of
from written import write


def all_of(table):
    return Counter(zip(*table.to_pydict().values(), strict=True))


@pytest.mark.slow
def test_a_table_by_two_names_keeps_its_rows(spark, tmp_path, monkeypatch):
    write(tmp_path / "t", rows())
    (tmp_path / "link").symlink_to(tmp_path / "t")
    state = str(tmp_path / "s")
    plan = planned(spark, state, [(tmp_path / "link", tmp_path / "t")])
    [outcome] = lake.apply(spark, state, plan, confirm=plan, delete=True).outcomes
    assert outcome.action == "skip" and outcome.why.endswith("are one table")
    # As by names of which nobody can see that they are of one table.
    monkeypatch.setattr("lakebalance.lake.applying.one_path", lambda path: path)
    [outcome] = lake.apply(spark, state, plan, confirm=plan, delete=True).outcomes
    assert "are one table; it was taken back to version 0" in outcome.why
    assert multiset(spark, tmp_path / "t") == all_of(rows())
    assert {r.event for r in removals_of(spark, state)} == {"withdrawn"}


@pytest.mark.slow
def test_files_stay_where_the_parents_newest_version_has_not_the_rows(spark, tmp_path):
    for name in ("base", "copy"):
        write(tmp_path / name, rows())
    state, copy = str(tmp_path / "s"), tmp_path / "copy"
    plan = planned(spark, state, [(copy, tmp_path / "base")])
    assert not lake.apply(spark, state, plan, confirm=plan).skipped
    spark.sql(f"DELETE FROM delta.`{tmp_path}/base` WHERE id < 5")
    [outcome] = lake.apply(spark, state, plan, confirm=plan, delete=True).outcomes
    assert outcome.action == "skip" and "its files stay" in outcome.why
    assert list(copy.glob("*.parquet"))
    [back] = lake.restore(spark, state, plan=plan)
    assert back.how == "version" and multiset(spark, copy) == all_of(rows())


@pytest.mark.slow
def test_what_came_to_an_archived_table_since_is_there_when_it_is_restored(spark, tmp_path):
    for name in ("base", "copy"):
        write(tmp_path / name, rows())
    state, copy = str(tmp_path / "s"), str(tmp_path / "copy")
    plan = planned(spark, state, [(copy, tmp_path / "base")])
    assert not lake.apply(spark, state, plan, confirm=plan).skipped
    spark.sql(f"ALTER TABLE delta.`{copy}` ADD COLUMN extra INT")
    [back] = lake.restore(spark, state, plan=plan)
    df = spark.read.format("delta").load(copy)
    assert back.how == "version" and df.columns == ["id", "text", "extra"]
    assert multiset(spark, copy) == Counter({(*row, None): n for row, n in all_of(rows()).items()})


@pytest.mark.slow
def test_a_deleted_table_keeps_files_again_and_one_that_a_clone_needs_is_not_deleted(
    spark, tmp_path
):
    top = tmp_path / "lake"
    for name in ("base", "copy", "lent"):
        spark.createDataFrame(rows()).coalesce(1).write.format("delta").save(str(top / name))
    state = str(tmp_path / "s")
    lake.scan(spark, [str(top)], state)
    pairs = [(str(top / name), str(top / "base")) for name in ("copy", "lent")]
    plan = planned(spark, state, pairs)
    spark.sql(f"CREATE TABLE delta.`{top}/clone` SHALLOW CLONE delta.`{top}/lent`")
    lake.scan(spark, [str(top)], state)
    done = lake.apply(spark, state, plan, confirm=plan, delete=True)
    assert [(o.table, o.why) for o in done.skipped] == [
        (
            str(top / "lent"),
            f"{top}/lent has files that another table, such as a shallow clone, reads, as the "
            "newest scan says",
        )
    ]
    assert spark.read.format("delta").load(str(top / "clone")).count() == 40
    properties = detail(spark, Table(str(top / "copy")))["properties"]
    assert "delta.deletedFileRetentionDuration" not in properties
    assert not list((top / "copy").glob("*.parquet"))
