"""Tables of a catalog's schemas, views, folders of Parquet and a log of reads."""

import datetime as dt
import json
from pathlib import Path

import pytest
from pyspark.sql import functions as F

from lakebalance import lake
from lakebalance.core.errors import RecipeError, TableError
from lakebalance.lake import inventory as inventory_module
from lakebalance.lake.catalog import same_name
from lakebalance.lake.inventory import load

SCHEMA = "lb_lake"


@pytest.fixture(scope="module")
def top(spark, tmp_path_factory):
    """A schema of Delta (one elsewhere), Parquet, CSV and views, and Parquet without a catalog."""
    top = tmp_path_factory.mktemp("catalog") / "a b%20"
    top.mkdir()
    df = spark.range(400).select("id", (F.col("id") % 7).alias("Owner"), F.lit("x").alias("Type"))
    spark.sql(f"CREATE SCHEMA {SCHEMA} LOCATION '{top}/managed'")
    df.coalesce(1).write.format("delta").saveAsTable(f"{SCHEMA}.orders")
    df.coalesce(1).write.format("delta").save(f"{top}/lake/copy")
    spark.sql(f"CREATE TABLE {SCHEMA}.Copied USING delta LOCATION '{top}/lake/copy'")
    df.where("id < 90").coalesce(1).write.format("delta").saveAsTable(f"{SCHEMA}.viewed")
    df.where("id < 50").coalesce(1).write.parquet(f"{top}/lake/export/2024")
    parts = df.where("id < 60").coalesce(1).write.partitionBy("Owner")
    parts.parquet(f"{top}/lake/export/parts")
    df.limit(5).write.format("parquet").saveAsTable(f"{SCHEMA}.few")
    df.limit(5).write.format("csv").saveAsTable(f"{SCHEMA}.text")
    # No file of either is read: its statistics say that no row has such an id.
    spark.sql(f"CREATE VIEW {SCHEMA}.none AS SELECT * FROM {SCHEMA}.viewed WHERE id > 5000")
    spark.sql(f"CREATE VIEW {SCHEMA}.over AS SELECT a.id FROM {SCHEMA}.none a WHERE id > 6000")
    yield top
    spark.sql(f"DROP SCHEMA {SCHEMA} CASCADE")


@pytest.fixture(scope="module")
def scanned(spark, top):
    return lake.scan(
        spark, [f"{top}/lake"], f"{top}/state", schemas=[f"spark_catalog.{SCHEMA}"], parquet=True
    )


def short(path):
    return Path(path).name


def test_tables_are_found_in_schemas_and_folders_of_parquet_below_paths(top, scanned):
    shown = {short(t["table"]): t for t in scanned.to_dict()["tables"]}
    assert {name: (t["format"], t["rows"]) for name, t in shown.items()} == {
        "orders": ("delta", 400), "copy": ("delta", 400), "viewed": ("delta", 90),
        "2024": ("parquet", 50), "parts": ("parquet", 60), "few": ("parquet", 5),
    }  # fmt: skip
    assert shown["copy"]["names"] == [f"spark_catalog.{SCHEMA}.copied"]
    assert shown["2024"]["names"] == []
    assert shown["parts"]["partition_by"] == ["Owner"]
    assert {name: [v.rpartition(".")[2] for v in t["views"]] for name, t in shown.items()
            if t["views"]} == {"viewed": ["none", "over"]}  # fmt: skip
    assert scanned.problems == {f"spark_catalog.{SCHEMA}.text": "is CSV, which is not looked into"}


def test_only_what_changed_is_read_again(spark, top, scanned):
    asked = [f"{top}/lake"], f"{top}/state"
    again = lake.scan(spark, *asked, schemas=[SCHEMA], parquet=True)
    assert again.read == 0
    assert {e.table for e in again.entries} == {
        e.table.removeprefix("spark_catalog.") for e in scanned.entries
    }
    # Without the schema, its tables and their names stay as they were.
    paths_only = lake.scan(spark, *asked, parquet=True)
    assert paths_only.entries == again.entries
    assert load(spark, f"{top}/state").entries == again.entries


def test_a_table_that_the_catalog_has_no_more_is_forgotten(spark, top, tmp_path):
    df = spark.range(3)
    df.write.format("delta").saveAsTable(f"{SCHEMA}.gone")
    state = str(tmp_path / "s")
    assert "gone" in {short(t.table) for t in lake.scan(spark, [], state, schemas=[SCHEMA]).tables}
    spark.sql(f"DROP TABLE {SCHEMA}.gone")
    after = lake.scan(spark, [], state, schemas=[SCHEMA])
    assert {short(t.table) for t in after.tables} == {"orders", "copy", "viewed", "few"}


