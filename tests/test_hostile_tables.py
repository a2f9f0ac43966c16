"""A table with all that tables have: every method meets its plan on it, to the row."""

import json
from collections import Counter

import pytest
from pyspark.sql import functions as F

import lakebalance as lb
from lakebalance.core.errors import RecipeError, TableError
from lakebalance.core.tables import Table, newest_version
from lakebalance.recipe import Recipe

# Names that SQL, Parquet, or a careless program take for something else.
COLUMNS = """
    id AS `Id`,
    CASE id % 7 WHEN 0 THEN NULL WHEN 1 THEN 'null' WHEN 2 THEN '' ELSE 'A' END AS `a.b c`,
    CASE id % 5 WHEN 0 THEN double('NaN') WHEN 1 THEN NULL WHEN 2 THEN -0.0D WHEN 3 THEN 0.0D
        ELSE double('Infinity') END AS `count`,
    CAST(id % 3 AS DECIMAL(38, 10)) / 3 AS `Ünï-cödé`,
    CAST(id AS DOUBLE) / 7 AS `x,y`,
    CAST(pmod(xxhash64(id), 50) AS FLOAT) AS `order`,
    TIMESTAMP'2024-03-31 01:30:00' + make_interval(0, 0, 0, 0, CAST(id AS INT)) AS `when?`,
    TIMESTAMP_NTZ'2024-03-31 02:30:00' + make_interval(0, 0, 0, CAST(id AS INT)) AS `group`,
    DATE'0001-01-01' + CAST(id AS INT) AS `day;`,
    CAST(CONCAT('\\u0000', id % 4) AS BINARY) AS `bin`,
    concat_ws(' ', transform(sequence(1, 30), i -> sha2(concat(i, id % 90), 256))) AS `te``xt`,
    IF(id % 11 = 0, NULL, array(id % 2, NULL)) AS `tags[]`,
    named_struct('a b', id % 2, 'c.d', array(named_struct('e', 'z'))) AS `Nested`,
    map('k', CAST(id AS STRING)) AS `{m}`,
    CAST(NULL AS STRING) AS `nothing`,
    CAST(id % 2 AS BOOLEAN) AS `True`
"""
ROWS = 300
TEXT = "te`xt"


@pytest.fixture(scope="module")
def hostile(spark, tmp_path_factory):
    """The table's path."""
    path = str(tmp_path_factory.mktemp("hostile") / "a table, with 'names'")
    rows = spark.range(ROWS).selectExpr(*[c.strip() for c in _split(COLUMNS)])
    writer = rows.repartition(3).write.format("delta")
    writer.option("delta.columnMapping.mode", "name").save(path)
    return path


def _split(text):
    """The expressions, at commas outside of brackets and quotes."""
    found, depth, quote = [""], 0, ""
    for sign in text:
        if quote:
            quote = "" if sign == quote else quote
        elif sign in "'`":
            quote = sign
        depth += (sign == "(") - (sign == ")") if not quote else 0
        if sign == "," and not depth and not quote:
            found.append("")
        else:
            found[-1] += sign
    return found


def equal(*by, rows=120):
    return {"balance": {"by": list(by), "method": "equal", "max_epochs": 50}, "rows": rows}


RECIPES = {
    "groups of many types": {"allocate": equal("a.b c", "count", "True")},
    "no key": {"key": None, "allocate": equal("Ünï-cödé", "day;", rows=400)},
    "nested groups": {"allocate": equal("tags[]", "Nested", "bin")},
    "bins of a quantity": {
        "allocate": {
            "bins": {
                "late": {"of": "when?", "quantiles": 4},
                "size": {"of": "x,y", "edges": [9, 20]},
            },
            **equal("late", "size"),
        }
    },
    "whole rows": {"prune": [{"method": "exact"}], "allocate": equal("a.b c")},
    "texts": {
        "prune": [{"method": "minhash", "columns": [TEXT]}],
        "allocate": equal("a.b c", rows=60),
    },
    "weights": {"sample": {"method": "weight"}, "allocate": equal("count")},
    "with replacement": {"sample": {"method": "bootstrap"}, "allocate": equal("group", rows=500)},
    "synthetic": {
        "sample": {"method": "smote", "features": ["x,y", "order"], "k_neighbors": 2},
        "allocate": {"balance": {"by": ["True", "a.b c"], "method": "to_max"}},
    },
    "split, phases and order": {
        "split": {"shares": {"test": 0.2}, "by": ["day;"]},
        "phases": [{"name": "last", "rows": 50}],
        "order": {"max_epochs": 60},
        "allocate": equal("a.b c"),
    },
    "gates": {
        "expect": {"expectations": [
            {"expectation": "ExpectColumnValuesToNotBeNull", "args": {"column": "a.b c"}},
            {"expectation": "ExpectColumnValuesToNotBeNull", "args": {"column": "count"}},
        ]},
        "allocate": equal("a.b c"),
    },
    "partitions": {"publish": {"partition_by": ["count", "True"]}, "allocate": equal("count")},
    "clustering": {"publish": {"cluster_by": ["Id"]}, "allocate": equal("count")},
}  # fmt: skip
BY_DAY = ("gates",)


