"""Tables that hold all but a few rows of others, and what these rows are."""

import datetime as dt
import json
from pathlib import Path

import pyarrow as pa
import pytest
from pyspark.sql import functions as F

from lakebalance import lake
from lakebalance.core.errors import RecipeError
from lakebalance.lake.content import Compared
from lakebalance.lake.near import Near
from lakebalance.lake.schema_graph import Edge, Names
from written import write

ROWS = 300
DAY = dt.date(2024, 1, 1)


def rows(start=0, stop=ROWS):
    ids = range(start, stop)
    return pa.table({
        "id": pa.array(ids, pa.int64()),
        "day": [DAY + dt.timedelta(days=i // 30) for i in ids],
        "x": [i % 7 / 3 if i % 5 else None for i in ids],
        "key": ["abc"[i % 3] for i in ids],
    })  # fmt: skip


def with_value(table, place, name, value):
    data = table.to_pylist()
    data[place][name] = value
    return pa.Table.from_pylist(data, schema=table.schema)


@pytest.fixture(scope="module")
def folder(spark, tmp_path_factory):
    """A table; two of which one row is another, one by a value beyond its range; two with more."""
    top = tmp_path_factory.mktemp("near")
    write(top / "l/base", rows())
    write(top / "l/other", with_value(rows(), 7, "key", "c"))
    write(top / "l/beyond", with_value(with_value(rows(), 9, "id", 10**9), 8, "x", None))
    write(top / "l/more", rows(0, ROWS + 30))
    write(top / "l/half", rows(ROWS // 2, 2 * ROWS))
    lake.scan(spark, [f"{top}/l"], f"{top}/s")
    return top


@pytest.mark.slow
def test_tables_that_are_held_but_for_few_rows_are_shown(spark, folder, call):
    assert lake.graph(spark, f"{folder}/s").near == []
    graph = lake.graph(spark, f"{folder}/s", lake.Narrowing(near=0.9))
    near = {(Path(n.edge.child).name, Path(n.edge.parent).name): n for n in graph.near}
    few = {("other", "base"): 1, ("base", "other"): 1, ("beyond", "base"): 2, ("base", "beyond"): 2}
    few |= {("other", "more"): 1, ("beyond", "more"): 2, ("beyond", "other"): 3}
    few |= {
        ("other", "beyond"): 3,
        ("more", "base"): 30,
        ("more", "other"): 31,
        ("more", "beyond"): 32,
    }
    assert {pair: n.compared.missing for pair, n in near.items()} == few
    assert near["more", "base"].share == pytest.approx(300 / 330)
    assert [n.share for n in graph.near] == sorted((n.share for n in graph.near), reverse=True)
    held = {(Path(h.edge.child).name, Path(h.edge.parent).name) for h in graph.edges}
    assert held == {("base", "more")}
    # One that a sample takes for contained and all rows do not is near as well.
    narrowing = {"near": 0.9, "missing": 0.9, "seed": 1, "verify": True}
    verified = lake.graph(spark, f"{folder}/s", lake.Narrowing(**narrowing))
    assert {(Path(n.edge.child).name, Path(n.edge.parent).name) for n in verified.near
            if n.compared.share >= 1} & few.keys()  # fmt: skip
    code, text, err = call("graph", "--state", f"{folder}/s", "--near", "0.9")
    assert code == 0, err
    assert "all but 31 rows" in text and "is held but for few" in text
    found = json.loads(call("graph", "--state", f"{folder}/s", "--near", "0.9", "--json")[1])
    assert len(found["near"]) == len(few)


def test_a_sample_says_how_sure_it_is():
    edge = Edge("a", "b", ())
    assert Near(edge, Compared(100, 100, 1, 1.0)).interval == (0.99, 0.99)
    low, high = Near(edge, Compared(688, 688, 7, 0.01)).interval
    assert (round(low, 4), round(high, 4)) == (0.9791, 0.9951)
    # Copies of one row tell no more than the row.
    assert Near(edge, Compared(68, 688, 7, 0.01)).interval[0] < low


def diff(spark, folder, table, other, **options):
    places = (f"{folder}/l/{name}" for name in (table, other))
    return lake.difference(spark, f"{folder}/s", *places, **options)


def test_a_column_that_differs_is_named(spark, folder, call):
    found = diff(spark, folder, "other", "base")
    assert (found.rows, found.missing, found.looked_at) == (ROWS, 1, 1)
    # Row 14 has the same day, number and key.
    assert found.differs == {"id": 1, "key": 1}
    assert found.examples == [{"id": 7, "day": "2024-01-01", "x": 0.0, "key": "c"}]
    two = diff(spark, folder, "beyond", "base")
    assert (two.missing, two.differs) == (2, {"id": 2, "x": 1})
    args = [f"{folder}/l/other", f"{folder}/l/base", "--state", f"{folder}/s"]
    code, text, err = call("diff", *args)
    assert code == 0, err
    assert "1 of the 300 rows of other (0.3%) are not in base" in " ".join(text.split())
    assert json.loads(call("diff", *args, "--json")[1]) == found.to_dict()


def test_what_rows_have_in_common_is_said(spark, folder):
    found = diff(spark, folder, "more", "base", examples=2)
    assert (found.missing, found.differs, len(found.examples)) == (30, {}, 2)
    assert found.conditions["id"] == "`id` BETWEEN 300 AND 329"
    assert found.conditions["day"] == "`day` = DATE '2024-01-11'"
    assert "key" not in found.conditions
    nothing = diff(spark, folder, "base", "more")
    assert (nothing.missing, nothing.examples, nothing.conditions) == (0, [], {})


@pytest.mark.slow
def test_copies_nested_values_and_other_names(spark, tmp_path):
    df = spark.range(40).select(
        "id",
        F.array(F.col("id"), F.lit(None)).alias("list"),
        F.struct(F.col("id").alias("a b")).alias("in.ner"),
        F.expr("map('k', id)").alias("map"),
        F.expr("IF(id = 3, double('NaN'), id)").alias("x"),
    )
    mapped = {"delta.columnMapping.mode": "name"}
    twice = df.union(df.where("id < 2"))
    twice.coalesce(1).write.format("delta").options(**mapped).save(f"{tmp_path}/l/twice")
    turned = df.withColumnRenamed("id", "ID")
    turned = turned.withColumn("list", F.expr("IF(ID = 5, array(ID), list)"))
    turned.coalesce(1).write.format("delta").options(**mapped).save(f"{tmp_path}/l/turned")
    lake.scan(spark, [f"{tmp_path}/l"], f"{tmp_path}/s")
    found = diff(spark, tmp_path, "twice", "turned", names=Names(ignore_case=True))
    # Of rows that are there less often, each column is what the other table has.
    assert found.missing == 3
    assert found.differs["list"] == 3 and found.differs["id"] == 2
    assert {row["id"] for row in found.examples} == {0, 1, 5}
    with pytest.raises(RecipeError, match=r'turned has no column "id"; did you mean "ID"\? Name'):
        diff(spark, tmp_path, "twice", "turned")
    with pytest.raises(RecipeError, match="same table twice"):
        diff(spark, tmp_path, "twice", "twice")
    with pytest.raises(RecipeError, match=r'no table ".*/l/twicer"; did you mean'):
        diff(spark, tmp_path, "twicer", "turned")
