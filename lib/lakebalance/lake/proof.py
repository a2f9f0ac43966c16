"""Proves that a rebuild makes a table's rows: it is run, and its rows' fingerprint compared."""

from __future__ import annotations

from collections.abc import Iterator

from pyspark.sql import SparkSession

from lakebalance.core.row_hash import fingerprint
from lakebalance.core.tables import Table, newest_version
from lakebalance.lake.rebuild import Rebuild
from lakebalance.lake.removals import Removal


def proves(spark: SparkSession, removal: Removal, rebuild: Rebuild) -> bool:
    """Whether a rebuild makes the table's rows, each as often, in its columns and types."""
    made, schema = spark.sql(rebuild.sql()), rebuild.child_schema
    kinds = [(f.name, f.dataType.simpleString()) for f in made.schema.fields]
    if kinds != [(f.name, f.dataType.simpleString()) for f in schema.fields]:
        return False
    return fingerprint(made, schema) == removal.fingerprint


def proven(spark: SparkSession, removal: Removal) -> Rebuild | None:
    """A rebuild that makes the table's rows today; None if none does.

    From the parent's version that was compared, else, as Delta reads old versions for a week and
    VACUUM takes their files, from the newest, in which other rows may have come.
    """
    for rebuild in _rebuilds(spark, removal):
        try:
            if proves(spark, removal, rebuild):
                return rebuild
        except Exception:  # a version or a file that is gone: the next may do
            continue
    return None


def proven_now(spark: SparkSession, removal: Removal) -> bool:
    """Whether a rebuild that was proven still holds at the parent's newest version."""
    parent = newest_version(spark, Table(removal.rebuild.parent))
    if parent == removal.rebuild.version:
        return True
    if parent is None:
        return False
    now = removal.rebuild.of(parent)
    return any(proves(spark, removal, r) for r in (now, now.within_box()))


def _rebuilds(spark: SparkSession, removal: Removal) -> Iterator[Rebuild]:
    yield removal.rebuild
    newest = newest_version(spark, Table(removal.rebuild.parent))
    if newest is not None and newest != removal.rebuild.version:
        yield removal.rebuild.of(newest)
        yield removal.rebuild.of(newest).within_box()
