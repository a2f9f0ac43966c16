"""SIGKILL at each stage: the target is old or new, never between, and the next run completes."""

import time

import pytest

import lakebalance as lb
from lakebalance.recipe import Recipe

from .conftest import copied, kill, rows_of, start

# Where nothing has been written since the stage before, a kill leaves what a kill there leaves;
# after the ledger's entry, the run is one that has finished.
STAGES = [
    pytest.param("read", marks=pytest.mark.slow),
    pytest.param("expect and count", marks=pytest.mark.slow),
    pytest.param("check keys", marks=pytest.mark.slow),
    pytest.param("quarantine", marks=pytest.mark.slow),
    pytest.param("prune", marks=pytest.mark.slow),
    pytest.param("sample", marks=pytest.mark.slow),
    pytest.param("remember", marks=pytest.mark.slow),
    "publish",
    pytest.param("audit", marks=pytest.mark.slow),
    pytest.param("report", marks=pytest.mark.slow),
]


@pytest.fixture(scope="module")
def expected():
    """What each test's run must end with; the same for all, as their sources are the same."""
    return {}


@pytest.mark.parametrize("stage", STAGES)
def test_a_run_killed_at_a_stage_is_finished_by_the_next(
    spark, published, tmp_path, stage, expected
):
    lake, target = copied(published, tmp_path), tmp_path / "out" / "balanced"
    old_rows = rows_of(spark, target)

    process = start(lake)
    seen = []
    for line in process.stderr:
        seen.append(line.strip("… \n"))
        if seen[-1] == stage:
            break
    assert seen[-1] == stage, seen
    kill(process)
    finished_by_the_next(spark, lake, tmp_path, old_rows, expected)


@pytest.fixture(scope="module")
def seconds(published, tmp_path_factory):
    """How long a run takes that nobody kills, from its first stage on."""
    process = start(copied(published, tmp_path_factory.mktemp("timed")))
    began = next(time.monotonic() for line in process.stderr if "read" in line)
    process.communicate()
    assert process.returncode == 0
    return time.monotonic() - began


@pytest.mark.slow
@pytest.mark.parametrize("moment", range(12))
def test_a_run_killed_at_any_moment_is_finished_by_the_next(
    spark, published, tmp_path, moment, seconds, expected
):
    lake, target = copied(published, tmp_path), tmp_path / "out" / "balanced"
    old_rows = rows_of(spark, target)
    process = start(lake)
    assert any("read" in line for line in process.stderr)
    time.sleep((moment + 0.5) / 12 * seconds)
    kill(process)
    finished_by_the_next(spark, lake, tmp_path, old_rows, expected)


@pytest.mark.slow
def test_files_of_a_shuffle_that_are_lost(spark, published, tmp_path, expected):
    lake, target = copied(published, tmp_path), tmp_path / "out" / "balanced"
    old_rows = rows_of(spark, target)
    local = tmp_path / "local"
    local.mkdir()
    process = start(lake, environment={"SPARK_LOCAL_DIRS": str(local)})
    lost = 0
    for line in process.stderr:
        if line.strip("… \n") in ("prune", "sample", "publish"):
            for _ in range(20):
                for file in local.rglob("shuffle_*.data"):
                    file.unlink(missing_ok=True)
                    lost += 1
                time.sleep(0.05)
    process.wait()
    assert lost, "no shuffle was hit"
    # Spark does the stage again, or the run ends with an error; the table is old or new.
    finished_by_the_next(spark, lake, tmp_path, old_rows, expected)


def finished_by_the_next(spark, lake, tmp_path, old_rows, expected):
    """The table is as it was, or as it is to be; another run finishes the job, and only once."""
    target = tmp_path / "out" / "balanced"
    newest = spark.sql(f"DESCRIBE HISTORY delta.`{target}`").count() - 1
    after = rows_of(spark, target)
    assert newest in (0, 1)
    if newest == 0:
        assert after == old_rows

    result = lb.run(Recipe.load(lake), spark)
    assert result.version == 1
    assert result.repeated == (newest == 1)
    rows = rows_of(spark, target)
    assert sum(rows.values()) == 16_000 and rows != old_rows
    assert newest == 0 or after == rows
    assert expected.setdefault("rows", rows) == rows
    ledger = spark.read.format("delta").load(str(tmp_path / "out/_lakebalance/ledger"))
    assert ledger.where(f"run_id = '{result.plan.run_id}'").count() == 1
