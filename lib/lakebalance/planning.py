"""From counts to a plan: what expectations, pruning and the rules leave of each group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakebalance.allocate.nest import Available, allocate
from lakebalance.budgets import in_rows, units_said
from lakebalance.cautions import cautions, copies_without_split, steps_against
from lakebalance.core.amounts import Amount
from lakebalance.core.counts import Census, GroupCount
from lakebalance.core.errors import GateError, RecipeError, TableError
from lakebalance.core.progress import Stopwatch
from lakebalance.core.registry import method_of
from lakebalance.core.split import PART, TRAIN
from lakebalance.diagnoses import diagnoses_of, diagnoses_of_phases
from lakebalance.drift_gates import measured_drifts
from lakebalance.embeddings import with_projections
from lakebalance.expect.verdicts import Verdict
from lakebalance.fairness_gates import measured_before, with_fairness
from lakebalance.frames import Frames
from lakebalance.learned_gates import measured_learned
from lakebalance.output_gates import with_output_expectations
from lakebalance.phases import check_epochs, in_turn
from lakebalance.plans import (
    Plan,
    PlannedEvaluation,
    PlannedGroup,
    PlannedOutput,
    PlannedSource,
)
from lakebalance.prune.matches import LEFT
from lakebalance.pruning import Found
from lakebalance.pruning import pruned as rows_left
from lakebalance.recipe.models import Recipe
from lakebalance.recipe.outputs import BALANCED, Output
from lakebalance.recipe.rules import Rules
from lakebalance.unit_rows import Seen, seen_after

OR_NONE = "publish.allow_empty: true publishes none"


def counted(
    frames: Frames, watch: Stopwatch, span_of: Column | None = None
) -> tuple[Census, list[Verdict]]:
    """Rows per group, and what the expectations found.

    Raises
    ------
    TableError : there are no rows.
    GateError : an expectation failed that stops a run.
    """
    recipe, gate = frames.recipe, frames.gate
    with watch.stage("expect and count") as entry:
        census = frames.census(gate.flagged, gate.left, gate.counted, span_of)
        entry["rows_in"] = sum(group.rows for group in census.groups)
        entry["rows_out"] = sum(group.left for group in census.groups)
        if not census.groups and not recipe.publish.allow_empty:
            filtered = " after its where" if any(s.where for s in recipe.sources) else ""
            raise TableError(f"sources: none of them has a row{filtered}; {OR_NONE}")
        verdicts = gate.verdicts(census.sums, entry["rows_in"])
    if recipe.expect.drift or recipe.expect.fairness or recipe.expect.learned:
        with watch.stage("compare", entry["rows_in"]):
            measured = [*measured_drifts(frames), *measured_before(frames, census)]
            measured += measured_learned(frames, census, verdicts)
        verdicts += [found.verdict for found in measured]
        frames.said_of_gates = [found.diagnostic for found in measured]
    _stop(verdicts)
    return census, verdicts


def planned(
    frames: Frames,
    watch: Stopwatch,
    census: Census,
    verdicts: list[Verdict],
    found: Found,
) -> tuple[Plan, list[DataFrame]]:
    """The plan without thresholds, and the rows that are left to sample.

    Raises
    ------
    TableError : no rows are left.
    RecipeError : the rules cannot be met, or a row has no time to split by.
    """
    recipe, names = frames.recipe, [s.name for s in frames.recipe.sources]
    left, groups = frames.gate.passed(), census.groups
    passed = sum(group.left for group in groups)
    pruned: list[dict[str, Any]] = []
    if recipe.prune:
        with watch.stage("prune", passed) as entry:
            left, groups, pruned = _pruned(frames, left, census, found)
            entry["rows_out"] = sum(group.left for group in groups)
    if recipe.allocate.clusters:
        with watch.stage("cluster", sum(group.left for group in groups)):
            frames.find_clusters(left)
            groups = frames.census(frames.gate.flagged, frames.gate.left).groups
            groups = _counted_again(frames, left, groups) if recipe.prune else groups
    if not any(group.left for group in groups) and not recipe.publish.allow_empty:
        raise TableError(f"no rows are left to balance after gates and pruning; {OR_NONE}")
    _has_parts(groups)
    rows_of = census.rows_of(names)
    rules_of = _rules(frames, left, watch)
    balanced, *others = _all_allocated(frames, rules_of, groups, left, watch)
    outputs = [
        PlannedOutput(output.name, output.table, output.part, own)
        for output, own in zip(frames.outputs[1:], others, strict=True)
    ]
    named = [
        (output.name, groups)
        for output, groups in zip(frames.outputs, [balanced, *others], strict=True)
        if output.phase is not None
    ]
    if recipe.order is not None:
        check_epochs(recipe.order, [groups for _, groups in named])
    return Plan(
        recipe.name,
        frames.run_id,
        recipe.hash,
        [
            PlannedSource(
                s.name, s.table, s.version, rows_of[s.name], frames.places[s.name].table_id
            )
            for s in frames.pinned
        ],
        balanced,
        verdicts,
        sum(group.rows for group in census.groups) - passed,
        pruned,
        cautions(frames, rows_of, verdicts, balanced, outputs),
        [
            *[
                diagnostic.to_dict()
                for diagnostic in [*frames.said_of_gates, *frames.said_of_bins, *frames.said]
            ],
            *[clusters.diagnostic.to_dict() for clusters in frames.clusters],
            *diagnoses_of(rules_of[BALANCED] or recipe.allocate, balanced),
            *([in_turn(*zip(*named, strict=True)).to_dict()] if named else []),
            *diagnoses_of_phases(_phases(rules_of, [balanced, *others])),
            *units_said(recipe, frames.outputs, [balanced, *others]),
        ],
        outputs=outputs,
        clusters=frames.clusters,
        evaluation=_evaluation(frames),
        forgotten=frames.requests,
        released=frames.repairs,
    ), left


def _evaluation(frames: Frames) -> list[PlannedEvaluation]:
    """The evaluation tables, and which steps compare rows with each."""
    return [
        PlannedEvaluation(
            table.name,
            table.pinned.table,
            table.pinned.version,
            steps_against(frames.recipe, table),
            frames.places[table.name].table_id,
        )
        for table in frames.evaluation
    ]


def prepared(frames: Frames, watch: Stopwatch, plan: Plan, left: list[DataFrame]) -> Plan:
    """The plan with what its sampler looks for in the rows, where it does."""
    if method_of("sample", frames.recipe.sample).prepare is None:
        return plan
    with watch.stage("prepare", sum(group.available for group in plan.groups)):
        found = frames.prepared(left, plan)
    new = sum(group.synthetic for group in found.groups)
    if new == sum(group.synthetic for group in plan.groups):
        return found
    # What is made only now was not there to be warned of.
    late = copies_without_split(frames.recipe, found.groups)
    said = [{"code": code, "message": message} for code, message in late]
    return replace(found, warnings=[*found.warnings, *[s for s in said if s not in found.warnings]])


def judged(frames: Frames, watch: Stopwatch, plan: Plan, left: list[DataFrame]) -> Plan:
    """The plan with what gates find in the rows that it publishes.

    Raises
    ------
    GateError : one failed that stops a run.
    """
    found = with_output_expectations(frames, watch, plan, left)
    found = with_fairness(frames, watch, found, left)
    _stop(found.gates)
    return found


def _stop(verdicts: Sequence[Verdict]) -> None:
    """Raise where a gate failed that stops a run.

    Raises
    ------
    GateError : with each of them and what it found.
    """
    stopping = [
        f"{v.expectation} failed"
        + (f" on {v.unexpected:,} rows" if v.unexpected else "")
        + (f": {v.measured}" if v.measured else "")
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

    left = rows_left(frames, rows, seen)
    groups = _counted_again(frames, left, census.groups)
    total = sum(g.left for g in census.groups) - sum(g.left for g in groups)
    dropped = [total]
    if len(steps) > 1:
        dropped = [step.agg(F.sum("rows")).collect()[0][0] or 0 for step in steps[:-1]]
        dropped.append(total - sum(dropped))
    said = [
        {"method": options.method, "dropped": n, "fate": method_of("prune", options).fate}
        for options, n in zip(recipe.prune, dropped, strict=True)
    ]
    for options, step, own in zip(recipe.prune, steps, said, strict=True):
        if method_of("prune", options).edit is not None:
            own["edited"] = step.agg(F.sum(LEFT)).collect()[0][0] or 0
    return left, groups, said


def _counted_again(
    frames: Frames, left: list[DataFrame], groups: Sequence[GroupCount]
) -> list[GroupCount]:
    """The groups with the rows of each that are left."""
    left_in = {group.id: group for group in frames.census(left).groups}
    none = {unit: Amount(0, 0, 0) for unit in frames.measures}
    return [
        replace(group, left=left_in[group.id].rows, amounts=left_in[group.id].amounts)
        if group.id in left_in
        else replace(group, left=0, amounts=none)
        for group in groups
    ]


def _has_parts(groups: Sequence[GroupCount]) -> None:
    timeless = sum(group.left for group in groups if group.values.get(PART, TRAIN) is None)
    if timeless:
        raise RecipeError(
            f"split.time: {timeless:,} rows have no time, so nobody knows on which side they "
            "belong; take them out by a source's where, or set them aside by an expectation"
        )


def _rules(frames: Frames, left: Sequence[DataFrame], watch: Stopwatch) -> dict[str, Rules | None]:
    """The rules of each output, with what those that compare embeddings must know of these."""
    rules_of = {output.name: output.rules for output in frames.outputs}
    if not frames.targets:
        return rules_of
    with watch.stage("compare embeddings"):
        return {
            output.name: rules
            and with_projections(frames, rules, left, _place(frames.recipe, output))
            for output, rules in zip(frames.outputs, rules_of.values(), strict=True)
        }


def _phases(
    rules_of: Mapping[str, Rules | None], groups_of: Sequence[list[PlannedGroup]]
) -> list[tuple[str, Rules, list[PlannedGroup]]]:
    """Name, rules and groups of the tables that are trained on: those with rules."""
    return [
        (name, rules, groups)
        for (name, rules), groups in zip(rules_of.items(), groups_of, strict=True)
        if rules is not None
    ]


def _all_allocated(
    frames: Frames,
    rules_of: Mapping[str, Rules | None],
    groups: Sequence[GroupCount],
    left: Sequence[DataFrame],
    watch: Stopwatch,
) -> list[list[PlannedGroup]]:
    """The groups of each output, in order: phases go on where those before them stopped."""
    made: list[list[PlannedGroup]] = []
    seen: dict[int, Seen] = {}
    for output in frames.outputs:
        before = None if output.phase is None else seen
        own = _allocated(frames, output, rules_of[output.name], groups, left, watch, before)
        seen = seen if output.phase is None else seen_after(own, seen)
        made.append(own)
    return made


def _allocated(
    frames: Frames,
    output: Output,
    rules: Rules | None,
    groups: Sequence[GroupCount],
    left: Sequence[DataFrame],
    watch: Stopwatch,
    seen: Mapping[int, Seen] | None,
) -> list[PlannedGroup]:
    """The groups of an output's part, each with its target."""
    recipe = frames.recipe
    own = _of_part(groups, output.part) if recipe.parts else groups
    if recipe.publish.allow_empty and not any(group.left for group in own):
        rules = None  # there is nothing to share out
    if rules is not None and rules.budget is not None:
        _has_rows(own)
        with watch.stage("share units", sum(group.left for group in own)):
            return in_rows(frames, output, rules, own, left, _place(recipe, output), seen)
    if rules is not None:
        targets = _targets(recipe, output, rules, own)
    else:
        targets = [group.left for group in own]
    method = method_of("sample", output.sample)
    return [
        PlannedGroup(
            group.id,
            group.source,
            group.values,
            group.rows,
            group.left,
            target,
            synthetic=method.new_rows(group.left, target),
        )
        for group, target in zip(own, targets, strict=True)
    ]


