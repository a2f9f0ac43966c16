"""One Spark session for all tests, and small Delta tables."""

from pathlib import Path

import pytest

TESTS = Path(__file__).parent
# About half of the time each: what mostly waits for sessions of its own, and sampling; the rest.
FIRST = [TESTS / name for name in ("faults", "jobs", "sample", "core/test_session.py")]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Share the tests among two processes, each with one session that becomes fast in time."""
    for item in items:
        first = any(item.path.is_relative_to(path) for path in FIRST)
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group("first" if first else "second"))


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
