"""What cannot be proven equal is not published; what can is restored, whatever went since."""

import shutil
from collections import Counter
from pathlib import Path

import pytest

from drops import ROWS, multiset, planned, rows
from lakebalance import lake
from lakebalance.core.tables import Table, detail
from lakebalance.lake.removals import removals_of
from written import write


def drop_files(path):
    """What VACUUM does to files that the newest version has not."""
    log = (Path(path) / "_delta_log").glob("*.json")
    assert len(list(log)) > 1
    for file in Path(path).glob("*.parquet"):
        file.unlink()


@pytest.fixture
def removed(spark, tmp_path):
    """A lake of which a whole copy and a part have been archived, and their files are gone."""
    parts = {"copy": rows(), "some": rows(5, 25)}
    for name, content in {"base": rows(), **parts}.items():
        write(tmp_path / name, content)
    pairs = [(tmp_path / name, tmp_path / "base") for name in parts]
    plan = planned(spark, tmp_path / "s", pairs)
    before = {name: multiset(spark, tmp_path / name) for name in parts}
    assert not lake.apply(spark, str(tmp_path / "s"), plan, confirm=plan).skipped
    for name in parts:
        drop_files(tmp_path / name)
    return tmp_path, plan, before


@pytest.mark.slow
def test_from_the_newest_version_when_the_old_one_is_gone(spark, removed):
    top, plan, before = removed
    base = str(top / "base")
    more = spark.createDataFrame(rows(ROWS, ROWS + 9)).coalesce(1)
    more.write.format("delta").mode("append").save(base)
    # One file for all rows: none of the version that was compared is left.
    spark.sql(f"OPTIMIZE delta.`{base}`").collect()
    (top / "base/part-00000.parquet").unlink()
    found = lake.restore(spark, str(top / "s"), plan=plan)
    assert [(r.how, r.parent_version, r.why) for r in found] == [("rebuilt", 2, "")] * 2
    assert {name: multiset(spark, top / name) for name in before} == before
    assert {r.event for r in removals_of(spark, str(top / "s"))} == {"restored"}


@pytest.mark.slow
def test_what_is_not_proven_is_not_written_and_what_others_wrote_stays(spark, removed):
    top, plan, before = removed
    spark.sql(f"DELETE FROM delta.`{top}/base` WHERE id = 30")
    (top / "base/part-00000.parquet").unlink()
    spark.createDataFrame(rows(5, 6)).write.format("delta").mode("append").save(f"{top}/some")
    found = {Path(r.table).name: r for r in lake.restore(spark, str(top / "s"), plan=plan)}
    assert "makes its 40 rows; nothing was written" in found["copy"].why
    assert "was written since it was emptied" in found["some"].why
    assert all(r.how is None for r in found.values())
    assert (multiset(spark, top / "copy"), len(multiset(spark, top / "some"))) == (Counter(), 1)
    assert {r.event for r in removals_of(spark, str(top / "s"))} == {"removed"}
    # Its rows but 30 are all that the part needs.
    spark.sql(f"DELETE FROM delta.`{top}/some`")
    (again,) = lake.restore(spark, str(top / "s"), [f"{top}/some"])
    assert again.how == "rebuilt" and multiset(spark, top / "some") == before["some"]


@pytest.mark.slow
def test_a_table_whose_folder_is_gone_is_made_anew_and_another_one_is_left(spark, tmp_path):
    base, path = tmp_path / "base", tmp_path / "copy"
    write(base, rows())
    spark.sql(
        f"CREATE TABLE delta.`{path}` (id BIGINT NOT NULL COMMENT 'it''s', text STRING) "
        "USING delta CLUSTER BY (id) COMMENT 'old' TBLPROPERTIES ('mine' = 'a')"
    )
    spark.sql(f"ALTER TABLE delta.`{path}` ADD CONSTRAINT known CHECK (id >= 0)")
    spark.sql(f"INSERT INTO delta.`{path}` SELECT * FROM delta.`{base}`")

    def defined():
        said = detail(spark, Table(str(path)))
        parts = ("description", "partitionColumns", "clusteringColumns", "properties")
        return spark.read.format("delta").load(str(path)).schema, *(said[part] for part in parts)

    before, kept = defined(), multiset(spark, path)
    plan = planned(spark, tmp_path / "s", [(path, base)])
    assert not lake.apply(spark, str(tmp_path / "s"), plan, confirm=plan).skipped
    shutil.rmtree(path)
    write(path, rows(0, 1))
    (refused,) = lake.restore(spark, str(tmp_path / "s"), [str(path)])
    assert refused.how is None and "is another table, made since" in refused.why
    shutil.rmtree(path)
    (restored,) = lake.restore(spark, str(tmp_path / "s"), [str(path)])
    assert restored.how == "rebuilt", restored.why
    assert (multiset(spark, path), defined()) == (kept, before)