def cases():
    return [
        pytest.param(name, marks=[] if name in BY_DAY else pytest.mark.slow, id=name)
        for name in RECIPES
    ]


@pytest.mark.parametrize("name", cases())
def test_what_is_planned_is_what_is_found(spark, hostile, tmp_path, name):
    parts = dict(RECIPES[name])
    key = parts.pop("key", ["Id"])
    publish = {"table": str(tmp_path / "out put"), **parts.pop("publish", {})}
    source = {"name": "s.1", "table": hostile, **({"key": key} if key else {})}
    recipe = Recipe.model_validate(
        {"name": "ho stile", "sources": [source], "publish": publish, **parts}
    )
    result = lb.run(recipe, spark)
    told = result.to_dict()
    out = spark.read.format("delta").load(publish["table"])
    assert {g["source"] for g in told["groups"]} == {"s.1"}

    # Every column is there as it was, and so is every value of a row that is no new one.
    stored = spark.read.format("delta").load(hostile)
    assert [name for name in out.columns if name in stored.columns] == stored.columns
    if "lb_parents" not in out.columns:
        assert (
            out.select("Id", F.to_json(F.struct(*stored_names(stored))).alias("row"))
            .distinct()
            .exceptAll(stored.select("Id", F.to_json(F.struct(*stored_names(stored)))))
            .isEmpty()
        )

    weights = parts.get("sample") == {"method": "weight"}
    if not weights:
        wanted = sum(g["target"] for g in told["groups"])
        phases = sum(o["rows"] for o in told["outputs"] if o.get("part") == "train")
        assert out.count() in (wanted, wanted + phases) and wanted == result.plan.rows
    by = [n for n in recipe.by if n in stored.columns]
    if by and not weights and "order" not in parts:
        planned = Counter()
        for group in told["groups"]:
            planned[json.dumps(group["group"], sort_keys=True)] += group["target"]
        assert sorted(v for v in planned.values() if v) == sorted(
            row["in group"] for row in grouped(out, by)
        )
    if "phases" not in parts:
        assert lb.run(recipe, spark).repeated
    fates = lb.explain(recipe, spark, "`Id` IN (3, 4)", limit=5)
    assert len(fates) == 2 and all(fate["fate"] for fate in fates)


def stored_names(df):
    return [F.col("`" + name.replace("`", "``") + "`") for name in df.columns]


def grouped(df, by):
    """Rows of each group, NaN and null apart, -0.0 and 0.0 as one; maps and arrays as JSON."""
    columns = [F.col("`" + name.replace("`", "``") + "`") for name in by]
    return df.groupBy(*columns).agg(F.count(F.lit(1)).alias("in group")).collect()


@pytest.mark.slow
def test_the_other_commands_read_it_too(spark, hostile, call, tmp_path):
    recipe = tmp_path / "r.yaml"
    recipe.write_text(json.dumps({
        "name": "t", "sources": [{"name": "s", "table": hostile, "key": ["Id"]}],
        "allocate": equal("a.b c"), "publish": {"table": str(tmp_path / "out")},
    }))  # fmt: skip
    assert call("profile", recipe)[0] == 0
    assert call("run", recipe, "--report", tmp_path / "report.html")[0] == 0
    code, _, err = call("forget", recipe, "--where", "`a.b c` = 'null' AND `True`", "--confirm")
    assert code == 0, err
    left = spark.read.format("delta").load(str(tmp_path / "out"))
    assert left.where("`a.b c` = 'null' AND `True`").isEmpty() and left.count() == 120
    state = tmp_path / "state"
    assert call("lake", "scan", tmp_path, hostile, "--state", state)[0] == 0
    assert call("lake", "graph", "--state", state, "--verify")[0] == 0


@pytest.mark.parametrize(
    ("name", "error", "says"),
    [
        ("a.b c", TableError, '"a.b c" has empty texts, of which Delta makes null'),
        ("bin", RecipeError, '"bin" is binary, and Delta keeps values'),
    ],
)
def test_partitions_that_would_change_values_are_refused(
    spark, hostile, tmp_path, name, error, says
):
    publish = {"table": str(tmp_path / "out"), "partition_by": [name]}
    source = {"name": "s", "table": hostile, "key": ["Id"]}
    recipe = Recipe.model_validate({"name": "t", "sources": [source], "publish": publish})
    with pytest.raises(error, match=says):
        lb.run(recipe, spark)
    assert newest_version(spark, Table(publish["table"])) is None
