"""Drift of the newest window of series against what was before, as plans say it."""

import json
import math

import numpy as np
import pytest
from pydantic import ValidationError
from scipy import stats

import lakebalance as lb
from lakebalance.core.distances import bin_of, psi
from lakebalance.prune.drift import ALL, Drift
from lakebalance.prune.variance_horizon import VarianceHorizon, diagnose
from neighbourly import keyed, with_keys
from test_variance_horizon import horizon

SCHEMA = "id long, s string, t int, x double, y float"
ASKED = {"method": "variance_horizon", "by": ["s"], "time": "t", "values": ["x", "y"]}
WINDOW = 40


def series(seed=4):
    """Series, the oldest first: as it was, moved, wider, constant, gaps, young, of a null."""
    rng = np.random.default_rng(seed)
    made = {
        "as it was": rng.normal(size=300),
        "moved": np.append(rng.normal(size=260), rng.normal(2.0, 1.0, WINDOW)),
        "wider": np.append(rng.normal(size=200), rng.normal(0.0, 6.0, WINDOW)),
        "same": np.full(100, 7.5),
        "up": np.append(np.full(100, 7.5), np.full(WINDOW, 8.0)),
        "dead": np.append(rng.normal(size=100), np.full(WINDOW, np.nan)),
        "gaps": np.where(rng.random(200) < 0.5, np.nan, rng.integers(0, 4, 200) * -0.0),
        "never": np.full(90, np.nan),
        "odd": np.append(rng.integers(-2, 3, 90).astype(float), [math.inf, -math.inf, -0.0]),
        "young": rng.normal(size=2 * WINDOW - 1),
        None: rng.normal(size=90),
    }
    return {
        name: [(float(v), None if t % 3 else float(np.float32(v))) for t, v in enumerate(values)]
        for name, values in made.items()
    }


def rows_of(made):
    rows = [(name, t, *values) for name, own in made.items() for t, values in enumerate(own)]
    return [(i, *row) for i, row in enumerate(rows)]


def known(values):
    return [v for v in values if v is not None and math.isfinite(v)]


def by_hand(values, last, options):
    """PSI and KS with their limits, of values from the newest on."""
    new, old = values[: options.window], values[options.window : last]
    base = sorted(known(old))

    def number(v):
        if v is None or not math.isfinite(v):
            return 0
        if not base:
            return options.bins
        below = sum(b < v for b in base)
        return 1 + bin_of(below, base.count(v), len(base), options.bins)

    counts = [
        np.bincount([number(v) for v in side], minlength=options.bins + 1).tolist()
        for side in (new, old)
    ]
    filled = sum(a + b > 0 for a, b in zip(*counts, strict=True))
    found = {"PSI": (psi(*counts), options.psi_limit(filled, len(new), len(old)))}
    if known(new) and base:
        distance = stats.ks_2samp(known(new), base, method="asymp").statistic
        found["KS"] = distance, options.ks_limit(len(known(new)), len(base))
    return found, len(old), counts


def said(df, drift, **options):
    asked = VarianceHorizon(**{**ASKED, **options}, drift={"window": WINDOW, **drift})
    [table] = diagnose(with_keys(df), asked, "prune.0")
    return table, asked.drift


@pytest.mark.parametrize(
    "drift",
    [{}, {"against": "window", "chance": None, "bins": 5, "psi": None, "ks": 0.3}],
)
def test_numbers_and_limits_are_those_by_hand(spark, drift):
    made = series()
    df = spark.createDataFrame(rows_of(made), SCHEMA).repartition(3)
    table, options = said(df, drift)
    lines = {(line[0], line[1]): line[2:] for line in table.rows}
    sums = {}
    for name, own in made.items():
        newest_first = [[row[i] for row in own][::-1] for i in (0, 1)]
        kept = max(horizon(values, 0.95, 30) for values in newest_first)
        last = 2 * WINDOW if options.against == "window" else max(kept, 2 * WINDOW)
        for values, column in zip(newest_first, "xy", strict=True):
            if len(own) < 2 * WINDOW:
                assert (name, column) not in lines
                continue
            found, others, counts = by_hand(values, last, options)
            found = {n: f for n, f in found.items() if getattr(options, n.lower()) is not None}
            sums[column] = sums.get(column, 0) + np.array(counts)
            by, number, limit, rows, refresh = lines.pop((name, column))
            assert rows == others
            if not found:
                assert (by, number, limit, refresh) == (None, None, None, "no")
                continue
            assert found[by] == pytest.approx((number, limit))
            ratios = {n: value / most for n, (value, most) in found.items()}
            assert ratios[by] == pytest.approx(max(ratios.values()))
            assert refresh == ("yes" if max(ratios.values()) > 1 else "no")
    for column, (new, old) in sums.items():
        by, number, limit, rows, refresh = lines.pop((ALL, column))
        filled = sum(new + old > 0)
        if by == "PSI":
            assert number == pytest.approx(psi(new.tolist(), old.tolist()))
            assert limit == pytest.approx(options.psi_limit(filled, sum(new), sum(old)))
        assert rows == sum(old) and refresh == ("yes" if number > limit else "no")
    assert not lines
    if not drift:
        assert said(df.repartition(1), drift)[0] == table


