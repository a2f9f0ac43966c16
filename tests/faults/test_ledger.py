"""A ledger that was written over, and clocks that jump: runs are found, or made known, again."""

import datetime as dt
from types import SimpleNamespace

import pytest

import lakebalance as lb
from lakebalance.core.errors import TableError
from lakebalance.publish import state

from .conftest import rows_of


@pytest.fixture
def small(spark, table, recipe):
    """A recipe for a small table, of a seed."""
    path = table("source", [(i, "ab"[i % 3 == 0]) for i in range(60)], "id int, label string")
    source = {"name": "s", "table": path, "key": ["id"]}
    rule = {"balance": {"by": ["label"], "method": "equal"}, "rows": 20}
    return lambda seed=1: recipe(source, seed=seed, allocate=rule)


@pytest.mark.slow
@pytest.mark.parametrize("broken", ["{half of", None])
def test_a_corrupt_row_of_the_ledger(spark, small, tmp_path, broken):
    first, other = lb.run(small(), spark), lb.run(small(2), spark)
    ledger = f"delta.`{tmp_path}/_lakebalance/ledger`"
    plan = "NULL" if broken is None else f"'{broken}'"
    spark.sql(f"UPDATE {ledger} SET plan = {plan} WHERE run_id = '{other.plan.run_id}'")
    before = rows_of(spark, tmp_path / "out")
    said = f"what the ledger has of run {other.plan.run_id} to .* cannot be read"
    with pytest.raises(TableError, match=said):
        lb.explain(small(2), spark, "id = 5")

    again = lb.run(small(2), spark)
    assert again.repeated and again.version == other.version == 1
    assert rows_of(spark, tmp_path / "out") == before
    assert spark.sql(f"SELECT * FROM {ledger}").count() == 2
    assert lb.explain(small(2), spark, "id = 5")
    third = lb.run(small(2), spark)
    assert third.repeated and third.plan.groups == other.plan.groups
    assert first.plan.run_id != other.plan.run_id


@pytest.mark.slow
def test_a_clock_that_jumps_back(spark, small, monkeypatch):
    first = lb.run(small(), spark)

    class Earlier(dt.datetime):
        @classmethod
        def now(cls, tz=None):
            return dt.datetime.now(tz) - dt.timedelta(days=30)

    monkeypatch.setattr(state, "dt", SimpleNamespace(**{**vars(dt), "datetime": Earlier}))
    second = lb.run(small(2), spark)
    monkeypatch.undo()
    assert second.version == first.version + 1
    # The newest run is the one that made the newest version, whatever clocks said.
    found = lb.explain(small(2), spark, "id < 60", limit=60)
    assert sum(fate["copies"] for fate in found) == 20
    newest = state.State.beside(second.table, None).newest(spark)
    assert [entry["run_id"] for entry in newest] == [second.plan.run_id]


@pytest.mark.slow
def test_the_time_at_which_a_run_finished_is_the_same_when_read_again(spark, small, monkeypatch):
    first = lb.run(small(), spark)
    again = lb.run(small(), spark)
    apart = dt.datetime.fromisoformat(again.finished) - dt.datetime.fromisoformat(first.finished)
    assert again.repeated and abs(apart) < dt.timedelta(minutes=1)


def test_a_first_write_that_left_files_and_no_log(spark, small, tmp_path):
    out = tmp_path / "out"
    (out / "_delta_log").mkdir(parents=True)
    (out / "part-00000-half.snappy.parquet").write_bytes(b"PAR1 and no more")
    result = lb.run(small(), spark)
    assert result.version == 0 and sum(rows_of(spark, out).values()) == 20


@pytest.mark.slow
def test_a_log_whose_newest_entry_is_half_written(spark, small, tmp_path):
    out = tmp_path / "out"
    first = lb.run(small(), spark)
    before = rows_of(spark, out)
    entry = out / "_delta_log" / f"{1:020}.json"
    entry.write_text('{"commitInfo":{"timestamp":17')
    with pytest.raises(TableError, match=f"read: file:.*{entry.name} cannot be read; it is broken"):
        lb.run(small(2), spark)
    entry.unlink()
    assert rows_of(spark, out) == before
    assert lb.run(small(2), spark).version == first.version + 1


def test_a_file_of_a_source_that_is_broken(spark, small, tmp_path):
    file = next((tmp_path / "source").rglob("*.parquet"))
    file.write_bytes(file.read_bytes()[:-20] + b"x" * 20)
    file.with_name(f".{file.name}.crc").unlink()
    with pytest.raises(TableError, match=f"{file.name} cannot be read; it is broken"):
        lb.run(small(), spark)
    assert not (tmp_path / "out").exists()
