"""Gates of fairness over what a recipe reads and publishes, with the published table as judge."""

from fractions import Fraction

import pytest
from pyspark.sql import functions as F

import lakebalance as lb
from lakebalance.core.errors import GateError, RecipeError

PARITY = {"groups": ["the.g"], "measure": "demographic_parity_difference", "min_rows": 20}
LATE = {"column": "late", "value": True}


@pytest.fixture(scope="module")
def source(spark, tmp_path_factory):
    """Three groups of 600, 300 and 30 rows, late in 1 of 2, 1 of 5 and 1 of 3 rows; one null."""
    path = str(tmp_path_factory.mktemp("fair") / "source")
    df = spark.range(930).select(
        "id",
        F.expr("CASE WHEN id < 600 THEN 'a' WHEN id < 900 THEN 'b' ELSE 'c' END").alias("the.g"),
        F.expr("CASE WHEN id = 929 THEN NULL WHEN id < 600 THEN id % 2 = 0 "
               "WHEN id < 900 THEN id % 5 = 0 ELSE id % 3 = 0 END").alias("late"),
        F.expr("id % 7 = 0").alias("guess"),
        F.expr("CAST(id % 10 AS DOUBLE)").alias("x"),
    )  # fmt: skip
    df.write.format("delta").option("delta.columnMapping.mode", "name").save(path)
    return path


def recipe_of(recipe, source, gates, by=("the.g",), **parts):
    return recipe(
        {"name": "s", "table": source, "key": ["id"]},
        expect={"fairness": gates},
        allocate={"balance": {"by": list(by), "method": "equal"}, "rows": 300},
        **parts,
    )


def rates_in(df, weight=None):
    """Late rows, and rows of which it is known, by group."""
    one = F.lit(1) if weight is None else F.col(weight)
    counted = df.where("late IS NOT NULL").groupBy("`the.g`").agg(
        F.sum(F.when(F.col("late"), one).otherwise(0)).alias("k"), F.sum(one).alias("n")
    )  # fmt: skip
    return {row["the.g"]: (row["k"], row["n"]) for row in counted.collect()}


def gap(rates, ratio=False):
    shares = [k / n for k, n in rates.values()]
    return min(shares) / max(shares) if ratio else max(shares) - min(shares)


def test_what_is_judged_is_what_is_published(spark, recipe, source, tmp_path):
    people = str(tmp_path / "people")
    spark.createDataFrame([("a", 50), ("b", 30), ("c", 10), ("c", 10)], "`the.g` string, n int") \
        .write.format("delta").option("delta.columnMapping.mode", "name").save(people)  # fmt: skip
    gates = [
        {**PARITY, "outcome": "late AND x < 11", "on": "both"},
        {"groups": ["the.g"], "measure": "representation", "min_rows": 1,
         "reference": {"table": people, "count": "n"}, "on": "both"},
        {**PARITY, "outcome": "late", "prediction": "guess",
         "measure": "equalized_odds_difference", "min_rows": 5},
    ]  # fmt: skip
    asked = recipe_of(recipe, source, gates)
    planned = lb.plan(asked, spark).to_dict()
    run = lb.run(asked, spark).to_dict()
    assert run["gates"] == planned["gates"]
    assert [gate["kind"] for gate in run["gates"]] == ["fairness"] * 5
    before, before_shares, after, after_shares, odds = run["gates"]

    # All 930 rows passed the gates; of one nobody knows whether it is late.
    assert before["number"] == pytest.approx(float(Fraction(1, 2) - Fraction(1, 5)))
    assert not before["success"] and before["rows"] == 930
    published = spark.read.format("delta").load(str(tmp_path / "out"))
    rates = rates_in(published)
    unknown = published.where("late IS NULL").count()
    assert sum(n for _, n in rates.values()) == 300 - unknown
    assert after["number"] == pytest.approx(gap(rates))
    assert after["rows"] == 300

    # Groups of 100 rows each, where half, three and two tenths of the people are.
    assert after_shares["number"] == pytest.approx((1 / 3) / 0.5)
    assert after_shares["worst"] == "a 33.3% of rows, 50.0% of the reference"
    assert before_shares["number"] == pytest.approx(30 / 930 / 0.2)
    ones = [published.where(c).groupBy("`the.g`").agg(F.avg(F.col("guess").cast("int")))
            for c in ("late", "NOT late")]  # fmt: skip
    shares = [[row[1] for row in own.collect()] for own in ones]
    assert odds["number"] == pytest.approx(max(max(own) - min(own) for own in shares))
    codes = [warning["code"] for warning in run["warnings"]]
    assert codes.count("fairness") == sum(not gate["success"] for gate in run["gates"])
    titles = [diagnostic["title"] for diagnostic in run["diagnostics"]]
    assert "representation over the.g after balance" in titles
    # The ledger has it all.
    assert lb.run(asked, spark).to_dict()["gates"] == run["gates"]


