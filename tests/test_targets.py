"""Targets that were made beforehand keep what their owners gave them."""

import os

import pytest

import lakebalance as lb
from lakebalance.core.errors import TableError
from lakebalance.core.tables import Table, detail, newest_version

ROWS = [(i, "ab"[i % 5 == 0], float(i)) for i in range(200)]
COLUMNS = (
    "x DOUBLE, id BIGINT NOT NULL COMMENT 'the id', label STRING, "
    "half DOUBLE GENERATED ALWAYS AS (x / 2), tag STRING DEFAULT 'new'"
)
PROPERTIES = {
    "delta.enableDeletionVectors": "true",
    "delta.enableChangeDataFeed": "true",
    "delta.enableRowTracking": "true",
    "delta.columnMapping.mode": "name",
    "delta.feature.allowColumnDefaults": "supported",
    "delta.logRetentionDuration": "interval 9 days",
    "owner.name": "somebody's",
}


@pytest.mark.slow
def test_properties_constraints_and_columns_of_a_target_stay(spark, recipe, table, tmp_path):
    source = {"name": "s", "table": table("s", ROWS, "id long, label string, x double")}
    target = Table(str(tmp_path / "out"))
    named = ", ".join(f"'{k}' = \"{v}\"" for k, v in PROPERTIES.items())
    spark.sql(
        f"CREATE TABLE {target.sql} ({COLUMNS}) USING delta CLUSTER BY (label) "
        f"TBLPROPERTIES ({named})"
    )
    spark.sql(f"ALTER TABLE {target.sql} ADD CONSTRAINT positive CHECK (x >= 0)")
    before = detail(spark, target)
    allocate = {"balance": {"by": ["label"], "method": "equal", "max_epochs": 10}, "rows": 100}
    for seed in (1, 2):
        assert lb.run(recipe(source, allocate=allocate, seed=seed), spark).rows == 100
    now = detail(spark, target)
    assert dict(now["properties"]) == dict(before["properties"])
    assert {k: v for k, v in PROPERTIES.items() if "feature" not in k}.items() <= dict(
        now["properties"]
    ).items()
    assert now["clusteringColumns"] == ["label"]
    written = spark.read.format("delta").load(target.name)
    assert written.columns == ["x", "id", "label", "half", "tag"]
    assert written.schema["id"].metadata["comment"] == "the id"
    assert written.where("half = x / 2 AND tag = 'new'").count() == 100

    spark.sql(f"ALTER TABLE {target.sql} DROP CONSTRAINT positive")
    spark.sql(f"DELETE FROM {target.sql}")
    spark.sql(f"ALTER TABLE {target.sql} ADD CONSTRAINT large CHECK (x >= 5000)")
    version = newest_version(spark, target)
    with pytest.raises(TableError, match=r"breaks what it demands: CHECK constraint large \(x >="):
        lb.run(recipe(source, allocate=allocate, seed=3), spark)
    assert newest_version(spark, target) == version
    assert spark.read.format("delta").load(target.name).isEmpty()


def test_paths_may_be_relative(spark, recipe, table, tmp_path):
    source = os.path.relpath(table("s", ROWS, "id long, label string, x double"))
    own = recipe(source, publish={"table": os.path.relpath(tmp_path / "out")})
    assert lb.run(own, spark).rows == 200
    assert lb.run(own, spark).repeated
    assert spark.read.format("delta").load(str(tmp_path / "out")).count() == 200
