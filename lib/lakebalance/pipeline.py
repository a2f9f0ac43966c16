"""Strings the stages together: plan says what would come out, run makes exactly that."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from lakebalance.allocate.nest import Available, allocate
from lakebalance.core.columns import column
from lakebalance.core.counts import Census, GroupCount, count_groups
from lakebalance.core.errors import AuditError, GateError, RecipeError, TableError
from lakebalance.core.keys import check_unique, number_key
from lakebalance.core.progress import Progress, Stopwatch
from lakebalance.core.registry import method_of
from lakebalance.core.sources import SOURCE
from lakebalance.core.tables import Table, read_delta
from lakebalance.diagnoses import diagnoses_of
from lakebalance.expect.gate import REASONS, Verdict
from lakebalance.frames import Found, Frames
from lakebalance.plans import Plan, PlannedGroup, PlannedSource, json_group
from lakebalance.publish.state import State
from lakebalance.publish.transaction import Layout, published_version, restore, write
from lakebalance.recipe.models import Recipe
from lakebalance.result import Result, remember, remember_plan, remembered
from lakebalance.sample.thresholds import Threshold, find_thresholds

MOST_PRIORS = 100


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
        frames.check_columns()
    census, verdicts = _counted(frames, watch)
    planned, left = _planned(frames, watch, census, verdicts, lambda _, matches: matches)
    return _prepared(frames, watch, planned, left)


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
    started = dt.datetime.now(dt.timezone.utc)
    watch, frames = Stopwatch(progress), Frames(recipe, spark)
    target, state = Table(recipe.publish.table), _state(recipe)
    with watch.stage("read"):
        frames.check_columns()
        version = published_version(spark, target, frames.run_id)
        known = (
            None if version is None else remembered(state, spark, recipe, frames.run_id, version)
        )
    if known is not None:
        return known
    census, verdicts = _counted(frames, watch, number_key(frames.pinned))
    with watch.stage("check keys"):
        check_unique(frames.pinned, census)

    def kept(i: int, matches: DataFrame) -> DataFrame:
        # Written once, so that counting, thresholds and output all see the same matches.
        return state.write(matches, f"matches-{recipe.name}-{i}", frames.run_id)

    planned, left = _planned(frames, watch, census, verdicts, kept)
    with watch.stage("sample", sum(g.available for g in planned.groups)) as entry:
        planned = _with_thresholds(frames, planned, left)
        entry["rows_out"] = planned_rows = sum(_rows_out(recipe, g) for g in planned.groups)
    planned = _prepared(frames, watch, planned, left)
    with watch.stage("remember"):
        remember_plan(state, spark, planned)
        if planned.quarantined:
            state.write(_quarantined(frames), f"quarantine-{recipe.name}", planned.run_id)
    before: int | None = None
    finished_before = version is not None
    with watch.stage("publish", planned_rows) as entry:
        if version is None:
            layout = recipe.publish
            version, before = write(
                frames.sampled(left, planned),
                target,
                planned.run_id,
                Layout(layout.partition_by, layout.cluster_by, layout.merge_schema),
                _notes(planned),
            )
        entry["rows_out"] = planned_rows
    with watch.stage("audit", planned_rows) as entry:
        published = _published(frames, planned, version)
        entry["rows_out"] = sum(p["found"] for p in published)
        if wrong := [p for p in published if p["planned"] != p["found"]]:
            done = "" if finished_before else "; " + restore(spark, target, version, before)
            raise AuditError(f"{len(wrong)} groups differ from the plan, such as {wrong[0]}{done}")
    result = Result(
        planned,
        target.name,
        version,
        entry["rows_out"],
        published,
        watch.entries,
        _paths(recipe, state, planned),
        recipe.to_yaml(),
        dt.datetime.now(dt.timezone.utc).isoformat(timespec="seconds"),
        repeated=finished_before,
    )
    remember(state, spark, result, started)
    return result


def _notes(planned: Plan) -> dict[str, Any]:
    """What the output's commit says about it, so that whoever has the table alone knows."""
    priors = planned.priors
    return {"priors": priors} if len(priors) <= MOST_PRIORS else {}


def _state(recipe: Recipe) -> State:
    return State.beside(recipe.publish.table, recipe.publish.state)


