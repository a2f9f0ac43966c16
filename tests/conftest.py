"""One Spark session for all tests, and small Delta tables."""

import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
# Their tests start processes, or share what takes long to make: each folder stays in one process.
TOGETHER = ["tests/jobs", "tests/faults"]
# It may go on beside the other slow tests of its folder, in the other process.
APART = ["tests/jobs/test_airflow.py"]
# These need no session and are short: what comes last fills up whichever process is done first.
LAST = [TESTS / "allocate", TESTS / "recipe", TESTS / "report", TESTS.parent / "lib"]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Give the processes a file at a time, so that none has to wait long for the other at the end.

    Each process has one session, which becomes fast in time. A file's fixtures are made once.
    """
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            file = nodeid.partition("::")[0]
            folder = str(Path(file).parent)
            return folder if folder in TOGETHER and file not in APART else file

    return ByFile(config, log)


def pytest_collection_modifyitems(items):
    """Begin with what takes long to start, and end with what is short."""
    items.sort(key=_turn)


def _turn(item):
    """When a test is due; tests of one turn stay in their order."""
    if str(item.path.parent.relative_to(TESTS.parent)) in TOGETHER:
        return 0
    return 2 if any(item.path.is_relative_to(folder) for folder in LAST) else 1


@pytest.fixture(scope="session")
def spark():
    from lakebalance.core.session import local_session

    session = local_session("local[2]")
    yield session
    session.stop()


@pytest.fixture
def table(spark, tmp_path):
    """Write rows as a Delta table and return its path."""

    def write(name, rows, schema, partitions=2):
        path = str(tmp_path / name)
        df = spark.createDataFrame(rows, schema)
        writer = df.repartition(partitions).write.format("delta").mode("overwrite")
        # Delta takes names with spaces only where it maps them.
        writer.option("delta.columnMapping.mode", "name").save(path)
        return path

    return write


@pytest.fixture
def call(spark, monkeypatch, capsys):
    """Run the command line on the tests' own session; gives exit code, output and messages."""
    from lakebalance.cli import main

    monkeypatch.setattr(type(spark), "stop", lambda self: None)

    def run(*args):
        monkeypatch.setattr(sys, "argv", ["lakebalance", *map(str, args)])
        code = 0
        try:
            main()
        except SystemExit as stop:
            code = stop.code or 0
        shown = capsys.readouterr()
        return code, shown.out, shown.err

    return run


@pytest.fixture
def recipe(tmp_path):
    """A recipe over the given sources; keywords replace its parts."""
    from lakebalance.recipe import Recipe

    def make(*tables, **parts):
        sources = [
            t if isinstance(t, dict) else {"name": f"s{i}", "table": t}
            for i, t in enumerate(tables)
        ]
        base = {
            "name": "test",
            "seed": 1,
            "sources": sources,
            "publish": {"table": str(tmp_path / "out")},
        }
        return Recipe.model_validate({**base, **parts})

    return make


@pytest.fixture
def by_key(spark):
    """The rows of a source ``s`` with the key ``id``, by the text of their keys."""
    from lakebalance.core.hashing import hash128, key_text

    def rows(path):
        df = spark.read.format("delta").load(path)
        keyed = df.select("*", hash128(df, ["id"], "key", "s").alias("k")).collect()
        return {key_text((r["k"]["hi"], r["k"]["lo"])): r for r in keyed}

    return rows
