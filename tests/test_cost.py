"""What a plan and a run cost: Spark jobs, columns read, nothing collected but groups."""

import uuid

import pytest
from pyspark.sql import functions as F

import lakebalance as lb
from lakebalance.core.counts import count_groups
from lakebalance.core.histograms import binned, find_scales
from lakebalance.core.progress import Stopwatch
from lakebalance.expect.drift import drift
from lakebalance.expect.gate import Gate
from lakebalance.frames import Frames
from lakebalance.pipeline import with_thresholds
from lakebalance.planning import counted, planned
from lakebalance.recipe.drift import Drift
from lakebalance.recipe.models import Expectation, Phase
from lakebalance.sample.thresholds import GROUP, HASH


@pytest.fixture
def wide(spark, tmp_path, recipe):
    """A recipe over a table of 20 columns, with a gate on one of them."""
    columns = [F.concat(F.lit(f"c{i}-"), "id").alias(f"c{i}") for i in range(17)]
    label = F.when(F.col("id") % 10 == 0, "rare").otherwise("common").alias("label")
    df = spark.range(5000).select("id", label, (F.col("id") / 2).alias("x"), *columns)
    df.write.format("delta").save(str(tmp_path / "wide"))
    return recipe(
        {"name": "s", "table": str(tmp_path / "wide"), "key": ["id"]},
        expect={"expectations": [{"expectation": "ExpectColumnValuesToBeBetween",
                                  "args": {"column": "x", "min_value": 5}}]},
        allocate={"balance": {"by": ["label"], "method": "equal"}, "rows": 400},
    )  # fmt: skip


def jobs_of(spark, work):
    """Spark jobs that a piece of work starts from this thread."""
    context, group = spark.sparkContext, uuid.uuid4().hex
    context.setJobGroup(group, "counted")
    try:
        work()
    finally:
        context.setLocalProperty("spark.jobGroup.id", None)
    return len(context.statusTracker().getJobIdsForGroup(group))


def scans(df, capsys):
    df.explain()
    lines = capsys.readouterr().out.splitlines()
    return [line.split("ReadSchema: ")[1] for line in lines if "ReadSchema: " in line]


def plain_count(spark, recipe):
    """The least that counting groups can cost: Delta's own jobs, and one groupBy."""
    table = spark.read.format("delta").load(recipe.sources[0].table)
    return table.where("x >= 5").groupBy("label").count().collect()


def test_counting_rows_groups_and_gates_costs_one_group_by(spark, wide):
    frames = Frames(wide, spark)
    gate = frames.gate
    arguments = (gate.flagged, ["label"], ["s"], gate.left, gate.counted)
    plain = jobs_of(spark, lambda: plain_count(spark, wide))
    # Collecting by Arrow takes up to two more than collecting rows, whatever the query.
    assert jobs_of(spark, lambda: count_groups(*arguments)) <= plain + 2


def test_a_plan_reads_only_the_columns_it_needs(spark, wide, capsys):
    frames = Frames(wide, spark)
    gate = frames.gate
    counted = gate.flagged[0].where(gate.left).groupBy("label").count()
    assert scans(counted, capsys) == ["struct<label:string,x:double>"]
    ranked = frames.hashed(gate.passed()[0], frames.outputs[0]).select(GROUP, HASH)
    assert scans(ranked, capsys) == ["struct<id:bigint,label:string,x:double>"]


def test_a_filter_is_pushed_into_the_scan(spark, wide, capsys):
    sources = [wide.sources[0].model_copy(update={"where": "id < 100"})]
    frames = Frames(wide.model_copy(update={"sources": sources}), spark)
    frames.all_rows.explain()
    assert "LessThan(id,100)" in capsys.readouterr().out


def test_sampling_shuffles_no_rows(spark, wide, capsys):
    result = lb.run(wide, spark)
    frames = Frames(wide, spark)
    frames.sampled(frames.gate.passed(), result.plan, frames.outputs[0]).explain()
    shown = capsys.readouterr().out
    assert "BroadcastHashJoin" in shown
    assert "Exchange hashpartitioning" not in shown and "Exchange range" not in shown


