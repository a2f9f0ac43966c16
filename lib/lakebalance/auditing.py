"""Counts what is in a run's tables, and compares it with what was planned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakebalance.core.amounts import in_units
from lakebalance.core.columns import column
from lakebalance.core.counts import count_groups
from lakebalance.core.errors import AuditError
from lakebalance.core.registry import method_of
from lakebalance.core.sources import SOURCE
from lakebalance.frames import Frames
from lakebalance.plans import GroupUnits, Plan, json_group
from lakebalance.recipe.outputs import BALANCED, Output


@dataclass(frozen=True)
class Wanted:
    """Rows of one source that a table is to hold in one of its groups."""

    source: str
    values: dict[str, Any]
    rows: int
    units: GroupUnits | None


def wanted_of(output: Output, plan: Plan) -> list[Wanted]:
    """The groups that an output is to hold, as its sampler puts them out."""
    groups, method = plan.groups_of(output.name), method_of("sample", output.sample)
    values = [[group.group] for group in groups]
    if method.put_out_as is not None:
        values = method.put_out_as([g.group for g in groups], output.sample, plan.prepared)
    return [
        Wanted(
            group.source,
            row,
            method.rows_out(group.available, group.target),
            group.units if group.units is None or not method.weighs else group.units.unweighed,
        )
        for group, rows in zip(groups, values, strict=True)
        for row in rows
    ]


def rows_of(wanted: list[Wanted]) -> int:
    """Rows that a table is to hold."""
    return sum(group.rows for group in wanted)


def called(stage: str, output: Output) -> str:
    """A stage's name, with that of a table besides the balanced one."""
    return stage if output.name == BALANCED else f"{stage} {output.name}"


def count_rows(
    frames: Frames, plan: Plan, output: Output, wanted: list[Wanted], written: DataFrame
) -> list[dict[str, Any]]:
    """Planned and found rows per group, and steps of its unit, counted in what was written."""
    recipe = frames.recipe
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


def check_counts(published: list[dict[str, Any]]) -> None:
    """Raise ``AuditError`` where a group has other rows or units than planned."""
    planned_and_found = [("planned", "found"), ("planned_units", "found_units")]
    if wrong := [p for p in published if any(p.get(a) != p.get(b) for a, b in planned_and_found)]:
        raise AuditError(f"{len(wrong)} groups differ from the plan, such as {wrong[0]}")


def _first(frames: Frames, plan: Plan, output: Output) -> int:
    """The first position of a phase."""
    assert output.phase is not None
    before = frames.outputs[: output.phase] if output.inside else []
    return sum(group.target for other in before for group in plan.groups_of(other.name))


def _check_positions(rows: DataFrame, name: str, first: int, wanted: list[Wanted]) -> None:
    """Raise unless the positions are those from ``first`` on, each once, by their sums."""
    total, place = rows_of(wanted), column(name).cast("decimal(38,0)")
    found = rows.agg(F.count(name), F.min(name), F.max(name), F.sum(place)).collect()[0]
    last = first + total - 1
    expected = (total, first, last, (first + last) * total // 2) if total else (0, None, None, None)
    if tuple(found) != expected:
        raise AuditError(
            f"{name}: {found[0]:,} positions from {found[1]} to {found[2]}, where {total:,} from "
            f"{first} on were planned"
        )


def in_units_of(
    frames: Frames, output: Output, published: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """What was counted, with steps as units."""
    if output.rules is None or output.rules.budget is None:
        return published
    size = frames.measures[output.rules.budget.unit].size
    units = ("planned_units", "found_units")
    return [{**p, **{name: in_units(p[name], size) for name in units}} for p in published]
