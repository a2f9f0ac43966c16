"""Gates of drift: bins, groups and verdicts, with numpy and scipy as the judges."""

import datetime as dt
from collections import Counter
from decimal import Decimal

import numpy as np
import pytest
from pyspark.sql import functions as F
from scipy import stats

import lakebalance as lb
from lakebalance.core.distances import psi
from lakebalance.core.errors import GateError, RecipeError, TableError
from lakebalance.core.histograms import count_both, find_scales
from lakebalance.expect.drift import drift
from lakebalance.recipe.drift import Drift
from lakebalance.recipe.load import loads

NAN = float("nan")
SCHEMA = (
    "`a.b` double, price decimal(12,3), day date, at timestamp, on boolean, `k v` string, "
    "few int, `The Group` string, one int"
)
EPOCH = dt.datetime(1970, 1, 1)


def rows_of(seed, n, shift):
    """Rows of which every column but ``one`` and the group moves with the shift."""
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(n):
        x = rng.normal(shift, 1)
        word = "abcdef"[min(int(rng.exponential(1 + shift)), 5)]
        rows.append(
            (
                [float(x), None, NAN, -0.0][0 if i % 20 else i // 20 % 4],
                Decimal(f"{rng.lognormal(shift, 2):.3f}"),
                dt.date(2024, 1, 1) + dt.timedelta(days=int(rng.integers(0, 90) + 30 * shift)),
                EPOCH + dt.timedelta(microseconds=int(rng.integers(10**9, 10**13) * (1 + shift))),
                None if i % 50 == 0 else bool(rng.random() < 0.5 + shift / 4),
                word,
                int(rng.choice([1, 2, 2**31 - 1], p=[0.5, 0.01, 0.49])),
                "x" if i % 3 else None,
                7,
            )
        )
    return rows


NEW, OLD = rows_of(1, 3000, 0.5), rows_of(2, 4001, 0.0)
NAMES = ["a.b", "price", "day", "at", "on", "k v", "few", "one"]


@pytest.fixture(scope="module")
def both(spark):
    return [spark.createDataFrame(rows, SCHEMA).repartition(3) for rows in (NEW, OLD)]


def gate_of(**parts):
    return Drift.model_validate({"columns": ["a.b"], "against": {"version": 0}, **parts})


def measured(both, **parts):
    new, old = both
    return drift(gate_of(**parts), [new], [old], "version 0", "expect.drift.0")


def number_of(value):
    """What a value is to an order: a number, or None for null and NaN."""
    if value is None or str(value) == "nan":
        return None
    return float(value.toordinal()) if type(value) is dt.date else value


def bin_counts(column, parts, group=None):
    """Rows of both sides by bin, worked out without Spark; ``group`` is a pair of index, value."""
    of_group = [[r for r in s if group is None or r[group[0]] == group[1]] for s in (NEW, OLD)]
    new, old = ([row[column] for row in side] for side in of_group)
    every = [row[column] for row in OLD]
    if isinstance(every[1], str | bool):
        bins = [Counter(new), Counter(old)]
    else:
        values = sorted(number_of(v) for v in every if number_of(v) is not None)
        edges = sorted({values[len(values) * i // parts] for i in range(1, parts)} - {values[0]})
        if len(set(values)) <= parts:
            edges = sorted(set(values))[1:]

        def bin_of(value):
            at = number_of(value)
            return repr(value) if at is None else sum(1 for edge in edges if at >= edge)

        bins = [Counter(map(bin_of, new)), Counter(map(bin_of, old))]
    keys = sorted({*bins[0], *bins[1]}, key=repr)
    return [[side[key] for key in keys] for side in bins]


def test_psi_of_columns_of_all_types_is_that_of_bins_made_without_spark(both):
    found = measured(both, columns=NAMES, chance=None)
    lines = {row[0]: row for row in found.diagnostic.rows}
    assert [len(lines), len(found.diagnostic.rows)] == [len(NAMES)] * 2
    for i, name in enumerate(NAMES):
        column = 8 if name == "one" else i
        expected = psi(*bin_counts(column, 10))
        assert lines[name][1] == pytest.approx(expected, rel=1e-9), name
        assert lines[name][2:5] == [0.25, 4001, 3000]
        assert lines[name][-1] == ("yes" if expected > 0.25 else "no")
    assert lines["one"][1] == 0
    worst = found.diagnostic.rows[0]
    verdict = found.verdict
    assert (verdict.number, verdict.limit, verdict.kind) == (worst[1], 0.25, "drift")
    assert verdict.worst.startswith(worst[0]) and not verdict.success
    assert verdict.rows == 3000 and verdict.unexpected is None


@pytest.mark.slow
def test_ks_is_that_of_scipy_between_bins(both):
    found = measured(both, columns=["a.b", "price", "few", "on"], measure="ks", chance=None)
    lines = {row[0]: row[1] for row in found.diagnostic.rows}
    for name, column in (("few", 6), ("price", 1)):
        new, old = ([float(row[column]) for row in side] for side in (NEW, OLD))
        exact = stats.ks_2samp(new, old, method="asymp").statistic
        if name == "few":  # each value has a bin
            assert lines[name] == pytest.approx(exact, abs=1e-12)
        # What lies between two edges can be missed: a hundredth of the reference.
        assert exact - 0.02 < lines[name] <= exact + 1e-12
    # Null is the least value and NaN the greatest, as Spark sorts them.
    nulls = [[-1 if row[4] is None else int(row[4]) for row in side] for side in (NEW, OLD)]
    assert lines["on"] == pytest.approx(stats.ks_2samp(*nulls, method="asymp").statistic)
    odd = [
        [-1e9 if v is None else 1e9 if str(v) == "nan" else v for v in (row[0] for row in side)]
        for side in (NEW, OLD)
    ]
    exact = stats.ks_2samp(*odd, method="asymp").statistic
    assert exact - 0.02 < lines["a.b"] <= exact + 1e-12


def test_groups_are_compared_each_by_itself_with_the_bins_of_all(both):
    found = measured(both, columns=["price", "k v"], within=["The Group"], chance=None)
    lines = {(row[0], row[1]): row[2] for row in found.diagnostic.rows}
    assert len(lines) == 4
    for name, column in (("price", 1), ("k v", 5)):
        for text, value in (('The Group="x"', "x"), ("The Group=null", None)):
            expected = psi(*bin_counts(column, 10, (7, value)))
            assert lines[name, text] == pytest.approx(expected, rel=1e-9)
    assert found.verdict.number == max(lines.values())
    few = measured(both, columns=["price"], within=["few"], min_rows=100)
    assert few.diagnostic.rows[0][1] in ("few=1", "few=2147483647")
    assert "Fewer than 100 rows on one side have few=2 (" in few.diagnostic.note


def test_what_is_found_does_not_depend_on_how_rows_lie(both):
    new, old = both
    gate = gate_of(columns=["price", "k v"], within=["The Group"], given=["few"], top=3)
    one = drift(gate, [new], [old], "version 0", "p")
    apart = [[side.where("day < '2024-02-01'"), side.where("day >= '2024-02-01'").repartition(7)]
             for side in (new, old)]  # fmt: skip
    assert drift(gate, *apart, "version 0", "p") == one
    assert "few=" in one.verdict.worst


def test_counts_of_parts_add_up_to_those_of_all(both):
    new, old = both
    scales = find_scales(old, ["price", "k v"], 5, 2)
    parts = [
        side.where(condition) for side in both for condition in ("on", "NOT coalesce(on, false)")
    ]
    whole = count_both([new], [old], scales, [])
    first, second = (count_both([parts[i]], [parts[i + 2]], scales, []) for i in (0, 1))
    for (_, all_), (_, a), (_, b) in zip(whole, first, second, strict=True):
        assert all_.new == [x + y for x, y in zip(a.new, b.new, strict=True)]
        assert all_.old == [x + y for x, y in zip(a.old, b.old, strict=True)]
    # Of texts two are counted apart: the commonest, and of equals the first by value.
    commonest = sorted(Counter(row[5] for row in OLD).items(), key=lambda own: (-own[1], own[0]))
    assert scales[1].bins[1:-1] == sorted("=" + value for value, _ in commonest[:2])
    assert whole[1][1].old[-1] == sum(n for _, n in commonest[2:])


def test_a_value_that_was_never_seen_is_another_one(spark):
    old = spark.createDataFrame([("a",)] * 200, "c string")
    new = spark.createDataFrame([("a",)] * 150 + [("other",)] * 50, "c string")
    found = drift(gate_of(columns=["c"]), [new], [old], "version 0", "p")
    assert found.verdict.worst == "c (any other value: 0.0% to 25.0%)"
    assert found.verdict.number == pytest.approx(psi([150, 50], [200, 0]))
    assert not found.verdict.success


def test_errors_say_what_to_write_instead(spark, both):
    new, old = both

    def fails(error, message, reference=old, **parts):
        with pytest.raises(error, match=message):
            drift(gate_of(**parts), [new], [reference], "version 0", "expect.drift.0")

    fails(RecipeError, r'drift.0.columns: no column "few_"; did you mean "few"', columns=["few_"])
    fails(RecipeError, r'drift.0.given: no column "grp"', given=["grp"])
    fails(RecipeError, r'ks compares values in order.*"k v"', columns=["k v"], measure="ks")
    fails(RecipeError, r'columns, in version 0: no column "a.b"', old.drop("a.b").drop("`a.b`"))
    dated = old.withColumn("day", F.col("day").cast("timestamp"))
    fails(RecipeError, r'"day" is date, and timestamp in what it is c', dated, columns=["day"])
    texts = old.withColumn("few", F.col("few").cast("string"))
    fails(RecipeError, r'"few" is int, and string', texts, within=["few"], columns=["on"])
    fails(TableError, r"drift.0.against: version 0 has no row", old.limit(0))
    nested = new.withColumn("a.b", F.array("few"))
    with pytest.raises(RecipeError, match=r'"a.b" is array<int>; name one of numbers, dates'):
        drift(gate_of(), [nested], [old], "version 0", "p")


def test_too_few_rows_are_not_compared_and_it_is_said(spark):
    one = spark.createDataFrame([(1.0, "a")], "x double, g string")
    found = drift(gate_of(columns=["x"], within=["g"]), [one], [one], "version 0", "p")
    assert found.verdict.success and found.verdict.number is None
    assert found.diagnostic.warning[0] == "drift_not_compared"
    assert 'g="a" (1 rows before, 1 now)' in found.diagnostic.warning[1]
    every = drift(gate_of(columns=["x"], within=["g"], min_rows=1), [one], [one], "v", "p")
    assert (every.verdict.number, every.verdict.success) == (0, True)


RECIPE = """\
name: t
sources: [{name: a, table: lake/a}, {name: b, table: lake/b}]
expect:
  drift:
    - {columns: [x], against: {run: newest}}
publish: {table: lake/out}
"""


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("{run: newest}}", "{run: newest}, on_fail: quarantine}",
         r"r.yaml:5  expect.drift.0.on_fail: drift says nothing of single rows, .* warn or stop"),
        ("{run: newest}", "{}", r"drift.0.against: write one of version, timestamp, run, source"),
        ("{run: newest}", "{run: newest, source: a}", r"against: write one of"),
        ("{run: newest}", "{source: a, version: 3}", r"write source, or version or timestamp"),
        ("{run: newest}", "{version: 3, where: x > 1}", r"where and format go with table"),
        ("{run: newest}", "{table: a/b, where: rand() < 1}", r'"rand" is not a function of the ro'),
        ("{run: newest}", "{table: a/b, format: parquet, version: 1}", r"Parquet table has no ver"),
        ("{run: newest}", "{source: c}", r"expect names a source 'c'; there are: \['a', 'b'\]"),
        ("{run: newest}}", "{source: a}, source: a}", r"source 'a' is compared with itself"),
        ("columns: [x]", "columns: [x], within: [x]", r"'x' has one value in each of its own gr"),
        ("columns: [x]", "columns: [x, x]", r"columns: the column 'x' is there twice"),
        ("columns: [x]", "columns: [x], mesure: ks", r'unknown field; did you mean "measure"'),
        ("columns: [x]", "columns: [x], measure: chi_square, chance: 0.1", r"leave chance out"),
        ("columns: [x]", "columns: [x], measure: ks, threshold: 1.5", r"must be under 1; was 1.5"),
    ],
)  # fmt: skip
def test_mistakes_in_recipes_are_said_with_their_place(old, new, message):
    with pytest.raises(RecipeError, match=message):
        loads(RECIPE.replace(old, new), "r.yaml")


def test_recipes_round_trip_and_a_suite_leaves_drift_alone(tmp_path):
    recipe = loads(RECIPE)
    assert loads(recipe.to_yaml()) == recipe
    (tmp_path / "s.yaml").write_text("- {expectation: ExpectTableRowCountToBeBetween}")
    text = RECIPE.replace("expect:\n", "expect:\n  suite: s.yaml\n")
    assert loads(text, folder=tmp_path).expect.drift == recipe.expect.drift


@pytest.fixture
def moved(spark, tmp_path):
    """A table whose version 1 has other values of ``x`` than version 0."""
    path = str(tmp_path / "moved")
    base = spark.range(1000).select("id", (F.col("id") % 10).alias("x"))
    base.write.format("delta").save(path)
    higher = base.withColumn("x", F.col("x") + F.lit(5))
    higher.write.format("delta").mode("overwrite").save(path)
    return path


def drifting(recipe, path, against, where=None, **gate):
    source = {"name": "s", "table": path, "key": ["id"], "where": where}
    return recipe(source, expect={"drift": [{"columns": ["x"], "against": against, **gate}]})


@pytest.mark.slow
def test_a_run_is_compared_with_what_the_run_before_has_read(spark, recipe, moved, tmp_path):
    first = drifting(recipe, moved, {"run": "newest"}, "x < 10")
    made = lb.run(first, spark).to_dict()
    gate = made["gates"][0]
    assert (gate["success"], gate["number"], gate["kind"]) == (True, None, "drift")
    assert "No other run to" in made["diagnostics"][0]["note"]
    assert not made["warnings"]

    # The next one reads other rows of the same version: the filter of the first is its own.
    second = drifting(recipe, moved, {"run": "newest"}, "x >= 10", on_fail="stop", min_rows=50)
    with pytest.raises(
        GateError, match=rf"against run {made['run_id']} failed: x \(.*\): \d.*, limit 0"
    ):
        lb.run(second, spark)
    after = spark.read.format("delta").load(str(tmp_path / "out"))
    assert after.count() == 500 and after.where("x >= 10").isEmpty()

    third = drifting(recipe, moved, {"run": "newest"}, "x >= 10", min_rows=50)
    run = lb.run(third, spark).to_dict()
    assert [w["code"] for w in run["warnings"]] == ["drift"]
    assert run["gates"][0]["number"] > run["gates"][0]["limit"]
    # Planned again, it is still compared with the first run; run again, it is remembered.
    assert lb.plan(third, spark).to_dict()["gates"] == run["gates"]
    assert lb.run(third, spark).to_dict()["gates"] == run["gates"]


@pytest.mark.slow
def test_versions_times_and_tables_can_be_compared_with(spark, recipe, moved, tmp_path):
    when = spark.sql(f"DESCRIBE HISTORY delta.`{moved}`").collect()[-1]["timestamp"].isoformat()
    numbers = []
    for against in (
        {"version": 0},
        {"timestamp": when},
        {"table": moved, "version": 0, "where": "id >= 0"},
    ):
        gate = {"columns": ["x"], "against": against, "chance": None}
        numbers.append(gate)
    whole = recipe({"name": "s", "table": moved, "key": ["id"]}, expect={"drift": numbers})
    gates = lb.plan(whole, spark).to_dict()["gates"]
    # Ten values have a bin each; those over nine are in the last.
    expected = psi([0] * 5 + [100] * 4 + [600], [100] * 10)
    assert [gate["number"] for gate in gates] == [pytest.approx(expected)] * 3
    assert not any(gate["success"] for gate in gates)
    assert gates[0]["worst"] == "x (9 and above: 10.0% to 60.0%)"


@pytest.mark.slow
def test_sources_can_be_compared(spark, recipe, moved):
    def plan(**gate):
        sources = [
            {"name": "old", "table": moved, "version": 0, "key": ["id"]},
            {"name": "new", "table": moved, "version": 1, "key": ["id"]},
        ]
        return lb.plan(recipe(*sources, expect={"drift": [{"columns": ["x"], **gate}]}), spark)

    found = plan(against={"source": "old"}).gates[0]
    assert not found.success and found.rows == 1000
    assert found.expectation == 'drift of x by psi against source "old"'
    with pytest.raises(RecipeError, match=r"against.version: old, new have versions of their own"):
        plan(against={"version": 0})
    with pytest.raises(TableError, match=r"expect.drift.0.against.version: .*no version 9"):
        plan(against={"version": 9}, source="new")


@pytest.mark.slow
def test_rows_that_are_forgotten_are_not_compared_with(spark, recipe, moved):
    asked = drifting(recipe, moved, {"version": 0}, min_rows=1)
    lb.run(asked, spark)
    lb.forget(asked, spark, where="id % 10 = 9", dry_run=False)
    line = lb.plan(asked, spark).diagnostics[0]["rows"][0]
    assert line[3:5] == [900, 900]
    # Nine values are left on both sides; those over eight are in the last bin.
    assert line[1] == pytest.approx(psi([0] * 5 + [100] * 3 + [600], [100] * 9))