def test_a_plan_says_which_series_to_refresh_and_why(spark):
    df = spark.createDataFrame(rows_of(series()), SCHEMA)
    table, _ = said(df, {"shown": 3}, values=["x"])
    assert table.columns == ["s", "column", "by", "number", "limit", "rows before", "refresh"]
    assert [line[0] for line in table.rows] == [ALL, "up", "dead", "moved"]
    assert [line[-1] for line in table.rows[1:]] == ["yes"] * 3
    assert table.title == "prune.0.drift: drift of the newest 40 rows of series"
    assert "Refresh 4 of 11 series." in table.note  # "wider", too
    assert "1 have fewer than 80 rows, which are too few to say" in table.note
    assert "Of 10 series and columns, the 3 worst are shown." in table.note
    code, message = table.warning
    assert code == "refresh" and "4 of 11 series" in message and '"s=up" the most' in message
    few, _ = said(df, {"share": 0.5, "ks": None, "psi": 3}, values=["x"])
    assert few.warning is None and "Refresh 2 of 11 series." in few.note


def test_what_all_series_have_in_common_is_seen_and_one_alone_has_no_line_for_all(spark):
    rng = np.random.default_rng(1)
    many = {
        f"s{i}": [(float(v), None) for v in np.append(rng.normal(size=80), rng.normal(0.8, 1, 40))]
        for i in range(25)
    }
    df = spark.createDataFrame(rows_of(many), SCHEMA)
    table, _ = said(df, {"chance": 1e-9}, values=["x"])
    assert [line[-1] for line in table.rows] == ["yes"] + ["no"] * 20
    assert "prune.0.drift: all series together drifted; the history" in table.warning[1]
    alone, _ = said(df.where("s = 's0'"), {}, by=[], values=["x"])
    assert [line[0] for line in alone.rows] == ["x"] and alone.columns[0] == "column"
    assert said(df.where("false"), {})[0].rows == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"psi": None, "ks": None}, "write at least one"),
        ({"psi": 0}, "greater than 0"),
        ({"chance": 1}, "less than 1"),
        ({"window": 5}, "greater than or equal to 10"),
        ({"bins": 1}, "greater than or equal to 2"),
        ({"against": "all"}, "'history' or 'window'"),
        ({"windows": 5}, "Extra inputs"),
    ],
)
def test_options_that_say_nothing_are_refused(options, message):
    with pytest.raises(ValidationError, match=message):
        Drift(**options)


@pytest.mark.parametrize("psi_at", [None, 0.25])
def test_limits_rise_where_rows_are_few(psi_at):
    options = Drift(psi=psi_at)
    assert options.psi_limit(10, 100, 100) == pytest.approx(27.877 / 50, rel=1e-4)
    assert options.ks_limit(100, 100) == pytest.approx(1.9495 * math.sqrt(0.02), rel=1e-4)
    assert options.ks_limit(10**6, 10**6) == 0.2
    assert Drift(chance=None).psi_limit(10, 100, 100) == 0.25


def of_two(table):
    """A source of a series that moved and one that did not."""
    made = {name: own for name, own in series().items() if name in ("as it was", "moved")}
    return keyed(table("t", rows_of(made), SCHEMA))


@pytest.mark.slow
def test_a_plan_warns_of_it(spark, table, recipe):
    asked = {**ASKED, "values": ["x"], "drift": {"window": WINDOW}}
    plan = json.loads(json.dumps(lb.plan(recipe(of_two(table), prune=[asked]), spark).to_dict()))
    [message] = [w["message"] for w in plan["warnings"] if w["code"] == "refresh"]
    assert message.startswith("prune.0.drift: 1 of 2 series and all series together drifted")
    assert plan["diagnostics"][0]["rows"][1][0] == "moved"


@pytest.mark.slow
def test_a_run_says_it_too_and_keeps_the_same_rows(spark, table, recipe):
    source, asked = of_two(table), {**ASKED, "values": ["x"]}
    plain = lb.run(recipe(source, prune=[asked]), spark)
    kept = {r["id"] for r in spark.read.format("delta").load(plain.table).collect()}
    watched = recipe(source, prune=[{**asked, "drift": {"window": WINDOW}}])
    # The second time it is remembered.
    for result in [lb.run(watched, spark).to_dict() for _ in range(2)]:
        assert [w["code"] for w in result["warnings"] if w["code"] == "refresh"] == ["refresh"]
        assert result["diagnostics"][0]["rows"][1][0] == "moved"
    found = spark.read.format("delta").load(plain.table).collect()
    assert {r["id"] for r in found} == kept and len(found) == len(kept)
