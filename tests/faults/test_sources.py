"""Sources that others change while a run reads them: what was pinned is what is read."""

import pytest

import lakebalance as lb
from lakebalance.recipe import Recipe

from .conftest import rows_of

CHANGES = {
    "rows deleted": "DELETE FROM {table} WHERE label = 'rare'",
    "optimized": "OPTIMIZE {table}",
    "overwritten": "INSERT OVERWRITE {table} VALUES (1, 'other', 'text')",
    "column added": "ALTER TABLE {table} ADD COLUMNS (more STRING)",
    "column renamed": "ALTER TABLE {table} RENAME COLUMN text TO words",
    "vacuumed": "VACUUM {table} RETAIN 200 HOURS",
}


@pytest.mark.parametrize("stage", ["sample", "publish"])
@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.slow
def test_a_source_that_changes_while_running(spark, lake, expected_rows, tmp_path, change, stage):
    table, target = f"delta.`{tmp_path}/source`", tmp_path / "out" / "balanced"
    if change == "column renamed":
        mapped = "'delta.columnMapping.mode' = 'name'"
        spark.sql(f"ALTER TABLE {table} SET TBLPROPERTIES ({mapped})")
    before = spark.sql(f"DESCRIBE HISTORY {table}").count() - 1
    changed = []

    def progress(name):
        if name == stage:
            spark.sql(CHANGES[change].format(table=table))
            changed.append(name)

    result = lb.run(Recipe.load(lake), spark, progress)
    assert changed and result.plan.sources[0].version == before
    assert rows_of(spark, target) == expected_rows


@pytest.fixture(scope="module")
def expected_rows(spark, made, tmp_path_factory):
    """What a run gives where nobody interferes."""
    from .conftest import copied

    folder = tmp_path_factory.mktemp("undisturbed")
    lb.run(Recipe.load(copied(made, folder)), spark)
    return rows_of(spark, folder / "out" / "balanced")
