"""The whole way through a small lake with Spark: scanned, narrowed and planned, by command too."""

import json
import shutil
from pathlib import Path

import pyarrow as pa
import pytest
from typer.testing import CliRunner

from lakebalance import lake
from lakebalance.cli import app
from lakebalance.core.errors import TableError
from lakebalance.lake import inventory as inventory_module
from lakebalance.lake import log_reading
from written import write

ROWS = 3000


def rows(start, stop):
    ids = range(start, stop)
    return pa.table(
        {
            "id": pa.array(ids, pa.int64()),
            "text": [f"{'a' * 40} {i}" for i in ids],
            "x": [i % 97 / 7 if i % 5 else None for i in ids],
            # So wide that a plan which grew with 2^columns would never end.
            **{f"n{n}": pa.array([i % 7 for i in ids], pa.int64()) for n in range(12)},
        }
    )


@pytest.fixture(scope="module")
def folder(spark, tmp_path_factory):
    """A lake in which ``base`` holds copy, narrow, some, int, noted, mapped; not near, later.

    ``mapped`` has a deletion vector and a renamed column, ``noted`` an old log in a checkpoint.
    """
    top = tmp_path_factory.mktemp("top[1]")
    base = rows(0, ROWS)
    write(top / "lake/base", base, files=2)
    write(top / "lake/copy", base.slice(0, ROWS).take(list(range(ROWS - 1, -1, -1))))
    write(top / "lake/deep/narrow", base.select(["x", "id"]))
    write(top / "lake/deep/some", base.slice(100, 50))
    near = base.to_pylist()
    near[7]["x"] = near[6]["x"]
    write(top / "lake/near", pa.Table.from_pylist(near, schema=base.schema))
    write(top / "lake/later", rows(ROWS, ROWS + 10))
    ids = base.slice(0, 20).select(["id"])
    write(top / "lake/int", ids.cast(pa.schema([("id", pa.int32())])))
    write(top / "lake/empty", base.slice(0, 0))
    (top / "lake/broken/_delta_log").mkdir(parents=True)
    (top / f"lake/broken/_delta_log/{0:020}.json").write_text("{")
    (top / "lake/torn/_delta_log").mkdir(parents=True)
    (top / f"lake/torn/_delta_log/{3:020}.json").write_text("{}")
    noted = f"{top}/lake/noted"
    df = spark.createDataFrame(base.slice(0, 1000))
    first = df.where("id < 999").coalesce(1).write.format("delta")
    first.option("delta.checkpointInterval", "1").save(noted)
    df.where("id = 999").coalesce(1).write.format("delta").mode("append").save(noted)
    log = Path(noted) / "_delta_log"
    assert list(log.glob("*.checkpoint.parquet"))
    (log / f"{0:020}.json").unlink()
    mapped = f"{top}/lake/mapped"
    properties = {"delta.columnMapping.mode": "name", "delta.enableDeletionVectors": "true"}
    df = spark.createDataFrame(rows(0, 200)).withColumnRenamed("text", "a b")
    df.coalesce(1).write.format("delta").options(**properties).save(mapped)
    spark.sql(f"ALTER TABLE delta.`{mapped}` RENAME COLUMN `a b` TO text")
    spark.sql(f"DELETE FROM delta.`{mapped}` WHERE id % 2 = 0")
    return top


@pytest.fixture(scope="module")
def scanned(spark, folder):
    return lake.scan(spark, [f"{folder}/lake"], f"{folder}/state")


@pytest.mark.parametrize("verb", ["scan", "graph", "plan", "apply", "restore"])
def test_every_verb_has_help_with_an_example(verb):
    shown = CliRunner().invoke(app, ["lake", verb, "--help"])
    assert shown.exit_code == 0
    assert f"lakebalance lake {verb}" in " ".join(shown.output.replace("│", " ").split())


def short(path):
    return path.rpartition("/")[2]


