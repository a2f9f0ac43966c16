"""Rows taken out again with all that came from them, held to sources that never had them."""

import json
from collections import Counter
from pathlib import Path

import pytest

import lakebalance as lb
from lakebalance.core.errors import RecipeError, TableError
from lakebalance.core.tables import Table, newest_version
from tests.erasure.lakes import ROWS, SCHEMA, SET_ASIDE, Lake, same_text_as

USER = 7


def asked(row):
    return row[4] == USER


@pytest.fixture(scope="module")
def chain(spark, tmp_path_factory):
    """A lake before and after a request, what the request said, and one that never had the rows."""
    lake = Lake(spark, tmp_path_factory.mktemp("forget"), ROWS)
    lake.run()
    before = lake.outputs
    shown = lb.forget(lake.first, spark, where=f"user = {USER}")
    untouched = lake.outputs == before and newest_version(spark, Table(lake.path("out"))) == 0
    done = lb.forget(
        lake.first, spark, where=f"user = {USER}", dry_run=False, reference="ticket 4711"
    )
    gone = {row[0] for row in same_text_as(ROWS, asked)}
    never = Lake(spark, tmp_path_factory.mktemp("never"), [r for r in ROWS if r[0] not in gone])
    never.run()
    return lake, before, shown, untouched, done, gone, never


def test_a_table_is_as_if_the_rows_had_never_been_there(spark, recipe, table, tmp_path):
    """The whole way for one table; a chain of them, and all that is said of it, is a slow test."""
    rows = [(i, f"text {i % 45}", "ab"[i % 5 == 0], i % 12) for i in range(60)]
    gone = {row[1] for row in rows if row[3] == USER}
    left = [row for row in rows if row[1] not in gone]

    def made(name, rows):
        path = table(name, rows, "id long, text string, label string, user long")
        one = recipe(
            {"name": "s", "table": path, "key": ["id"]},
            prune=[{"method": "exact", "columns": ["text"]}],
            allocate={"balance": {"by": ["label"], "method": "equal"}, "rows": 20},
            publish={"table": str(tmp_path / f"{name}-out" / "out")},
        )
        lb.run(one, spark)
        return one

    def published(name):
        return Counter(
            map(tuple, spark.read.format("delta").load(f"{tmp_path}/{name}-out/out").collect())
        )

    one, _ = made("all", rows), made("never", left)
    held = sum(n for row, n in published("all").items() if row[1] in gone)
    done = lb.forget(one, spark, where=f"user = {USER}", dry_run=False)
    assert done["complete"] and done["tables"][0]["marked"] == held > 0
    assert done["tables"][0]["after"]["marked"] == 0
    assert published("all") == published("never")
    # What is forgotten stays so in later runs.
    assert lb.plan(one.model_copy(update={"seed": 2}), spark).forgotten == [done["request"]]


@pytest.mark.slow
def test_every_table_is_as_if_the_rows_had_never_been_there(chain):
    lake, before, _, _, done, gone, never = chain
    assert done["complete"]
    for name, rows in lake.outputs.items():
        assert rows == never.outputs[name], name
        assert not {row[0] for row in rows} & gone
        assert rows.total() == before[name].total() or name == "out_test"
    # Some of the rows had been in each, or there was nothing to show.
    assert all({row[0] for row in rows} & gone for rows in before.values())


@pytest.mark.slow
def test_the_dry_run_counts_and_does_nothing(chain):
    lake, before, shown, untouched, _, gone, _ = chain
    assert untouched and shown["dry_run"]
    there = {row[0]: row for row in ROWS}
    users = sum(asked(there[i]) for i in gone)
    assert shown["rows"] == {"asked": users, "tied": len(gone) - users}
    assert shown["sources"] == [
        {"table": lake.path("s"), "version": 0, "rows": 400, "marked": len(gone)}
    ]
    for line in shown["tables"]:
        rows = before[Path(line["table"]).name]
        held = sum(n for row, n in rows.items() if row[0] in gone)
        assert (line["rows"], line["marked"]) == (rows.total(), held)
    assert [line["output"] for line in shown["tables"]] == ["balanced", "test", "balanced"]
    left = {Path(line["table"]).name: line["marked"] for line in shown["leftovers"]}
    assert left["quarantine-first"] == len(SET_ASIDE & gone) == 1
    dropped = Counter(row[1] for row in ROWS if row[0] not in SET_ASIDE)
    texts = {there[i][1] for i in gone if i not in SET_ASIDE}
    assert left["matches-first-0"] == sum(dropped[text] - 1 for text in texts)