def test_targets_of_groups_say_what_is_published_without_reading_it(
    spark, recipe, source, monkeypatch
):
    for reads in ("_sampled", "_counted"):
        monkeypatch.delattr(f"lakebalance.fairness_gates.{reads}")
    gate = {**PARITY, "outcome": LATE, "measure": "disparate_impact_ratio", "on": "both"}
    split = {"starts": {"test": 8}, "time": "x"}
    asked = recipe_of(recipe, source, [gate], by=["the.g", "late"], split=split)
    made = lb.plan(asked, spark)
    before, after = made.gates
    rows = spark.read.format("delta").load(source).where("x < 8")
    assert before.number == pytest.approx(gap(rates_in(rows), ratio=True))
    targets = {}
    for group in made.groups:
        if group.group["late"] is not None:
            k, n = targets.get(group.group["the.g"], (0, 0))
            late = group.target * group.group["late"]
            targets[group.group["the.g"]] = (k + late, n + group.target)
    assert after.number == pytest.approx(gap(targets, ratio=True))
    assert after.rows == made.rows and after.success and not before.success
    assert all(group.threshold is None for group in made.groups)


def test_a_gate_that_stops_leaves_the_target_as_it_was(spark, recipe, source, tmp_path):
    lb.run(recipe_of(recipe, source, []), spark)
    gate = {**PARITY, "outcome": "late", "on_fail": "stop"}
    stopping = recipe_of(recipe, source, [gate], seed=2)
    message = r"demographic_parity_difference of late over the.g after balance failed: .*limit 0.1"
    for work in (lb.plan, lb.run):
        with pytest.raises(GateError, match=message) as failed:
            work(stopping, spark)
    assert failed.value.exit_code == 3 and "nothing was published" in str(failed.value)
    history = spark.sql(f"DESCRIBE HISTORY delta.`{tmp_path / 'out'}`")
    assert history.count() == 1


def test_weights_count_as_rows(spark, recipe, source, tmp_path):
    gate = {**PARITY, "groups": ["guess"], "outcome": "late"}
    sample = {"method": "weight", "column": "w"}
    made = lb.run(recipe_of(recipe, source, [gate], sample=sample), spark)
    published = spark.read.format("delta").load(str(tmp_path / "out"))
    renamed = published.drop("the.g").withColumnRenamed("guess", "the.g")
    assert made.plan.gates[0].number == pytest.approx(gap(rates_in(renamed, "w")), abs=1e-5)
    assert made.plan.gates[0].rows == 300


@pytest.mark.parametrize(
    ("gate", "message"),
    [
        ({"groups": ["teh.g"]}, r'fairness.0.groups: no column "teh.g"; did you mean "the.g"'),
        ({"outcome": {"column": "lat", "value": True}}, r'outcome.column: no column "lat"; did yo'),
        ({"outcome": {"column": "late", "value": 1}}, r'"late" is of type boolean; its values can'),
        ({"outcome": "lete"}, r"fairness.0.outcome: .*lete"),
        ({"outcome": "x + 1"}, r"outcome: x \+ 1 is double; write a condition that is true or"),
    ],
)
def test_errors_say_what_to_write_instead(spark, recipe, source, gate, message):
    with pytest.raises(RecipeError, match=message):
        lb.plan(recipe_of(recipe, source, [{**PARITY, "outcome": LATE, **gate}]), spark)


@pytest.mark.slow
def test_phases_in_one_table_are_all_judged(spark, recipe, source, tmp_path):
    gates = [{**PARITY, "outcome": LATE}, {**PARITY, "outcome": "late"}]
    phases = [{"name": "last", "rows": 200, "balance": {"by": ["the.g"], "method": "equal"}}]
    asked = recipe_of(recipe, source, gates, by=["the.g", "late"], phases=phases, order={})
    made = lb.run(asked, spark)
    # The first gate knows by the targets of both phases what the second one counts.
    known, counted = made.plan.gates
    published = spark.read.format("delta").load(str(tmp_path / "out"))
    assert known.rows == counted.rows == published.count() == 500
    assert known.number == counted.number == pytest.approx(gap(rates_in(published)))


@pytest.mark.slow
def test_synthetic_rows_are_judged_as_they_are_made(spark, recipe, source, tmp_path):
    sample = {"method": "smote", "features": ["x"], "k_neighbors": 2}
    gate = {**PARITY, "groups": ["guess"], "outcome": "`the.g` = 'c'"}
    made = lb.run(recipe_of(recipe, source, [gate], sample=sample), spark)
    published = spark.read.format("delta").load(str(tmp_path / "out"))
    rows = published.groupBy("guess").agg(F.avg((F.col("`the.g`") == "c").cast("int")).alias("r"))
    rates = [row["r"] for row in rows.collect()]
    assert made.plan.gates[0].number == pytest.approx(max(rates) - min(rates))
    assert sum(group.synthetic for group in made.plan.groups) > 0
