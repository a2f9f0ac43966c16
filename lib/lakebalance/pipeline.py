"""Strings the stages together: plan says what would come out, run makes exactly that."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakebalance.column_checks import check_columns
from lakebalance.core.beside import Beside
from lakebalance.core.counts import Census
from lakebalance.core.hashing import key_text_of
from lakebalance.core.keys import check_unique, number_key
from lakebalance.core.progress import Progress, Stopwatch
from lakebalance.core.registry import method_of
from lakebalance.core.sources import KEY, SOURCE
from lakebalance.core.tables import Table
from lakebalance.duplicates import duplicates_of
from lakebalance.expect.gate import REASONS
from lakebalance.expect.verdicts import Verdict
from lakebalance.fairness_gates import counts_output
from lakebalance.frames import Frames
from lakebalance.indexes import Indexes
from lakebalance.ledger import state_of
from lakebalance.lineage.sending import told
from lakebalance.planning import counted, judged, planned, prepared
from lakebalance.plans import Plan, PlannedGroup
from lakebalance.pruning import Found
from lakebalance.publish.state import State
from lakebalance.publish.transaction import published_version
from lakebalance.publishing import publish
from lakebalance.recipe.models import Recipe
from lakebalance.recipe.outputs import BALANCED, Output
from lakebalance.result import Result, remember, remember_plan, remembered
from lakebalance.sample.thresholds import (
    Threshold,
    find_thresholds,
    find_thresholds_together,
)
from lakebalance.scratch import ScratchTables
from lakebalance.state_tables import QUARANTINE
from lakebalance.table_checks import check_outputs


def plan(recipe: Recipe, spark: SparkSession, progress: Progress | None = None) -> Plan:
    """Say what a run would make, per source and group; writes nothing.

    Without pruning it takes one pass over the columns that filters, gates and groups need.

    Parameters
    ----------
    recipe : what to make.
    spark : a session, classic or Connect; used as it is.
    progress : called with the name of each stage as it starts.

    Returns
    -------
    The plan: sources at their versions, rows available and targeted per group.

    Raises
    ------
    LakebalanceError : see its subclasses; the message says what to change.

    Examples
    --------
    >>> plan(Recipe.load("conf/flights.yaml"), spark).rows  # doctest: +SKIP
    100000
    """
    watch, frames = Stopwatch(progress), Frames(recipe, spark)
    with watch.stage("read"):
        check_columns(frames)
    with Beside(spark) as beside:
        # Where tables lie decides about nothing that is counted.
        beside.start(partial(check_outputs, frames))
        census, verdicts = counted(frames, watch)
    frames.indexes = Indexes(state_of(recipe), spark, recipe, frames.run_id)
    with _written_between(frames) as keep:
        made, left = planned(frames, watch, census, verdicts, keep)
        if counts_output(frames) or recipe.expectations("after"):
            made = with_thresholds(frames, made, left)
        return judged(frames, watch, prepared(frames, watch, made, left), left)


@contextmanager
def _written_between(frames: Frames) -> Iterator[Found]:
    """What a plan does with the matches of a step: of several, those of each are written down.

    Each step reads what is left several times over, and all before it would be done as often.
    Who may read alone can plan all the same, and waits longer.
    """
    recipe = frames.recipe
    scratch = ScratchTables(state_of(recipe), frames.spark, recipe.name, f"plan-{frames.run_id}")
    if len(recipe.pruning) < 2 or not _can_write(scratch, frames.spark):
        yield lambda _, matches: matches
        return
    frames.scratch = scratch
    try:
        yield lambda i, matches: scratch(matches, f"{i}-matches")
    finally:
        frames.scratch = None
        scratch.clear()


def _can_write(scratch: ScratchTables, spark: SparkSession) -> bool:
    try:
        scratch(spark.range(1), "probe")
    except Exception:
        scratch.written.clear()
        return False
    return True


def run(recipe: Recipe, spark: SparkSession, progress: Progress | None = None) -> Result:
    """Make exactly what the plan says and publish it in one Delta transaction.

    Running a finished run again finds its commit and changes nothing.

    Parameters
    ----------
    recipe : what to make.
    spark : a session, classic or Connect; used as it is.
    progress : called with the name of each stage as it starts.

    Returns
    -------
    The plan, the version published, rows per group as counted there, and what each stage took.

    Raises
    ------
    LakebalanceError : nothing was published; the target is as before.

    Examples
    --------
    >>> run(Recipe.load("conf/flights.yaml"), spark).rows  # doctest: +SKIP
    100000
    """
    return carry_out(Frames(recipe, spark), progress)


def carry_out(frames: Frames, progress: Progress | None = None) -> Result:
    """Run a recipe over its sources as ``frames`` pin them, and tell of it; see ``run``."""
    with told(frames) as tell:
        result = _carried_out(frames, progress)
        tell(result)
    return result


def _carried_out(frames: Frames, progress: Progress | None) -> Result:
    started = dt.datetime.now(dt.timezone.utc)
    watch, recipe, spark = Stopwatch(progress), frames.recipe, frames.spark
    state = state_of(recipe)
    with watch.stage("read"):
        check_columns(frames)
        check_outputs(frames)
        known = {
            output.name: published_version(
                spark, Table(output.table), frames.run_id, recipe.publish.replace_where
            )
            for output in frames.outputs
        }
        if (finished := _finished(frames, state, known)) is not None:
            return finished
        frames.indexes = indexes = Indexes(
            state,
            spark,
            recipe,
            frames.run_id,
            writes=True,
            published=known[BALANCED] is not None,
        )
    census, verdicts = counted(frames, watch, number_key(frames.pinned))
    with Beside(spark) as beside:
        # Neither decides about the plan, and each scans the sources once, as thresholds do.
        beside.start(partial(_keys_checked, frames, watch, census))
        if any(group.left < group.rows for group in census.groups):
            beside.start(partial(_set_aside, frames, watch, state))
        plan, left, summed = _with_rows(frames, watch, state, census, verdicts, beside)
    with watch.stage("remember"):
        remember_plan(state, spark, plan)
        indexes.reserve()
    scratch = ScratchTables(state, spark, recipe.name, frames.run_id)
    try:
        balanced, *others = publish(frames, plan, left, known, watch, scratch)
    finally:
        scratch.clear()
    indexes.publish()
    result = Result(
        plan,
        Table(recipe.publish.table).name,
        balanced.version,
        balanced.rows,
        balanced.published,
        watch.entries,
        _paths(frames, state, plan),
        recipe.to_yaml(),
        dt.datetime.now(dt.timezone.utc).isoformat(timespec="seconds"),
        repeated=not balanced.by_this_try,
        outputs=[written.to_dict() for written in others],
        duplicates=summed.result(),
        replace_where=recipe.publish.replace_where,
    )
    remember(state, spark, result, started)
    return result


def _keys_checked(frames: Frames, watch: Stopwatch, census: Census) -> None:
    with watch.stage("check keys"):
        check_unique(frames.pinned, census)


def _set_aside(frames: Frames, watch: Stopwatch, state: State) -> None:
    with watch.stage("quarantine"):
        state.write(_quarantined(frames), QUARANTINE + frames.recipe.name, frames.run_id)


def _with_rows(
    frames: Frames,
    watch: Stopwatch,
    state: State,
    census: Census,
    verdicts: list[Verdict],
    beside: Beside,
) -> tuple[Plan, list[DataFrame], Future[list[dict[str, Any]]]]:
    """The plan with thresholds and what its sampler looked for, the rows to sample, duplicates."""

    scratch = ScratchTables(state, frames.spark, frames.recipe.name, frames.run_id)
    steps: list[DataFrame] = []

    def kept(i: int, matches: DataFrame) -> DataFrame:
        # Written once, so that counting, thresholds and output all see the same matches.
        found = state.write(matches, f"matches-{frames.recipe.name}-{i}", frames.run_id)
        beside.start(scratch.clearing())
        steps.append(found)
        return found

    frames.scratch = scratch
    plan, left = planned(frames, watch, census, verdicts, kept)
    summed = beside.start(partial(_summed_up, frames, watch, plan, steps))
    with watch.stage("sample", sum(g.available for g in plan.groups)) as entry:
        plan = with_thresholds(frames, plan, left)
        entry["rows_out"] = sum(_rows_out(frames.outputs[0], g) for g in plan.groups)
    return judged(frames, watch, prepared(frames, watch, plan, left), left), left, summed


def _summed_up(
    frames: Frames, watch: Stopwatch, plan: Plan, matches: list[DataFrame]
) -> list[dict[str, Any]]:
    if not plan.matches:
        return []
    with watch.stage("sum up duplicates", plan.matches):
        return duplicates_of(frames, plan, matches)


def _finished(frames: Frames, state: State, known: dict[str, int | None]) -> Result | None:
    """The run as the ledger has it, where all its tables are as it left them."""
    version = known[BALANCED]
    if version is None or None in known.values():
        return None
    return remembered(state, frames.spark, frames.recipe, frames.run_id, version)


def _rows_out(output: Output, group: PlannedGroup) -> int:
    return method_of("sample", output.sample).rows_out(group.available, group.target)


def with_thresholds(frames: Frames, plan: Plan, left: list[DataFrame]) -> Plan:
    """The plan with the threshold of each group, which says which rows make its target.

    Outputs whose samplers keep rows in the order of their hashes share one scan.
    """
    in_turn = {} if frames.recipe.order is None else frames.find_cuts(left, plan)
    # Which rows make a budget of units is known since it was planned.
    to_do = [o for o in frames.outputs if o.name not in in_turn and not _in_units(o)]
    alone = [o for o in to_do if method_of("sample", o.sample).find_thresholds]
    found = in_turn | {o.name: _thresholds(frames, plan, o, left) for o in alone}
    found |= _together(frames, plan, [o for o in to_do if o not in alone], left)
    groups = {
        output.name: [
            replace(g, threshold=found[output.name].get(g.id, Threshold(0)))
            if output.name in found
            else g
            for g in plan.groups_of(output.name)
        ]
        for output in frames.outputs
    }
    outputs = [replace(output, groups=groups[output.name]) for output in plan.outputs]
    return replace(plan, groups=groups[BALANCED], outputs=outputs)


def _in_units(output: Output) -> bool:
    return output.rules is not None and output.rules.budget is not None


def _wanted(plan: Plan, output: Output) -> dict[int, tuple[int, int]]:
    """Per group the rows available, and how many its sampler puts out."""
    return {g.id: (g.available, _rows_out(output, g)) for g in plan.groups_of(output.name)}


def _thresholds(
    frames: Frames, plan: Plan, output: Output, left: list[DataFrame]
) -> dict[int, Threshold]:
    find = method_of("sample", output.sample).find_thresholds or find_thresholds
    hashed = [frames.hashed(rows, output) for rows in left]
    found: dict[int, Threshold] = find(hashed, _wanted(plan, output))
    return found


def _together(
    frames: Frames, plan: Plan, outputs: list[Output], left: list[DataFrame]
) -> dict[str, dict[int, Threshold]]:
    """The thresholds of several outputs by their names, in one scan of all rows."""
    wanted = {output.name: _wanted(plan, output) for output in outputs}
    # An output that takes all rows, as a part that is held out does, needs no scan.
    cut = [o for o in outputs if any(n and k % n for n, k in wanted[o.name].values())]
    if len(cut) < 2:
        return {output.name: _thresholds(frames, plan, output, left) for output in outputs}
    hashed = [frames.hashed_for(rows, cut) for rows in left]
    found = find_thresholds_together(hashed, [wanted[output.name] for output in cut])
    named = {output.name: own for output, own in zip(cut, found, strict=True)}
    uncut = {o.name: _thresholds(frames, plan, o, left) for o in outputs if o not in cut}
    return named | uncut


def _quarantined(frames: Frames) -> DataFrame:
    bad = frames.gate.quarantined()
    key = key_text_of(F.col(KEY)).alias("lb_key")
    bad = bad.select("*", key).withColumnsRenamed({SOURCE: "lb_source", REASONS: "lb_reasons"})
    return bad.drop(*[name for name in bad.columns if name.startswith("__lb_")])


def _paths(frames: Frames, state: State, planned: Plan) -> dict[str, str]:
    recipe = frames.recipe
    paths = {"output": recipe.publish.table, "ledger": state.table("ledger").name}
    paths |= {output.name: Table(output.table).name for output in frames.outputs[1:]}
    if planned.quarantined:
        paths["quarantine"] = state.table(QUARANTINE + recipe.name).name
    for i, options in enumerate(recipe.prune):
        paths[f"matches of prune.{i} ({options.method})"] = state.table(
            f"matches-{recipe.name}-{i}"
        ).name
    return paths
