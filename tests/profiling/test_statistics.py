"""Statistics of columns: against pandas, on hostile tables, and in how many jobs."""

import datetime as dt
import json
import math
from decimal import Decimal

import pandas as pd
import pytest

from lakebalance.core.errors import RecipeError, TableError
from lakebalance.profiling.options import Options
from lakebalance.profiling.patterns import LONG, regex_of
from lakebalance.profiling.statistics import statistics
from lakebalance.table_profiles import columns

HOSTILE = (
    "`a.b` double, `count` string, `Größe x` decimal(10,2), t timestamp, n timestamp_ntz, d date, "
    "raw binary, list array<int>, m map<string,int>, empty int, B boolean"
)
UTC = dt.timezone.utc
ROWS = [
    (float("nan"), "AB-1", Decimal("1.50"), dt.datetime(2020, 1, 2, tzinfo=UTC),
     dt.datetime(2020, 1, 2), dt.date(2020, 1, 2), b"\x01", [1, 2], {"x": 1}, None, True),
    (-0.0, "CD-2", Decimal("-2.00"), dt.datetime(1969, 1, 1, tzinfo=UTC),
     dt.datetime(1969, 1, 1), dt.date(1969, 1, 1), b"\xff", [1, 2], {"x": 1}, None, False),
    (0.0, "é7", None, None, None, None, None, [], {}, None, None),
    (float("inf"), None, Decimal("1.50"), None, None, None, b"\x01", None, None, None, True),
]  # fmt: skip


def by_name(profile):
    return {c["name"]: c for c in profile.to_dict()["tables"][0]["columns"]}


def test_a_hostile_table(spark, table):
    path = table("hostile", ROWS, HOSTILE)
    found = columns(path, spark, Options(key_size=1))
    c = by_name(found)
    json.dumps(found.to_dict(), allow_nan=False)
    assert list(c) == ["a.b", "count", "Größe x", "t", "n", "d", "raw", "list", "m", "empty", "B"]
    assert (c["a.b"]["nulls"], c["a.b"]["nans"], c["a.b"]["distinct"]) == (0, 1, 3)
    assert (c["a.b"]["min"], c["a.b"]["max"]) == (0.0, {"float": "Infinity"})
    assert math.copysign(1, c["a.b"]["min"]) == 1
    assert c["a.b"]["top"][0] == {"value": 0.0, "rows": 2, "share": 0.5}
    assert c["a.b"]["quantiles"]["95%"] == {"float": "Infinity"}
    assert [(p["pattern"], p["rows"]) for p in c["count"]["patterns"]] == [("AA-9", 2), ("a9", 1)]
    assert (c["count"]["min_length"], c["count"]["max_length"]) == (2, 4)
    assert (c["Größe x"]["min"], c["Größe x"]["max"], c["Größe x"]["nulls"]) == ("-2.00", "1.50", 1)
    assert c["t"]["min"] == "1969-01-01T00:00:00+00:00"
    assert c["n"]["max"] == "2020-01-02T00:00:00" and c["d"]["min"] == "1969-01-01"
    assert (c["raw"]["min"], c["raw"]["max"], c["raw"]["distinct"]) == ("01", "FF", 2)
    assert (c["list"]["distinct"], c["m"]["distinct"], c["list"]["max_length"]) == (2, 2, 2)
    assert c["empty"]["nulls"] == 4 and c["empty"]["constant"] and c["empty"]["distinct"] == 0
    assert {t["value"]: t["rows"] for t in c["B"]["top"]} == {True: 2, False: 1}


