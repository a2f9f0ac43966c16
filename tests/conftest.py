"""One Spark session for all tests, and small Delta tables."""

import os
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
# Their tests start processes, or share what takes long to make: each folder stays in one process.
TOGETHER = [TESTS / "jobs", TESTS / "faults"]
# These need no session and are short: what comes last fills up whichever process is done first.
LAST = [TESTS / "allocate", TESTS / "recipe", TESTS / "report", TESTS.parent / "lib"]

# Tests run each query once or twice: Java's optimising compiler takes more than it gives. Without
# it, Java has room for 48 MB of compiled code: Spark needs more, or all is compiled anew.
QUICK_JAVA = "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=400m"
os.environ.setdefault("JDK_JAVA_OPTIONS", QUICK_JAVA)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Give the processes a file at a time, so that none has to wait long for the other at the end.

    Each process has one session, which becomes fast in time.
    """
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            folder = next((f for f in TOGETHER if item.path.is_relative_to(f)), item.path)
            name = str(folder.relative_to(TESTS.parent))
            item.add_marker(pytest.mark.xdist_group(name.replace("@", "_")))
    items.sort(key=_turn)


def _turn(item):
    """When a test is due; tests of one turn stay in their order."""
    for turn, folders in ((0, TOGETHER), (2, LAST)):
        if any(item.path.is_relative_to(folder) for folder in folders):
            return turn
    return 1


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
