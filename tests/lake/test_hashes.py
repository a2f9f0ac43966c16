"""Small tables are compared by their files, unopened; what that cannot do, Delta does."""

from pathlib import Path

import pyarrow as pa
import pytest
from pyspark.sql import functions as F

from lakebalance import lake
from lakebalance.core.errors import TableError
from lakebalance.lake import hashes, pinned
from written import write

ROWS = 40


def rows(start, stop, kind=None):
    kind = kind or pa.int64()
    ids = range(start, stop)
    return pa.table({"id": pa.array(ids, kind), "file": [f"f{i % 3}" for i in ids]})


@pytest.fixture
def folder(tmp_path):
    """Base, a copy of it in other files, a part with a narrower type, and one with other rows."""
    top = tmp_path / "a=1/b c%20+d[1]"
    write(top / "l/base", rows(0, ROWS), files=3)
    write(top / "l/copy", rows(0, ROWS), files=2)
    write(top / "l/k=7/part", rows(5, 20, pa.int32()))
    write(top / "l/near", rows(1, ROWS - 1).set_column(1, "file", [["f0"] * (ROWS - 2)]))
    return top


def held(spark, folder):
    lake.scan(spark, [f"{folder}/l"], f"{folder}/s")
    found = lake.graph(spark, f"{folder}/s", lake.Narrowing(verify=True))
    name = lambda path: Path(path).name  # noqa: E731
    pairs = {(name(h.edge.child), name(h.edge.parent)): h.compared.rows for h in found.edges}
    return pairs, found.problems


EXPECTED = {
    ("base", "copy"): ROWS,
    ("copy", "base"): ROWS,
    ("part", "base"): 15,
    ("part", "copy"): 15,
}


def refuse(*args):
    raise TableError("opened")


def test_small_tables_are_not_opened(spark, folder, monkeypatch):
    monkeypatch.setattr(pinned, "read_delta", refuse)
    assert held(spark, folder) == (EXPECTED, [])


@pytest.mark.slow
def test_rows_of_a_file_that_nobody_has_do_not_count_for_nothing(spark, folder, monkeypatch):
    monkeypatch.setattr(hashes, "file_read", lambda: F.lit("elsewhere"))
    assert held(spark, folder) == (EXPECTED, [])
    monkeypatch.setattr(pinned, "read_delta", refuse)
    found, problems = held(spark, folder)
    assert not found
    assert {p["problem"] for p in problems} == {"opened"}


@pytest.mark.slow
def test_a_file_that_is_gone_keeps_no_others_from_being_compared(spark, folder):
    lake.scan(spark, [f"{folder}/l"], f"{folder}/s")
    (folder / "l/near/part-00000.parquet").unlink()
    found = lake.graph(spark, f"{folder}/s", lake.Narrowing(verify=True))
    assert len(found.edges) == len(EXPECTED)
    assert {Path(p["child"]).name for p in found.problems} == {"near"}


def test_larger_tables_are_opened_and_looked_up_beside_small_ones(spark, folder, monkeypatch):
    """A large parent is probed by the rows of a child that is read by its files."""
    write(folder / "l/large", rows(0, 5 * ROWS), files=17)
    write(folder / "l/large_copy", rows(0, 5 * ROWS), files=17)
    found, problems = held(spark, folder)
    large = {(c, p): ROWS for c in ("base", "copy") for p in ("large", "large_copy")}
    large |= {("part", p): 15 for p in ("large", "large_copy")}
    assert found == EXPECTED | large | {
        ("large", "large_copy"): 5 * ROWS, ("large_copy", "large"): 5 * ROWS,
    }  # fmt: skip
    assert not problems


def test_types_that_are_compared_as_others_are_cast(spark, tmp_path):
    """Dates of a small table among the timestamps of another, in a column of a name used here."""
    days = spark.sql("SELECT DATE'2024-01-01' + int(id) AS lb_file, id FROM range(9)")
    times = days.select(F.col("lb_file").cast("timestamp_ntz"), "id")
    for name, df in (("days", days), ("times", times)):
        df.coalesce(1).write.format("delta").save(f"{tmp_path}/l/{name}")
    assert held(spark, tmp_path) == ({("days", "times"): 9}, [])