def test_numbers_are_those_of_pandas_in_any_layout(spark, table):
    rows = [(i % 7, float(i * i % 101), f"x{i % 3}") for i in range(300)]
    frame = pd.DataFrame(rows, columns=["a", "b", "c"])
    found = [
        columns(table(f"t{parts}", rows, "a int, b double, c string", parts), spark,
                Options(keys=False)).to_dict()["tables"][0]["columns"]
        for parts in (1, 3)
    ]  # fmt: skip
    assert found[0] == found[1]
    a, b, c = found[0]
    assert a["top"][0] == {"value": 0, "rows": 43, "share": 43 / 300}
    ordered = frame["b"].sort_values().to_list()
    ranks = {"5%": 1, "25%": 5, "50%": 10, "75%": 15, "95%": 19}
    assert b["quantiles"] == {q: ordered[300 * part // 20] for q, part in ranks.items()}
    assert b["distinct"] == frame["b"].nunique() and b["distinct_exact"]
    counts = pd.cut(frame["b"], 20, labels=False, right=False).value_counts()
    assert sum(bin_["rows"] for bin_ in b["histogram"]) == 300 and len(b["histogram"]) == 20
    assert b["histogram"][5]["rows"] == counts[5]
    assert c["patterns"] == [{"pattern": "a9", "rows": 300, "share": 1.0}]


def test_many_values_are_estimated_and_common_ones_counted_exactly(spark, tmp_path):
    df = spark.range(30_000).selectExpr(
        "case when id % 10 < 3 then 'common' else 'v' || id end as v", "id"
    )
    path = str(tmp_path / "many")
    df.write.format("delta").save(path)
    c = by_name(columns(path, spark, Options(keys=False)))
    assert not c["v"]["distinct_exact"]
    assert abs(c["v"]["distinct"] / 21_001 - 1) < 0.2
    assert c["v"]["top"] == [{"value": "common", "rows": 9_000, "share": 0.3}]
    exact = by_name(columns(path, spark, Options(exact_distinct=True, keys=False)))
    assert (exact["v"]["distinct"], exact["v"]["distinct_exact"]) == (21_001, True)
    assert exact["id"]["distinct"] == 30_000


def test_empty_tables_parquet_and_versions(spark, table, tmp_path):
    path = table("empty", [], "a int, b string")
    found = columns(path, spark, Options(dependencies=True)).to_dict()["tables"][0]
    assert (found["rows"], found["columns"][0]["distinct"]) == (0, 0)
    spark.range(3).write.format("delta").mode("append").option("mergeSchema", True).save(path)
    assert columns(path, spark, version=0).tables[0].rows == 0
    spark.range(5).write.parquet(str(tmp_path / "p"))
    folder = columns(str(tmp_path / "p"), spark, names=["id"])
    assert folder.tables[0].rows == 5 and folder.to_dict()["tables"][0]["format"] == "parquet"
    with pytest.raises(RecipeError, match='no column "idd"; did you mean "id"'):
        columns(str(tmp_path / "p"), spark, names=["idd"])
    with pytest.raises(TableError, match="no version 9; newest is 1"):
        columns(path, spark, version=9)
    with pytest.raises(TableError, match="neither a Delta table nor a folder of Parquet"):
        columns(str(tmp_path / "nowhere"), spark)
    with pytest.raises(RecipeError, match="--key-size 9: write a number from 1 to 5"):
        Options(key_size=9)


def test_regexes_of_patterns():
    assert regex_of("AA-9 a") == r"^\p{Lu}{2}\-\p{Nd}\ \p{L}$"
    assert regex_of(LONG) is None and regex_of("") is None


@pytest.mark.parametrize("rows", [ROWS, []])
def test_wide_tables_are_measured_in_another_way_with_the_same_result(
    spark, table, monkeypatch, rows
):
    df = spark.read.format("delta").load(table("both", rows, HOSTILE))
    narrow = statistics(df, df.columns)
    monkeypatch.setattr("lakebalance.profiling.statistics.MOST_AS_COLUMNS", 0)
    assert statistics(df, df.columns) == narrow
    assert {f.rows for f in narrow} == {len(rows)}


@pytest.mark.slow
def test_a_thousand_columns(spark, tmp_path):
    kinds = [
        "id % {} AS n{}", "cast(id as string) || '{}' AS s{}", "id / {} AS d{}", "id > {} AS b{}"
    ]  # fmt: skip
    made = [kinds[i % 4].format(i + 2, i) for i in range(1000)]
    spark.range(500).selectExpr(*made).write.format("delta").save(str(tmp_path / "wide"))
    found = by_name(columns(str(tmp_path / "wide"), spark, Options(key_size=1)))
    assert len(found) == 1000
    for i in range(0, 1000, 4):
        assert found[f"n{i}"]["distinct"] == min(i + 2, 500) and found[f"n{i}"]["min"] == 0
        assert found[f"s{i + 1}"]["distinct"] == 500
        assert found[f"b{i + 3}"]["constant"] == (i + 5 >= 499)


def test_quantiles_are_exact_beyond_what_doubles_are(spark, tmp_path):
    path = str(tmp_path / "wide")
    big = "if(id < 50, 9007199254740992 + id, 9223372036854775807) i"
    decimal = "cast(12345678901234.123456 as decimal(20,6)) + id d"
    late = "timestamp_micros(9000000000000000 + id * 1000000000001) t"
    spark.range(100).selectExpr(big, decimal, late, "if(id % 2 = 0, 0.0D, -0.0D) z").write.format(
        "delta"
    ).save(path)
    told = columns(path, spark, Options(keys=False)).to_dict()["tables"][0]["columns"]
    i, d, t, z = (own["quantiles"] for own in told)
    assert (i["25%"], i["95%"]) == (9007199254740992 + 25, 2**63 - 1)
    assert (d["5%"], d["95%"]) == ("12345678901239.123456", "12345678901329.123456")
    assert t["95%"].endswith("000095+00:00")
    assert set(map(str, z.values())) == {"0.0"}
