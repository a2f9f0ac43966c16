"""Publishes a run's tables, the balanced one last, and counts what is in each.

Each table is one Delta transaction. Whoever sees the balanced table of a run can rely on the
others; if one fails, those that were written before it are taken back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakebalance.core.amounts import in_units
from lakebalance.core.columns import column
from lakebalance.core.counts import count_groups
from lakebalance.core.errors import AuditError, LakebalanceError, first_line
from lakebalance.core.progress import Stopwatch
from lakebalance.core.registry import method_of
from lakebalance.core.sources import SOURCE
from lakebalance.core.tables import Table, read_delta
from lakebalance.frames import Frames
from lakebalance.plans import GroupUnits, Plan, json_group
from lakebalance.publish.transaction import Layout, restore, write
from lakebalance.recipe.models import Recipe
from lakebalance.recipe.outputs import BALANCED, Output

MOST_PRIORS = 100


@dataclass
class Written:
    """A table of a run: its version, the one before where this try wrote it, counts found in it."""

    output: Output
    version: int
    before: int | None
    by_this_try: bool
    published: list[dict[str, Any]] = field(default_factory=list)

    @property
    def rows(self) -> int:
        """Rows found in the table."""
        return sum(entry["found"] for entry in self.published)

    def to_dict(self) -> dict[str, Any]:
        """What a result says of a table besides the balanced one."""
        return {"name": self.output.name, "version": self.version, "published": self.published}


def publish(
    frames: Frames,
    plan: Plan,
    left: list[DataFrame],
    known: Mapping[str, int | None],
    watch: Stopwatch,
) -> list[Written]:
    """Write and count every table that an earlier try of the run has not written.

    Parameters
    ----------
    frames : the recipe and its sources.
    plan : with thresholds.
    left : the rows to sample.
    known : by output, the version that an earlier try wrote, or None.
    watch : notes what each stage takes.

    Returns
    -------
    The tables, the balanced one first.

    Raises
    ------
    AuditError : a table differs from the plan; it is taken back.
    TableError : a table cannot be written, or rows were forgotten meanwhile.
    """
    written: list[Written] = []
    balanced, *others = frames.outputs
    try:
        # Phases inside the balanced table come after it: they are there once it is written.
        apart = [output for output in others if not output.inside]
        inside = [output for output in others if output.inside]
        for output in [*apart, balanced, *inside]:
            called = "" if output.name == BALANCED else f" {output.name}"
            wanted = _wanted(output, plan)
            rows = sum(group.rows for group in wanted)
            with watch.stage(f"publish{called}", rows) as entry:
                there = written[-1].version if output.inside else known[output.name]
                written.append(_write(frames, plan, left, output, there))
                entry["rows_out"] = rows
            with watch.stage(f"audit{called}", rows) as entry:
                written[-1].published = _found(frames, plan, output, wanted, written[-1].version)
                entry["rows_out"] = written[-1].rows
                _check(written[-1].published)
                written[-1].published = _shown(frames, output, written[-1].published)
        frames.check_forgotten()
    except Exception as error:
        undone = [_taken_back(frames, w) for w in reversed(written) if w.by_this_try]
        if undone and isinstance(error, LakebalanceError):
            raise type(error)("; ".join([str(error), *undone])) from error
        raise
    made = {table.output.name: table for table in written}
    return [made[output.name] for output in frames.outputs]


def _write(
    frames: Frames, plan: Plan, left: list[DataFrame], output: Output, known: int | None
) -> Written:
    if known is not None:
        return Written(output, known, None, by_this_try=False)
    version, before = write(
        frames.sampled(left, plan, output),
        Table(output.table),
        plan.run_id,
        layout_of(frames.recipe, output),
        _notes(plan) if output.name == BALANCED else {},
    )
    return Written(output, version, before, by_this_try=True)


def layout_of(recipe: Recipe, output: Output) -> Layout:
    """How an output lies in its table: an ordered one by phase, its files as they are."""
    layout = recipe.publish
    if recipe.order is None or output.phase is None:
        return Layout(
            layout.partition_by,
            layout.cluster_by,
            layout.merge_schema,
            replace_where=layout.replace_where,
        )
    phases = [recipe.order.phase] if recipe.one_table else []
    return Layout(phases, [], layout.merge_schema, in_order=True)


def _notes(plan: Plan) -> dict[str, Any]:
    """What the output's commit says about it, so that whoever has the table alone knows."""
    priors = plan.priors
    return {"priors": priors} if len(priors) <= MOST_PRIORS else {}