def test_jobs_of_a_plan_and_a_run_are_few(spark, wide):
    plain = jobs_of(spark, lambda: plain_count(spark, wide))
    planning = jobs_of(spark, lambda: lb.plan(wide, spark))
    running = jobs_of(spark, lambda: lb.run(wide, spark))
    again = jobs_of(spark, lambda: lb.run(wide, spark))
    print(f"jobs: plain groupBy {plain}, plan {planning}, run {running}, again {again}")
    assert planning <= plain + 4  # opening the source asks Delta's log
    assert running <= 60
    assert again < running / 2


def test_thresholds_of_all_phases_take_one_scan(spark, wide):
    phases = [{"name": "natural", "rows": 300}, {"name": "last", "rows": 70}]
    asked = wide.model_copy(update={"phases": [Phase.model_validate(p) for p in phases]})

    def jobs(recipe):
        frames = Frames(recipe, spark)
        made, left = planned(frames, Stopwatch(), *counted(frames, Stopwatch()), None)
        return jobs_of(spark, lambda: with_thresholds(frames, made, left))

    assert jobs(asked) <= jobs(wide)


def test_drift_reads_each_side_once_for_counts_and_only_its_columns(spark, wide, capsys):
    gate = Drift.model_validate(
        {"columns": ["x", "c2", "c1"], "within": ["label"], "against": {"version": 0}}
    )
    rows = spark.read.format("delta").load(wide.sources[0].table)
    # Ends of the numbers, two rounds of quantiles, values of the texts, and one job that counts;
    # more for what Delta and Arrow ask on the way, as in a plain groupBy.
    plain = jobs_of(spark, lambda: plain_count(spark, wide))
    cost = jobs_of(spark, lambda: drift(gate, [rows], [rows], "version 0", "p"))
    assert cost <= plain + 12
    scales = find_scales(rows, ["x", "c1"], 10, 10)
    assert scans(binned(rows, scales, ["label"]), capsys) == [
        "struct<label:string,x:double,c1:string>"
    ]


def test_jobs_of_a_suite_are_few(spark, wide):
    """20 expectations, 10 of rows and 10 of all rows: two jobs, as of each half one aggregate."""
    rows = Frames(wide, spark).branches
    args = [{"column": f"c{i}", "regex": "^c"} for i in range(8)]
    named = [("ExpectColumnValuesToMatchRegex", own) for own in args]
    named += [("ExpectColumnValuesToNotBeNull", {"column": "x", "row_condition": "id > 3"})]
    named += [("ExpectColumnPairValuesToBeEqual", {"column_A": "c0", "column_B": "c0"})]
    named += [("ExpectColumnMeanToBeBetween", {"column": "x", "min_value": 1})]
    named += [("ExpectColumnMaxToBeBetween", {"column": c, "min_value": 1}) for c in ("x", "id")]
    named += [("ExpectColumnMinToBeBetween", {"column": c, "max_value": 1}) for c in ("x", "id")]
    named += [("ExpectColumnSumToBeBetween", {"column": c, "min_value": 1}) for c in ("x", "id")]
    named += [("ExpectTableRowCountToEqual", {"value": 5000})]
    named += [("ExpectTableColumnCountToEqual", {"value": 20})]
    named += [("ExpectColumnToExist", {"column": "c1"})]
    asked = {
        str(i): Expectation(expectation=name, args=own, on_fail="warn")
        for i, (name, own) in enumerate(named)
    }
    assert len(asked) == 20
    verdicts = []

    def judge():
        gate = Gate(rows, asked)
        sums = [F.count_if(c).alias(name) for name, c in gate.counted.items()]
        counts = gate.flagged[0].agg(F.count(F.lit(1)).alias("rows"), *sums).collect()[0].asDict()
        verdicts.extend(gate.verdicts(counts, counts["rows"]))

    # What Spark starts for one aggregate: a job for each of its two stages, and Delta's.
    one = jobs_of(spark, lambda: rows[0].agg(F.sum("x")).collect())
    jobs = jobs_of(spark, judge)
    print(f"jobs: one aggregate {one}, a suite of 20 expectations {jobs}")
    assert all(verdict.success for verdict in verdicts) and len(verdicts) == 20
    assert jobs <= 2 * one
