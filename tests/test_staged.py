"""Rows that are audited beside the target before anybody can read them (`publish.staged`)."""

import threading
from collections import Counter
from contextlib import contextmanager

import pytest

import lakebalance as lb
from lakebalance import publishing, staging
from lakebalance.core.errors import AuditError

SCHEMA = "id long, label string, x double"
ROWS = [(i, "a" if i % 10 else "b", float(i)) for i in range(400)]
BALANCE = {"balance": {"by": ["label"], "method": "equal"}, "rows": 80}
OTHER = {"balance": {"by": ["label"], "method": "equal"}, "rows": 60}


@pytest.fixture(scope="module")
def source(spark, tmp_path_factory):
    path = str(tmp_path_factory.mktemp("staged") / "s")
    spark.createDataFrame(ROWS, SCHEMA).repartition(3).write.format("delta").save(path)
    return {"name": "s", "table": path, "key": ["id"]}


def rows_of(spark, path, version=None):
    reader = spark.read.format("delta")
    if version is not None:
        reader = reader.option("versionAsOf", version)
    return Counter(map(repr, reader.load(path).collect()))


def versions(spark, path):
    return [row["version"] for row in spark.sql(f"DESCRIBE HISTORY delta.`{path}`").collect()]


def miscounting(monkeypatch, where, name="balanced"):
    """Let an audit find one row too many in an output."""
    real = where.count_rows

    def other(frames, plan, output, *rest):
        found = real(frames, plan, output, *rest)
        if output.name == name:
            found[0]["found"] += 1
        return found

    monkeypatch.setattr(where, "count_rows", other)


@contextmanager
def polling(spark, path):
    """What one sees who reads a table again and again, and once more after the end."""
    seen, ended = [], threading.Event()

    def look():
        last = False
        while not last:
            last = ended.is_set()
            rows = rows_of(spark, path)
            if not seen or seen[-1] != rows:
                seen.append(rows)
            ended.wait(0.1)

    reader = threading.Thread(target=look)
    reader.start()
    try:
        yield seen
    finally:
        ended.set()
        reader.join()


def test_a_reader_sees_old_rows_or_new_ones_and_never_some_that_fail(
    spark, source, tmp_path, recipe, monkeypatch
):
    target = str(tmp_path / "out")
    lb.run(recipe(source, allocate=OTHER), spark)
    old = rows_of(spark, target)
    asked = recipe(source, allocate=BALANCE, publish={"table": target, "staged": True})

    miscounting(monkeypatch, staging)
    with polling(spark, target) as seen, pytest.raises(AuditError, match="differ from the plan"):
        lb.run(asked, spark)
    assert seen == [old] and versions(spark, target) == [0]

    monkeypatch.undo()
    with polling(spark, target) as seen:
        result = lb.run(asked, spark)
    assert seen == [old, rows_of(spark, target)] and sum(seen[1].values()) == result.rows == 80
    assert versions(spark, target) == [1, 0]


@pytest.mark.slow
def test_without_it_rows_that_fail_are_taken_back(spark, source, tmp_path, recipe, monkeypatch):
    target = str(tmp_path / "out")
    lb.run(recipe(source, allocate=OTHER), spark)
    old = rows_of(spark, target)
    miscounting(monkeypatch, publishing)
    with pytest.raises(AuditError, match="taken back to version 0"):
        lb.run(recipe(source, allocate=BALANCE), spark)
    assert versions(spark, target) == [2, 1, 0] and rows_of(spark, target) == old


def test_the_rows_are_those_of_a_run_that_stages_nothing(spark, source, tmp_path, recipe):
    made = {}
    for staged in (False, True):
        target = str(tmp_path / f"out{staged}")
        parts = {"table": target, "staged": staged, "partition_by": ["label"]}
        split = {"shares": {"test": 0.25}}
        result = lb.run(recipe(source, allocate=BALANCE, split=split, publish=parts), spark)
        assert [s["name"] for s in result.stages if s["name"].startswith("stage")] == (
            ["stage", "stage test"] if staged else []
        )
        tables = [target, f"{target}_test"]
        kinds = [spark.read.format("delta").load(path).schema.json() for path in tables]
        made[staged] = [rows_of(spark, path) for path in tables], kinds
        # Without these, no table of scratch has a row.
        left = [p for p in (tmp_path / "_lakebalance").glob("scratch-*") if p.is_dir()]
        assert len(left) == 2 * staged
        assert not any(spark.read.format("delta").load(str(path)).count() for path in left)
    assert made[True] == made[False]


@pytest.mark.parametrize("into", ["one", pytest.param("each", marks=pytest.mark.slow)])
def test_files_of_an_ordered_output_are_the_same(spark, source, tmp_path, recipe, into):
    import pyarrow.parquet as pq

    def published(staged):
        asked = recipe(
            source,
            allocate=BALANCE,
            phases=[{"name": "natural", "rows": 200}],
            order={"rows_per_file": 50, "into": into},
            publish={"table": str(tmp_path / f"out{staged}"), "staged": staged},
        )
        result = lb.run(asked, spark)
        counted = [*result.published, *[p for o in result.outputs for p in o["published"]]]
        assert all(p["planned"] == p["found"] for p in counted)
        names = ["", "_natural"] if into == "each" else [""]
        tables = [asked.publish.table + name for name in names]
        files = [file for path in tables for file in lb.files_in_order(spark, path)]
        return [pq.ParquetFile(f).read(["lb_position", "id"]).to_pylist() for f in files]

    files = published(True)
    rows = [row for file in files for row in file]
    assert [row["lb_position"] for row in rows] == [*range(280)] or into == "each"
    assert len(files) == 6 and rows == [row for file in published(False) for row in file]


def test_a_column_named_as_the_state_s_own_stays(spark, tmp_path, recipe, table):
    rows = [(i, "ab"[i % 2], f"r{i}") for i in range(20)]
    path = table("s", rows, "id long, l string, LB_run_id string")
    asked = recipe(
        {"name": "s", "table": path, "key": ["id"]},
        allocate={"balance": {"by": ["l"], "method": "equal"}, "rows": 10},
        publish={"table": str(tmp_path / "out"), "staged": True},
    )
    lb.run(asked, spark)
    out = spark.read.format("delta").load(asked.publish.table)
    assert out.columns == ["id", "l", "LB_run_id"]
    assert all(row.LB_run_id == f"r{row.id}" for row in out.collect()) and out.count() == 10