@pytest.mark.slow
def test_the_proof_says_what_was_found_before_and_after(chain):
    import hashlib

    lake, _, shown, _, done, _, _ = chain
    same = ("request", "asked", "rows", "suspects", "models")
    assert {name: done[name] for name in same} == {name: shown[name] for name in same}
    assert all(line["after"]["marked"] == 0 for line in [*done["tables"], *done["leftovers"]])
    assert all(line["after"]["version"] > line["version"] for line in done["tables"])
    assert done["sources"][0]["after"]["marked"] == shown["sources"][0]["marked"]
    assert done["notes"] == ["the sources' tables still hold the rows, which runs leave out"]
    text = json.dumps({k: v for k, v in done.items() if k != "proof"}, sort_keys=True)
    assert hashlib.sha256(text.encode()).hexdigest() == done["proof"]
    assert f"user = {USER}" not in text

    from lakebalance.erasure.requests import requests

    assert requests(lake.first, lake.spark) == [done]


@pytest.mark.slow
def test_explain_says_that_a_row_is_forgotten(spark, chain):
    lake, _, _, _, done, gone, _ = chain
    found = {
        row["row"]["id"]: row
        for row in lb.explain(lake.first, spark, "id IN (47, 48, 197, 7)", limit=10)
    }
    forgotten = {i for i, row in found.items() if row["fate"] == "forgotten"}
    assert forgotten == {47, 197, 7} == {47, 48, 197, 7} & gone
    assert found[47]["by"] == [done["request"]] and found[47]["copies"] == 0


@pytest.mark.slow
def test_no_run_takes_them_in_again_whatever_it_calls_them(spark, chain, tmp_path):
    lake, _, _, _, done, gone, _ = chain
    # Another name of the source, no key, rows that have come since, and a folder of its own.
    new = [(1000, "new", "a", 0.5, USER)]
    spark.createDataFrame(new, SCHEMA).write.format("delta").mode("append").save(lake.path("s"))
    other = lake.recipe(
        name="other",
        sources=[{"name": "renamed", "table": lake.path("s")}],
        publish={"table": str(tmp_path / "all"), "state": lake.path("_lakebalance")},
    )
    plan = lb.run(other, spark).plan
    assert plan.forgotten == [done["request"]]
    rows = spark.read.format("delta").load(str(tmp_path / "all")).collect()
    assert sorted(row["id"] for row in rows) == sorted(
        [row[0] for row in ROWS if row[0] not in gone] + [1000]
    )


@pytest.mark.slow
def test_no_table_is_taken_back_to_a_run_that_held_them(spark, chain):
    lake, _, _, _, done, _, _ = chain
    from lakebalance.ledger import Ledger

    with pytest.raises(TableError, match=f"may hold rows that were forgotten .*{done['request']}"):
        lb.rollback(lake.first, spark, Ledger(lake.first, spark).ids[-1])


def test_what_is_asked_for_must_be_there(spark, recipe, table, tmp_path):
    source = table("s", [(1, "a")], "id long, label string")
    one = recipe(source)
    with pytest.raises(RecipeError, match="either --where with a condition or --keys"):
        lb.forget(one, spark)
    with pytest.raises(TableError, match=r"is in the ledger .*run the recipe first"):
        lb.forget(one, spark, where="id = 1")
    lb.run(one, spark)
    with pytest.raises(RecipeError, match=r"--where: .*idd"):
        lb.forget(one, spark, where="idd = 1")
    with pytest.raises(RecipeError, match="not a function of the row"):
        lb.forget(one, spark, where="rand() < 0.5")
    (tmp_path / "keys.csv").write_text("identity\n1\n")
    with pytest.raises(RecipeError, match='no column "identity"'):
        lb.forget(one, spark, keys=str(tmp_path / "keys.csv"))
    with pytest.raises(TableError, match="is no Delta table that can be read"):
        lb.forget(one, spark, keys=str(tmp_path / "nothing"))
    with pytest.raises(RecipeError, match="suspect_share goes with suspect"):
        lb.forget(one, spark, where="id = 1", suspect_share=0.5)
    nothing = lb.forget(one, spark, where="id = 2")
    assert nothing["rows"] == {} and nothing["tables"] == []
    # The only row: of what is left no table can be made, and it must go all the same.
    done = lb.forget(one, spark, where="id = 1", dry_run=False)
    assert done["complete"] and done["tables"][0]["after"]["rows"] == 0
    assert "cannot be made again (sources: none of them has a row; " in done["notes"][0]