def test_the_inventory_is_what_the_logs_say(spark, folder, scanned):
    facts = {short(t.table): t for t in scanned.tables}
    assert {name: t.rows for name, t in facts.items()} == {
        "base": ROWS, "copy": ROWS, "narrow": ROWS, "some": 50, "near": ROWS, "later": 10,
        "int": 20, "empty": 0, "noted": 1000, "mapped": 100,
    }  # fmt: skip
    assert (facts["base"].files, facts["mapped"].files) == (2, 1)
    assert facts["noted"].by_name["id"].max_high == 999
    assert facts["mapped"].by_name["text"].max_high is not None
    problems = {short(path): why for path, why in scanned.problems.items()}
    assert "not JSON" in problems.pop("broken")
    assert "first of version 0" in problems.pop("torn")
    assert not problems
    kept = spark.read.format("delta").load(f"{folder}/state/inventory")
    assert kept.where("rows = 3000").count() == 4


def test_only_changed_logs_are_read_again(spark, folder, scanned, monkeypatch):
    read = []
    real = log_reading.read_logs

    def noting(spark, logs):
        read.extend(map(short, logs))
        return real(spark, logs)

    monkeypatch.setattr(inventory_module, "read_logs", noting)
    shutil.copytree(folder / "lake/deep/some", folder / "lake/other")
    again = lake.scan(spark, [f"{folder}/lake"], f"{folder}/state")
    assert sorted(read) == ["broken", "other"]
    shutil.rmtree(folder / "lake/other")
    after = lake.scan(spark, [f"{folder}/lake/deep", f"{folder}/lake"], f"{folder}/state")
    assert {e.table for e in again.entries} - {e.table for e in after.entries} == {
        f"{folder}/lake/other"
    }
    assert set(after.entries) == set(scanned.entries)
    # What lies elsewhere stays.
    some = lake.scan(spark, [f"{folder}/lake/deep"], f"{folder}/state")
    assert set(some.entries) == set(scanned.entries)


def test_a_table_that_is_written_during_a_scan_is_as_it_was_when_listed(spark, tmp_path):
    path = write(tmp_path / "l/t", rows(0, 10))
    more = spark.createDataFrame(rows(10, 11))

    def progress(stage):
        if stage.startswith("reading 1"):
            more.write.format("delta").mode("append").save(path)

    for listener, expected in ((progress, (0, 10, 9)), (lambda _: None, (1, 11, 10))):
        (t,) = lake.scan(spark, [f"{tmp_path}/l"], f"{tmp_path}/s", progress=listener).tables
        assert (t.version, t.rows, t.by_name["id"].max_high) == expected


@pytest.mark.slow
def test_graph_and_plan_by_command(call, folder, scanned):
    state = folder / "state"
    pages = [folder / "graph.html", folder / "plan.html"]
    code, text, err = call("graph", "--state", state, "--json", "--verify", "--report", pages[0])
    assert code == 0, err
    assert "min–max" in pages[0].read_text() and "1 cluster of tables" in pages[0].read_text()
    found = json.loads(text)
    held = {(short(e["child"]), short(e["parent"])) for e in found["edges"]}
    full = {"base", "copy"}
    assert {pair for pair in held if pair[0] != "empty"} >= {
        *((c, p) for c in ("narrow", "some", "int", "noted", "mapped") for p in full),
        ("base", "copy"), ("copy", "base"), ("int", "narrow"), ("int", "noted"), ("int", "near"),
    }  # fmt: skip
    assert not {("later", "base"), ("near", "narrow"), ("narrow", "some")} & held
    assert {p for c, p in held if c == "empty"} == {
        "base", "copy", "some", "near", "later", "noted", "mapped",
    }  # fmt: skip
    funnel = {s["step"]: s["pairs"] for s in found["funnel"]}
    assert funnel["all pairs"] == 90 > funnel["schema"] > funnel["min–max"] >= len(held)
    assert set(found["cut"]) >= {"rows", "max"}
    assert found["problems"] == []

    code, text, err = call(
        "plan", "--state", state, "--json", "--keep", folder / "lake/int", "--reads", "0.01",
        "--report", pages[1],
    )  # fmt: skip
    assert code == 0, err
    plan = json.loads(text)
    shown = pages[1].read_text()
    assert plan["plan"] in shown and shown.count('<path d="') >= len(plan["tables"]) - 2
    dropped = {short(t["table"]): short(t["rebuild_from"]) for t in plan["tables"]
               if t["action"] == "drop"}  # fmt: skip
    assert set(dropped) >= {"narrow", "some", "noted", "mapped"}
    assert len({"base", "copy"} & set(dropped)) == 1
    assert not {"int", "near", "later"} & set(dropped)
    assert not set(dropped.values()) & set(dropped)
    assert all(t["verified"] for t in plan["tables"] if t["action"] == "drop")
    assert plan["cost"]["bound"] == pytest.approx(plan["cost"]["after"])
    assert (folder / "lake/narrow").exists() is False and (folder / "lake/deep/narrow").exists()

    code, _, err = call("plan", "--state", state, "--keep", folder / "lake/bass")
    assert code == 2
    assert f'did you mean "{folder}/lake/base"' in err.replace("\n", "")