@pytest.mark.slow
def test_parquet_is_held_and_goes_by_hand_and_what_views_read_stays(spark, top, scanned, call):
    state = f"{top}/state"
    found = lake.graph(spark, state, lake.Narrowing(verify=True))
    held = {(short(h.edge.child), short(h.edge.parent)) for h in found.edges}
    assert {("2024", "orders"), ("2024", "viewed"), ("parts", "orders"), ("orders", "copy")} <= held
    # Spark takes the names of the partitions for integers, which do not hold the others' longs.
    assert ("few", "2024") in held and ("2024", "parts") not in held
    assert not found.problems
    code, text, err = call("plan", "--state", state, "--reads", 0, "--keep", f"{SCHEMA}.orders",
                           "--json")  # fmt: skip
    assert code == 0, err
    plan = json.loads(text)
    dropped = {short(t["table"]): short(t["rebuild_from"]) for t in plan["tables"]
               if t["action"] == "drop"}  # fmt: skip
    # Nothing is rebuilt from Parquet, or in place of what a view reads.
    assert set(dropped) == {"copy", "2024", "parts", "few"}
    assert not set(dropped.values()) & {"2024", "parts", "few"}
    (viewed,) = (t for t in plan["tables"] if short(t["table"]) == "viewed")
    assert [v.rpartition(".")[2] for v in viewed["views"]] == ["none", "over"]
    code, text, err = call("apply", plan["plan"], "--state", state, "--confirm", plan["plan"])
    assert code == 0, err
    text = " ".join(text.split())
    assert text.count("is Parquet, which has no versions to go back to, and stays.") == 3
    for name, rows in (("2024", 50), ("parts", 60)):
        assert spark.read.parquet(f"{top}/lake/export/{name}").count() == rows
    assert spark.table(f"{SCHEMA}.copied").isEmpty()
    for script in Path(f"{top}/state/scripts").iterdir():
        (made,) = (p.read_text() for p in script.glob("*.txt"))
        rows = int(made.split()[2])
        statement = made[made.index("\nSELECT") :].rstrip().rstrip(";")
        assert spark.sql(statement).count() == rows
    assert lake.restore(spark, state, [f"{top}/lake/copy"])[0].how == "version"


@pytest.mark.slow
def test_how_often_tables_are_read(spark, top, scanned, tmp_path):
    day = dt.datetime(2026, 1, 1, tzinfo=dt.timezone.utc)
    reads = [(f"{SCHEMA}.ORDERS", day + dt.timedelta(days=n)) for n in range(60)]
    reads += [(f"file:{top}/lake/copy/", day), (f"{SCHEMA}.copied", day), ("elsewhere.t", day)]
    log = str(tmp_path / "log")
    spark.createDataFrame(reads, "table string, read_at timestamp").write.format("delta").save(log)
    state = str(tmp_path / "s")
    found = lake.scan(spark, [f"{top}/lake"], state, schemas=[SCHEMA], read_log=log)
    known = {short(t["table"]): t for t in found.to_dict()["tables"]}
    months = 59 / (365.25 / 12)
    assert known["orders"]["reads"] == pytest.approx(60 / months)
    assert known["copy"]["reads"] == pytest.approx(2 / months)
    assert known["viewed"]["reads"] == 0
    assert known["orders"]["last_read"] == (day + dt.timedelta(days=59)).timestamp() * 1000
    # A scan without the log keeps what was known.
    again = lake.scan(spark, [f"{top}/lake"], state, schemas=[SCHEMA])
    assert again.reads == found.reads
    lake.graph(spark, state)
    plan = lake.plan(spark, state, lake.Prices(storage=3, read=1, reads=1000))
    by_name = {short(d.table): d for d in plan.decisions}
    # At the thousand reads a month of tables that are not known it would not be worth it.
    assert short(by_name["copy"].rebuild_from) == "orders"
    wrong = str(tmp_path / "wrong")
    spark.createDataFrame([("t", "now")], "table string, read_at string").write.format(
        "delta"
    ).save(wrong)
    with pytest.raises(RecipeError, match="read_at is string; it has to be a timestamp"):
        lake.scan(spark, [f"{top}/lake"], state, read_log=wrong)
    with pytest.raises(TableError, match="is not a Delta table"):
        lake.scan(spark, [f"{top}/lake"], state, read_log=f"{top}/nowhere")


def test_what_users_get_wrong_about_schemas_is_said(spark, call, tmp_path):
    code, _, err = call("scan", "--state", tmp_path / "s")
    assert (code, "--schema" in err) == (2, True)
    code, _, err = call("scan", "--state", tmp_path / "s", "--schema", SCHEMA + "e")
    assert code == 4
    assert f'there is no schema {SCHEMA}e; did you mean "{SCHEMA}"?' in " ".join(err.split())


def test_a_view_that_cannot_be_read_is_named(spark, top, tmp_path):
    spark.range(2).write.format("delta").saveAsTable(f"{SCHEMA}.short_lived")
    spark.sql(f"CREATE VIEW {SCHEMA}.broken AS SELECT * FROM {SCHEMA}.short_lived")
    spark.sql(f"DROP TABLE {SCHEMA}.short_lived")
    found = lake.scan(spark, [], str(tmp_path / "s"), schemas=[SCHEMA])
    spark.sql(f"DROP VIEW {SCHEMA}.broken")
    assert "short_lived" in found.problems[f"{SCHEMA}.broken"]


def test_an_inventory_of_an_older_version_is_read(spark, top, tmp_path, monkeypatch):
    state = str(tmp_path / "s")
    lake.scan(spark, [f"{top}/lake"], state)
    kept = spark.read.format("delta").load(f"{state}/inventory")
    old = kept.drop("kind", "names", "owner", "views", "last_read", "reads")
    old.write.format("delta").mode("overwrite").option("overwriteSchema", "true").save(
        f"{state}/inventory"
    )
    monkeypatch.setattr(inventory_module, "read_logs", None)
    assert [short(t.table) for t in lake.scan(spark, [f"{top}/lake"], state).tables] == ["copy"]


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("a.b", ("a", "b")),
        ("spark_catalog.a.B", ("a", "b")),
        ("m.`x.y`.`z``q`", ("m", "x.y", "z`q")),
    ],
)
def test_names_of_one_table_are_the_same(name, parts):
    assert same_name(name) == parts