def _check(published: list[dict[str, Any]]) -> None:
    planned_and_found = [("planned", "found"), ("planned_units", "found_units")]
    if wrong := [p for p in published if any(p.get(a) != p.get(b) for a, b in planned_and_found)]:
        raise AuditError(f"{len(wrong)} groups differ from the plan, such as {wrong[0]}")


def _first(frames: Frames, plan: Plan, output: Output) -> int:
    """The first position of a phase."""
    assert output.phase is not None
    before = frames.outputs[: output.phase] if output.inside else []
    return sum(group.target for other in before for group in plan.groups_of(other.name))


def _check_positions(rows: DataFrame, name: str, first: int, wanted: list[_Wanted]) -> None:
    """Raise unless the positions are those from ``first`` on, each once, by their sums."""
    total, place = sum(group.rows for group in wanted), column(name).cast("decimal(38,0)")
    found = rows.agg(F.count(name), F.min(name), F.max(name), F.sum(place)).collect()[0]
    last = first + total - 1
    expected = (total, first, last, (first + last) * total // 2) if total else (0, None, None, None)
    if tuple(found) != expected:
        raise AuditError(
            f"{name}: {found[0]:,} positions from {found[1]} to {found[2]}, where {total:,} from "
            f"{first} on were planned"
        )


def _taken_back(frames: Frames, written: Written) -> str:
    table = Table(written.output.table)
    try:
        return restore(frames.spark, table, written.version, written.before)
    except Exception as error:
        return f"{table.name} could not be taken back: {first_line(error)}"


@dataclass(frozen=True)
class _Wanted:
    """Rows of one source that a table is to hold in one of its groups."""

    source: str
    values: dict[str, Any]
    rows: int
    units: GroupUnits | None


def _wanted(output: Output, plan: Plan) -> list[_Wanted]:
    """The groups that an output is to hold, as its sampler puts them out."""
    groups, method = plan.groups_of(output.name), method_of("sample", output.sample)
    values = [[group.group] for group in groups]
    if method.put_out_as is not None:
        values = method.put_out_as([g.group for g in groups], output.sample, plan.prepared)
    return [
        _Wanted(
            group.source,
            row,
            method.rows_out(group.available, group.target),
            group.units if group.units is None or not method.weighs else group.units.unweighed,
        )
        for group, rows in zip(groups, values, strict=True)
        for row in rows
    ]


def _found(
    frames: Frames, plan: Plan, output: Output, wanted: list[_Wanted], version: int
) -> list[dict[str, Any]]:
    """Planned and found rows per group, and steps of its unit, counted in what was written."""
    recipe = frames.recipe
    replaced = recipe.publish.replace_where
    written = read_delta(frames.spark, Table(output.table), version, replaced)
    if recipe.order is not None and output.phase is not None:
        if recipe.one_table:
            written = written.where(column(recipe.order.phase) == output.phase + 1)
        _check_positions(written, recipe.order.position, _first(frames, plan, output), wanted)
    name = recipe.publish.source_column
    sources = [s.name for s in recipe.sources] if name else [""]
    tagged = written.withColumn(SOURCE, column(name) if name else F.lit(""))
    budget = None if output.rules is None else output.rules.budget
    measured = {} if budget is None else {budget.unit: frames.measures[budget.unit]}
    steps = {unit: measure.steps for unit, measure in measured.items()}
    census = count_groups([frames.binned(tagged)], recipe.by, sources, amounts=steps)
    found = {(g.source, repr(g.values)): g for g in census.groups}
    merged: dict[tuple[str, str], dict[str, Any]] = {}

    def entry_of(key: tuple[str, str], values: Mapping[str, Any]) -> dict[str, Any]:
        counted = {"planned": 0, "found": found[key].rows if key in found else 0}
        for unit in measured:
            counted["planned_units"] = 0
            counted["found_units"] = found[key].amounts[unit].total if key in found else 0
        return merged.setdefault(
            key, {"source": key[0] or None, "group": json_group(values), **counted}
        )

    for g in wanted:
        entry = entry_of((g.source if name else "", repr(g.values)), g.values)
        entry["planned"] += g.rows
        if g.units is not None:
            entry["planned_units"] += g.units.planned
    for key in found.keys() - merged.keys():
        entry_of(key, found[key].values)
    return list(merged.values())


def _shown(frames: Frames, output: Output, published: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What was counted, with steps as units."""
    if output.rules is None or output.rules.budget is None:
        return published
    size = frames.measures[output.rules.budget.unit].size
    units = ("planned_units", "found_units")
    return [{**p, **{name: in_units(p[name], size) for name in units}} for p in published]