@pytest.mark.slow
def test_what_a_sample_overlooks_is_not_planned(call, folder, spark):
    """A row in 3,000 is overlooked by a sample of 10, and found by comparing all."""
    state = folder / "other_state"
    lake.scan(spark, [f"{folder}/lake/{name}" for name in ("base", "near")], str(state), depth=0)
    _, text, _ = call("graph", "--state", state, "--missing", "0.5", "--seed", "1", "--json")
    near = [e for e in json.loads(text)["edges"] if short(e["child"]) == "near"]
    assert {short(e["parent"]) for e in near} == {"base"}
    assert all(5 <= e["distinct_compared"] < 200 and e["risk"] < 0.001 for e in near)
    assert not any(e["verified"] for e in near)
    page = folder / "overlooked.html"
    text = " ".join(call("plan", "--state", state, "--reads", "0.01", "--report", page)[1].split())
    assert "near is not wholly in" in text and "is not wholly in" in page.read_text()
    assert "0 clusters" in page.read_text()
    assert "no choice costs less. Nothing was dropped." in text
    assert "(not verified)" not in text


def test_what_users_get_wrong_is_said(call, folder, spark, tmp_path):
    code, _, err = call("scan", tmp_path / "none", "--state", tmp_path / "s")
    assert (code, "no Delta table below" in err, "--depth" in err) == (4, True, True)
    for command in ("graph", "plan"):
        code, _, err = call(command, "--state", tmp_path / "s")
        assert (code, "lakebalance lake scan" in err) == (4, True)
    assert call("graph", "--state", "s", "--risk", "2")[0] == 2
    code, _, err = call("graph", "--state", "s", "--alias", "dep")
    assert (code, "--alias dep: write" in err) == (2, True)
    code, _, err = call("plan", "--state", "s", "--throughput", "0")
    assert (code, "--throughput 0" in err) == (2, True)
    write(tmp_path / "l/t", rows(0, 3))
    assert call("scan", tmp_path / "l", "--state", tmp_path / "s")[0] == 0
    with pytest.raises(TableError, match="lakebalance lake graph"):
        lake.plan(spark, str(tmp_path / "s"))


def test_logs_that_may_not_be_read_do_not_stop_the_others():
    def read(some):
        if "b" in some:
            raise RuntimeError("java.io.FileNotFoundException: b (Permission denied)")
        return list(some)

    found, failed = log_reading.each_or_said(["a", "b", "c"], read, "its log")
    assert found == ["a", "c"]
    assert failed == [
        ("b", "its log: no permission: java.io.FileNotFoundException: b (Permission denied)")
    ]
