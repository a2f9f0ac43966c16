"""Periods of times: Python's calendar as the judge, in any session's time zone."""

import datetime as dt

import pytest
from pyspark.sql import functions as F
from pyspark.sql import types as T

import lakebalance as lb
from lakebalance.core.coordinates import coordinate
from lakebalance.core.periods import period

MOMENTS = [
    dt.datetime(2013, 4, 1, 5, 59, 59, 999999),
    dt.datetime(2013, 12, 31, 23, 59, 59),
    dt.datetime(2016, 1, 1),
    dt.datetime(2021, 1, 3, 12),
    dt.datetime(2024, 2, 29, 0, 0, 0, 1),
    dt.datetime(1969, 12, 31, 23, 30),
    dt.datetime(1600, 7, 4, 4),
    dt.datetime(1970, 1, 1),
]
EXPECTED = {
    "hour": lambda t: f"{t:%Y-%m-%d %H}:00",
    "day": lambda t: f"{t:%Y-%m-%d}",
    "week": lambda t: f"{t.isocalendar().year}-W{t.isocalendar().week:02}",
    "month": lambda t: f"{t:%Y-%m}",
    "quarter": lambda t: f"{t.year}-Q{(t.month + 2) // 3}",
    "year": lambda t: f"{t.year}",
}


@pytest.fixture(params=["UTC", "America/Sao_Paulo", "Asia/Kolkata"])
def session_zone(spark, request):
    """A session's time zone: one where some midnights do not exist, one off by half an hour."""
    before = spark.conf.get("spark.sql.session.timeZone")
    spark.conf.set("spark.sql.session.timeZone", request.param)
    yield
    spark.conf.set("spark.sql.session.timeZone", before)


def test_periods_are_those_of_the_calendar(spark, session_zone):
    texts = spark.createDataFrame(
        [(i, f"{t}Z") for i, t in enumerate(MOMENTS)], "i int, text string"
    )
    plain = F.regexp_replace("text", "Z", "")
    df = texts.select(
        "i",
        F.col("text").cast("timestamp").alias("a.t"),
        plain.cast("timestamp_ntz").alias("ntz"),
        F.substring("text", 1, 10).cast("date").alias("day"),
    )
    kinds = {"a.t": T.TimestampType(), "ntz": T.TimestampNTZType(), "day": T.DateType()}
    found = df.select(
        "i",
        *[
            period(coordinate(df, name), kind, every).alias(f"{name} {every}")
            for name, kind in kinds.items()
            for every in EXPECTED
        ],
    ).collect()
    assert len(found) == len(MOMENTS)
    for row in found:
        moment = MOMENTS[row["i"]]
        midnight = dt.datetime.combine(moment.date(), dt.time())
        for every, expected in EXPECTED.items():
            assert row[f"a.t {every}"] == expected(moment) == row[f"ntz {every}"]
            assert row[f"day {every}"] == expected(midnight)


@pytest.mark.slow
def test_months_are_balanced_and_explained(spark, recipe, tmp_path):
    days = ["2013-01-05"] * 3 + ["2013-01-31"] * 5 + ["2013-02-01"] * 2 + [None]
    rows = [(i, day) for i, day in enumerate(days)]
    path = str(tmp_path / "s")
    daily = spark.createDataFrame(rows, "id long, day string")
    daily = daily.select("id", F.to_date("day").alias("The day"))
    daily.write.format("delta").option("delta.columnMapping.mode", "name").save(path)
    asked = recipe(
        {"name": "s", "table": path, "key": ["id"]},
        allocate={
            "bins": {"month": {"of": "The day", "every": "month"}},
            "balance": {"by": ["month"], "method": "to_min"},
        },
    )
    result = lb.run(asked, spark)
    assert {g.group["month"]: g.available for g in result.plan.groups} == {
        None: 1, "2013-01": 8, "2013-02": 2,
    }  # fmt: skip
    assert [p["found"] for p in result.published] == [1, 1, 1]
    [fate] = lb.explain(asked, spark, "id = 9")
    assert fate["group"] == {"month": "2013-02"}
