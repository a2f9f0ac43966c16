"""Tables of every kind of containment are emptied or deleted, and restored as they were."""

import shutil
from collections import Counter

import pyarrow as pa
import pytest

from drops import planned
from lakebalance import lake
from lakebalance.core.columns import column
from lakebalance.core.tables import Table, detail

ROWS = 600


def rows(start=0, stop=ROWS):
    """Rows of which some are there twice, with nulls, NaN and texts with quotes."""
    ids = [i for i in range(start, stop) for _ in range(1 + (i % 50 == 0))]
    return pa.table(
        {
            "id": pa.array(ids, pa.int64()),
            "a.b c": pa.array([i % 7 if i % 5 else None for i in ids], pa.int64()),
            "kind": [f"it's {i % 3}\\" for i in ids],
            "text": [f"{hash_of(i)}{hash_of(i + ROWS)}" for i in ids],
            "x": [float("nan") if i % 11 == 0 else i / 7 for i in ids],
            "day": pa.array([i // 100 for i in ids], pa.int32()),
        }
    )


def hash_of(i):
    return f"{i * 2654435761 % 2**64:016x}{i * 40503 % 2**32:08x}"


def multiset(spark, path):
    return Counter(map(repr, spark.read.format("delta").load(str(path)).collect()))


def definition(spark, path):
    said = detail(spark, Table(str(path)))
    parts = ("description", "partitionColumns", "clusteringColumns", "properties")
    return spark.read.format("delta").load(str(path)).schema, *(said[part] for part in parts)


def spread(spark, path, df, layout="", properties=""):
    """A table with a definition of its own, made by SQL."""
    mapped = f"TBLPROPERTIES ('delta.columnMapping.mode' = 'name'{properties})"
    ddl = df.schema.toDDL()
    spark.sql(f"CREATE TABLE delta.`{path}` ({ddl}) USING delta {layout} {mapped}")
    df.write.format("delta").mode("append").save(str(path))


KINDS = {
    "copy": "whole",
    "narrow": "whole",
    "some": "condition",
    "odd": "rows",
    "once": "rows",
    "int": "condition",
    "renamed": "whole",
    "turned": "whole",
    "by_parent": "condition",
    "twice": "condition",
    "parts": "condition",
    "clustered": "whole",
}
ALIASES = {"number": "id", "my text": "text", "is it": "x"}


@pytest.fixture(scope="module")
def kinds(spark, tmp_path_factory):
    """A parent and a child of each kind."""
    top = tmp_path_factory.mktemp("lake [1]")
    base = rows()
    spark.createDataFrame(base).coalesce(1).write.format("delta").option(
        "delta.columnMapping.mode", "name"
    ).save(f"{top}/base")
    df = spark.read.format("delta").load(f"{top}/base")
    plain = {"copy": df, "narrow": df.select("text", "x"),
             "some": df.where("id BETWEEN 101 AND 420"), "once": df.where("id % 50 = 0").distinct(),
             "odd": df.where("xxhash64(id) % 3 = 0"),
             "int": df.selectExpr("CAST(id AS INT) AS id", "text", "CAST(x AS FLOAT) AS x")
                      .where("id < 50 AND isnan(x)"),
             "renamed": df.selectExpr("id AS number", "text AS `my text`", "x AS `is it`"),
             "turned": df.select(*map(column, reversed(df.columns))),
             "by_parent": df.where("day = 2").select("text", "x"),
             "twice": df.where("id = 100")}  # fmt: skip
    for name, child in plain.items():
        child.coalesce(1).write.format("delta").option("delta.columnMapping.mode", "name").save(
            f"{top}/{name}"
        )
    noted = df.where("day >= 1 AND kind LIKE '%0%'")
    spread(spark, top / "parts", noted, "PARTITIONED BY (`a.b c`, day) COMMENT 'it''s'")
    strict = df.selectExpr("id", "kind AS `the.kind of`", "text")
    path = top / "clustered"
    spread(spark, path, strict, "CLUSTER BY (id)", ", 'mine' = 'a\\'b'")
    spark.sql(f"ALTER TABLE delta.`{path}` ADD CONSTRAINT known CHECK (`the.kind of` <> 'none')")
    spark.sql(f"ALTER TABLE delta.`{path}` ALTER COLUMN text COMMENT 'of it'")
    return top


@pytest.mark.slow
@pytest.mark.parametrize("delete", [False, True], ids=["archived", "deleted"])
def test_every_kind_is_restored_as_a_multiset_with_its_definition(spark, kinds, tmp_path, delete):
    lake_of_its_own = tmp_path / "lake"
    shutil.copytree(kinds, lake_of_its_own)
    children = {name: lake_of_its_own / name for name in KINDS}
    before = {name: multiset(spark, path) for name, path in children.items()}
    defined = {name: definition(spark, path) for name, path in children.items()}
    base = lake_of_its_own / "base"
    aliases = {**ALIASES, "the.kind of": "kind"}
    plan = planned(spark, tmp_path / "s", [(path, base) for path in children.values()], aliases)

    shown = lake.apply(spark, str(tmp_path / "s"), plan, delete=delete)
    assert {o.table.rpartition("/")[2]: o.kind for o in shown.outcomes} == KINDS, shown.outcomes
    assert all(multiset(spark, path) == before[name] for name, path in children.items())

    done = lake.apply(spark, str(tmp_path / "s"), plan, confirm=plan, delete=delete)
    assert not done.skipped
    for path in children.values():
        assert not multiset(spark, path)
        assert bool(list(path.rglob("*.parquet"))) is not delete
    # The parent goes on, and its old version with it.
    more = spark.createDataFrame(rows(ROWS, ROWS + 50))
    more.write.format("delta").mode("append").save(str(base))

    found = lake.restore(spark, str(tmp_path / "s"), plan=plan)
    assert {r.how for r in found} == {"rebuilt" if delete else "version"}, found
    for name, path in children.items():
        assert multiset(spark, path) == before[name], name
        assert definition(spark, path) == defined[name], name
