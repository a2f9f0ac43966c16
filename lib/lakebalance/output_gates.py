"""Expectations of the rows that are to be published, judged before any is written."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakebalance.cautions import failed
from lakebalance.core.progress import Stopwatch
from lakebalance.core.sources import SOURCE
from lakebalance.expect.gate import Gate
from lakebalance.expect.known import configure

if TYPE_CHECKING:
    from lakebalance.frames import Frames
    from lakebalance.plans import Plan


def check_output_expectations(frames: Frames) -> None:
    """Raise where one is unknown or its arguments are wrong, before rows are counted.

    Raises
    ------
    RecipeError : with its place in the recipe.
    """
    for place, own in frames.recipe.expectations("after").items():
        configure(own, frames.branches[0].columns, place)


def with_output_expectations(
    frames: Frames, watch: Stopwatch, plan: Plan, left: list[DataFrame]
) -> Plan:
    """The plan with what expectations find in the rows of the balanced table.

    The rows are counted as they are sampled, in one job for all expectations of rows, besides those
    that Great Expectations needs for expectations of tables.

    Parameters
    ----------
    frames : the recipe and its sources.
    watch : notes what it takes.
    plan : with thresholds.
    left : the rows to sample.

    Returns
    -------
    The plan with verdicts and warnings.

    Raises
    ------
    RecipeError : an expectation cannot be used on these rows.
    """
    asked = frames.recipe.expectations("after")
    if not asked:
        return plan
    with watch.stage("expect of output", plan.rows):
        rows = frames.sampled(left, plan, frames.outputs[0])
        gate = Gate([rows.withColumn(SOURCE, F.lit(""))], asked)
        [frame] = gate.flagged
        sums = [F.count_if(condition).alias(name) for name, condition in gate.counted.items()]
        counts = frame.agg(F.count(F.lit(1)).alias("rows"), *sums).collect()[0].asDict()
        found = gate.verdicts(counts, counts["rows"])
    verdicts = [replace(v, expectation=f"{v.expectation} after balance") for v in found]
    warnings = [{"code": code, "message": message} for code, message in failed(verdicts)]
    gates, said = [*plan.gates, *verdicts], [*plan.warnings, *warnings]
    return replace(plan, gates=gates, warnings=said)