def _of_part(groups: Sequence[GroupCount], part: str) -> list[GroupCount]:
    return [
        replace(group, values={n: v for n, v in group.values.items() if n != PART})
        for group in groups
        if group.values[PART] == part
    ]


def _place(recipe: Recipe, output: Output) -> str:
    """Where the rules of an output are in the recipe."""
    return next(place for place, rules in recipe.rules.items() if rules is output.rules)


def _has_rows(groups: Sequence[GroupCount]) -> None:
    if any(group.left for group in groups):
        return
    if rows := sum(group.rows for group in groups):
        raise TableError(
            f'gates and pruning left none of the {rows:,} rows in "train"; see expect and prune'
        )
    raise TableError('the split left no rows in "train"; write smaller shares or later starts')


def _targets(
    recipe: Recipe, output: Output, rules: Rules, groups: Sequence[GroupCount]
) -> list[int]:
    place = _place(recipe, output)
    _has_rows(groups)
    available = [Available(g.source, g.values, g.left) for g in groups]
    try:
        sources = [source.name for source in recipe.sources]
        allocated = allocate(available, rules.rows, rules.mix, rules.balance, rules.within, sources)
    except RecipeError as error:
        raise type(error)(f"{place}: {error}") from error
    method = method_of("sample", output.sample)
    if method.check_group is not None:
        for a in allocated:
            name = "/".join([a.source, *map(str, a.values.values())])
            method.check_group(output.sample, name, a.available, a.target)
    return [a.target for a in allocated]
