"""Only as much history of a time series as explains its variance, as recipes keep it."""

import math

import numpy as np
import pytest

import lakebalance as lb
from lakebalance.core.errors import RecipeError
from lakebalance.prune.variance_horizon import VarianceHorizon, summarise, variance_horizon
from neighbourly import keyed, with_keys

ASKED = {"method": "variance_horizon", "by": ["s"], "time": "t", "values": ["x"], "min_rows": 2}
SCHEMA = "id long, s string, t int, x double, y float"


def horizon(values, share, least):
    """Rows that stay of one series, the newest first, by windows one after the other."""
    known = [v for v in values if v is not None and math.isfinite(v)]
    if not known:
        return max(least, len(values) + 1)
    variances = []
    for h in range(1, len(values) + 1):
        own = [v for v in values[:h] if v is not None and math.isfinite(v)]
        variances.append(np.var(own) if own else None)
    short = [h for h, v in enumerate(variances, 1) if v is None or v < share * variances[-1]]
    return max(least, short[-1] + 1 if short else 1)


def series(seed=3):
    """A series that repeats itself, one that grows, a constant one, one of gaps, a short one."""
    rng = np.random.default_rng(seed)
    made = {
        "noise": rng.normal(size=400) + 1e9,
        "walk": rng.normal(size=300).cumsum(),
        "same": np.full(50, 7.5),
        "gaps": np.where(rng.random(200) < 0.5, np.nan, rng.normal(size=200)),
        "none": np.full(20, np.nan),
        "odd": np.array([math.inf, 1.0, -math.inf, 2.0, 3.0]),
        "one": np.array([3.0]),
    }
    rows = [
        (name, t, float(v), None if t % 3 else float(np.float32(v)))
        for name, values in made.items() for t, v in enumerate(values)
    ]  # fmt: skip
    return [(i, *row) for i, row in enumerate(rows)]


def found(df, **options):
    rows = with_keys(df)
    asked = VarianceHorizon(**{**ASKED, **options})
    matches = variance_horizon(rows, asked, "prune.0")
    ids = {tuple(r["__lb_key"]): r["id"] for r in rows.select("id", "__lb_key").collect()}
    return {ids[tuple(r["dropped"])]: r for r in matches.collect()}, matches, asked


def test_what_is_older_than_the_horizon_goes(spark):
    rows = series()
    df = spark.createDataFrame(rows, SCHEMA).repartition(3)
    by_hand, expected = {}, set()
    for name in dict.fromkeys(row[1] for row in rows):
        own = sorted((r for r in rows if r[1] == name), key=lambda r: -r[2])
        by_hand[name] = max(horizon([r[i] for r in own], 0.9, 5) for i in (3, 4))
        expected |= {r[0] for r in own[by_hand[name] :]}
    gone, matches, asked = found(df, share=0.9, min_rows=5, values=["x", "y"])
    assert gone.keys() == expected
    assert all(r["horizon"] == by_hand[rows[i][1]] for i, r in gone.items())
    assert all((r["rows"], r["left"], r["neighbour"]) == (1, 0, None) for r in gone.values())
    # What repeats itself needs little, what grows nearly all of it.
    assert by_hand["noise"] < 100 and by_hand["walk"] > 150 and by_hand["same"] == 5
    assert {rows[i][1] for i in gone} == {"noise", "walk", "same", "gaps"}
    [said] = summarise(matches, asked, "prune.0")
    counts = sorted(by_hand[name] for name in ("noise", "walk", "same", "gaps"))
    assert said.rows == [[4, counts[0], counts[1], counts[3], len(gone)]]
    other, *_ = found(df.repartition(1), share=0.9, min_rows=5, values=["x", "y"])
    assert other == gone


def test_one_series_and_rows_that_share_a_key(spark):
    rows = [(i, None, None if i == 0 else i, float(i % 4), None) for i in range(40)]
    df = spark.createDataFrame(rows, SCHEMA)
    gone, *_ = found(df, by=[], share=0.9)
    # All values are in the newest few rows; the row without a time is the oldest.
    assert 0 in gone and len(gone) < 40
    own = sorted(rows, key=lambda r: -(r[2] or 0))
    assert len(gone) == 40 - horizon([r[3] for r in own], 0.9, 2)
    twice, *_ = found(df.union(df), by=[], min_rows=79, share=0.1)
    assert {i: (r["rows"], r["left"]) for i, r in twice.items()} == {0: (1, 1)}


def test_columns_that_are_no_series_are_refused(spark):
    df = spark.createDataFrame([(1, "a", 1, 1.0, None)], SCHEMA)
    for options, message in [
        ({"by": ["z"]}, r'prune\.0\.by: no column "z"'),
        ({"time": "s"}, r'prune\.0\.time: column "s" is string'),
        ({"values": ["s"]}, r'prune\.0\.values: column "s" is of type string; name columns of nu'),
    ]:
        with pytest.raises(RecipeError, match=message):
            found(df, **options)
    assert found(df)[0] == {} == found(df.where("false"))[0]


@pytest.mark.slow
def test_a_run_keeps_the_newest_rows(spark, table, recipe):
    rows = [row for row in series() if row[1] in ("noise", "same")]
    made = recipe(keyed(table("t", rows, SCHEMA)), prune=[ASKED])
    result = lb.run(made, spark)
    out = spark.read.format("delta").load(made.publish.table).collect()
    stay = {"noise": horizon([r[3] for r in rows if r[1] == "noise"][::-1], 0.95, 2), "same": 2}
    for name, count in stay.items():
        last = max(r[2] for r in rows if r[1] == name)
        assert {r["t"] for r in out if r["s"] == name} == set(range(last - count + 1, last + 1))
    assert lb.plan(made, spark).rows == result.rows == sum(stay.values())
    [old] = lb.explain(made, spark, "s = 'same' AND t = 0")
    assert old["fate"] == "beyond the horizon" and old["horizon"] == 2