def _counted(
    frames: Frames, watch: Stopwatch, span_of: Column | None = None
) -> tuple[Census, list[Verdict]]:
    """Rows per group, and what the expectations found."""
    recipe, gate = frames.recipe, frames.gate
    with watch.stage("expect and count") as entry:
        census = frames.census(gate.flagged, gate.left, gate.counted, span_of)
        entry["rows_in"] = sum(group.rows for group in census.groups)
        entry["rows_out"] = sum(group.left for group in census.groups)
        if not census.groups:
            filtered = " after its where" if any(s.where for s in recipe.sources) else ""
            raise TableError(f"sources: none of them has a row{filtered}")
        verdicts = gate.verdicts(census.sums, entry["rows_in"])
        _stop(verdicts)
    return census, verdicts


def _planned(
    frames: Frames,
    watch: Stopwatch,
    census: Census,
    verdicts: list[Verdict],
    found: Found,
) -> tuple[Plan, list[DataFrame]]:
    """The plan without thresholds, and the rows that are left to sample."""
    recipe, names = frames.recipe, [s.name for s in frames.recipe.sources]
    left, groups = frames.gate.passed(), census.groups
    passed = sum(group.left for group in groups)
    pruned: list[dict[str, Any]] = []
    if recipe.prune:
        with watch.stage("prune", passed) as entry:
            left, groups, pruned = _pruned(frames, left, census, found)
            entry["rows_out"] = sum(group.left for group in groups)
    if not any(group.left for group in groups):
        raise TableError("no rows are left to balance after gates and pruning")
    rows_of = census.rows_of(names)
    allocated = _allocated(recipe, groups)
    return Plan(
        recipe.name,
        frames.run_id,
        recipe.hash,
        [PlannedSource(s.name, s.table, s.version, rows_of[s.name]) for s in frames.pinned],
        allocated,
        verdicts,
        sum(group.rows for group in census.groups) - passed,
        pruned,
        _warnings(frames, rows_of, verdicts, groups),
        diagnoses_of(recipe.allocate, allocated),
    ), left


def _prepared(frames: Frames, watch: Stopwatch, planned: Plan, left: list[DataFrame]) -> Plan:
    """The plan with what its sampler looks for in the rows, where it does."""
    if method_of("sample", frames.recipe.sample).prepare is None:
        return planned
    with watch.stage("prepare", sum(group.available for group in planned.groups)):
        return frames.prepared(left, planned)


def _stop(verdicts: Sequence[Verdict]) -> None:
    stopping = [
        f"{v.expectation} failed" + (f" on {v.unexpected:,} rows" if v.unexpected else "")
        for v in verdicts
        if v.on_fail == "stop" and not v.success
    ]
    if stopping:
        raise GateError("; ".join(stopping) + "; nothing was published")


def _pruned(
    frames: Frames, rows: list[DataFrame], census: Census, found: Found
) -> tuple[list[DataFrame], list[GroupCount], list[dict[str, Any]]]:
    """The rows left after pruning, their counts per group, and what each method dropped."""
    recipe = frames.recipe
    steps: list[DataFrame] = []

    def seen(i: int, matches: DataFrame) -> DataFrame:
        steps.append(found(i, matches))
        return steps[-1]

    left = frames.pruned(rows, seen)
    counted = frames.census(left)
    left_in = {group.id: group.rows for group in counted.groups}
    groups = [replace(group, left=left_in.get(group.id, 0)) for group in census.groups]
    total = sum(g.left for g in census.groups) - sum(g.left for g in groups)
    dropped = [total]
    if len(steps) > 1:
        dropped = [step.agg(F.sum("rows")).collect()[0][0] or 0 for step in steps[:-1]]
        dropped.append(total - sum(dropped))
    names = [options.method for options in recipe.prune]
    return (
        left,
        groups,
        [{"method": name, "dropped": n} for name, n in zip(names, dropped, strict=True)],
    )


def _allocated(recipe: Recipe, groups: Sequence[GroupCount]) -> list[PlannedGroup]:
    rules = recipe.allocate
    available = [Available(g.source, g.values, g.left) for g in groups]
    try:
        allocated = allocate(available, rules.rows, rules.mix, rules.balance, rules.within)
    except RecipeError as error:
        raise type(error)(f"allocate: {error}") from error
    method = method_of("sample", recipe.sample)
    if method.check_group is not None:
        for a in allocated:
            name = "/".join([a.source, *map(str, a.values.values())])
            method.check_group(recipe.sample, name, a.available, a.target)
    return [
        PlannedGroup(
            g.id,
            g.source,
            g.values,
            g.rows,
            g.left,
            a.target,
            synthetic=method.new_rows(g.left, a.target),
        )
        for g, a in zip(groups, allocated, strict=True)
    ]


def _warnings(
    frames: Frames,
    rows_of: dict[str, int],
    verdicts: Sequence[Verdict],
    groups: Sequence[GroupCount],
) -> list[dict[str, str]]:
    empty = [
        {"code": "empty_source", "message": f'source "{name}" has no rows'}
        for name, rows in rows_of.items()
        if rows == 0
    ]
    keyless = [
        {
            "code": "content_key",
            "message": f'source "{s.name}" has no key: rows are told apart by all their columns, '
            "which a run must read; write key: [columns] or key: row_id",
        }
        for s in frames.pinned
        if s.key is None
    ]
    failed = [
        {
            "code": "expectation",
            "message": f"{v.expectation} failed"
            + (f" on {v.unexpected:,} of {v.rows:,} rows" if v.unexpected else ""),
        }
        for v in verdicts
        if v.on_fail == "warn" and not v.success
    ]
    return empty + keyless + failed + _one_group(frames.recipe.allocate.by, groups)


def _one_group(by: Sequence[str], groups: Sequence[GroupCount]) -> list[dict[str, str]]:
    """A warning where there is nothing to balance, as when a class was lost on the way."""
    filled = {repr(group.values) for group in groups if group.left}
    if not by or len(filled) > 1:
        return []
    message = f"all rows are of one group, {filled.pop()}: there is nothing to balance"
    return [{"code": "one_group", "message": message}]


def _rows_out(recipe: Recipe, group: PlannedGroup) -> int:
    return method_of("sample", recipe.sample).rows_out(group.available, group.target)


def _with_thresholds(frames: Frames, planned: Plan, left: list[DataFrame]) -> Plan:
    wanted = {g.id: (g.available, _rows_out(frames.recipe, g)) for g in planned.groups}
    found = find_thresholds([frames.hashed(rows) for rows in left], wanted)
    groups = [replace(g, threshold=found.get(g.id, Threshold(0))) for g in planned.groups]
    return replace(planned, groups=groups)


def _quarantined(frames: Frames) -> DataFrame:
    bad = frames.gate.quarantined()
    bad = bad.withColumnsRenamed({SOURCE: "lb_source", REASONS: "lb_reasons"})
    return bad.drop(*[name for name in bad.columns if name.startswith("__lb_")])


def _paths(recipe: Recipe, state: State, planned: Plan) -> dict[str, str]:
    paths = {"output": recipe.publish.table, "ledger": state.table("ledger").name}
    if planned.quarantined:
        paths["quarantine"] = state.table(f"quarantine-{recipe.name}").name
    for i, options in enumerate(recipe.prune):
        paths[f"matches of prune.{i} ({options.method})"] = state.table(
            f"matches-{recipe.name}-{i}"
        ).name
    return paths


def _published(frames: Frames, planned: Plan, version: int) -> list[dict[str, Any]]:
    """Planned and found rows per group, counted in what was written."""
    recipe = frames.recipe
    written = read_delta(frames.spark, Table(recipe.publish.table), version)
    name = recipe.publish.source_column
    sources = [s.name for s in recipe.sources] if name else [""]
    tagged = written.withColumn(SOURCE, column(name) if name else F.lit(""))
    census = count_groups([frames.binned(tagged)], recipe.allocate.by, sources)
    found = {(g.source, repr(g.values)): g for g in census.groups}
    merged: dict[tuple[str, str], dict[str, Any]] = {}
    for g in planned.groups:
        key = (g.source if name else "", repr(g.group))
        entry = merged.setdefault(
            key,
            {
                "source": g.source if name else None,
                "group": g.json_group,
                "planned": 0,
                "found": found[key].rows if key in found else 0,
            },
        )
        entry["planned"] += _rows_out(recipe, g)
    for key in found.keys() - merged.keys():
        group = json_group(found[key].values)
        merged[key] = {
            "source": key[0] or None,
            "group": group,
            "planned": 0,
            "found": found[key].rows,
        }
    return list(merged.values())
