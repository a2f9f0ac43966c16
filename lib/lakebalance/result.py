"""What a finished run has made, and how it is remembered and read again."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from pyspark.sql import SparkSession

from lakebalance import __version__
from lakebalance.core.json_values import python_value
from lakebalance.core.registry import method_of
from lakebalance.core.secrets import hide
from lakebalance.core.tables import REPLACED
from lakebalance.duplicates import without_texts
from lakebalance.plans import GroupUnits, Plan, PlannedGroup
from lakebalance.publish.allocations import Allocation, as_frame, from_frame
from lakebalance.publish.state import BrokenEntry, State
from lakebalance.recipe.models import Recipe
from lakebalance.recipe.outputs import BALANCED, outputs_of
from lakebalance.sample.thresholds import Threshold

ALLOCATIONS = "allocations"


@dataclass(frozen=True)
class Result:
    """A finished run: its plan, what was published and found there, and what each stage took.

    ``outputs`` say the same of the tables besides the balanced one: ``name``, ``version``,
    ``published``. ``duplicates`` say of each pruning step that drops rows for others how large its
    clusters are and between which sources.
    """

    plan: Plan
    table: str
    version: int
    rows: int
    published: list[dict[str, Any]]
    stages: list[dict[str, Any]]
    paths: dict[str, str]
    recipe: str
    finished: str
    repeated: bool = False
    outputs: list[dict[str, Any]] = field(default_factory=list)
    duplicates: list[dict[str, Any]] = field(default_factory=list)
    replace_where: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """The result as ``run --json`` prints it."""
        plan = self.plan.to_dict()
        made = {output["name"]: output for output in self.outputs}
        outputs = [{**output, **made.get(output["name"], {})} for output in plan["outputs"]]
        return {
            **plan,
            "outputs": outputs,
            "duplicates": self.duplicates,
            "output": {
                "table": hide(self.table),
                "version": self.version,
                "rows": self.rows,
                **({} if self.replace_where is None else {REPLACED: hide(self.replace_where)}),
            },
            "published": self.published,
            "stages": self.stages,
            "paths": hide(self.paths),
            "repeated": self.repeated,
            "finished": self.finished,
            "package_version": __version__,
            "recipe": self.recipe,
        }

    def _repr_html_(self) -> str:
        from lakebalance.report.notebook import result_html

        return result_html(self.to_dict())


def remember_plan(state: State, spark: SparkSession, plan: Plan) -> None:
    """Write the plan's groups and thresholds, which are the same in each try of a run."""
    rows = [
        Allocation(
            name,
            g.source,
            g.id,
            g.json_group,
            g.rows,
            g.available,
            g.target,
            g.threshold.base,
            g.threshold.last,
            g.threshold.at_last,
            g.threshold.whole,
            None if g.units is None else g.units.to_state(),
        )
        for name in [BALANCED, *[output.name for output in plan.outputs]]
        for g in plan.groups_of(name)
        if g.threshold is not None
    ]
    state.add(as_frame(spark, rows), ALLOCATIONS, plan.run_id)


def remembered_groups(
    state: State,
    spark: SparkSession,
    recipe: Recipe,
    run: str,
    ids: Collection[int] | None = None,
) -> dict[str, list[PlannedGroup]]:
    """A run's groups with their thresholds, by output; only some of them by their ids."""
    samplers = {o.name: method_of("sample", o.sample) for o in outputs_of(recipe)}
    groups: dict[str, list[PlannedGroup]] = {}
    for a in from_frame(state.read(spark, ALLOCATIONS, run), ids):
        groups.setdefault(a.output, []).append(
            PlannedGroup(
                a.group_id,
                a.source,
                {name: python_value(value) for name, value in a.group.items()},
                a.rows,
                a.available,
                a.target,
                Threshold(a.base, a.last, a.at_last, a.whole),
                samplers[a.output].new_rows(a.available, a.target),
                None if a.units is None else GroupUnits.from_state(a.units),
            )
        )
    return groups


def remember(state: State, spark: SparkSession, result: Result, started: dt.datetime) -> None:
    """Write a finished run into the ledger, in place of an entry that cannot be read."""
    state.record(
        spark,
        {
            "run_id": result.plan.run_id,
            "name": result.plan.name,
            "target": result.table,
            REPLACED: result.replace_where,
            "version": result.version,
            "rows": result.rows,
            "started": started,
            "plan": result.plan.summary(),
            "recipe": result.recipe,
            "result": {
                "stages": result.stages,
                "paths": result.paths,
                "outputs": result.outputs,
                "duplicates": without_texts(result.duplicates),
            },
        },
        anew=result.repeated and _is_broken(state, spark, result),
    )


def _is_broken(state: State, spark: SparkSession, result: Result) -> bool:
    try:
        state.entry(spark, [("run_id", result.plan.run_id), ("target", result.table)])
    except BrokenEntry:
        return True
    return False


def remembered(
    state: State, spark: SparkSession, recipe: Recipe, run: str, version: int
) -> Result | None:
    """The finished run that the ledger knows for a version of the target; None if it does not."""
    wanted: list[tuple[str, str | int]] = [
        ("run_id", run),
        ("target", recipe.publish.table),
        ("version", version),
    ]
    try:
        entry = state.entry(spark, wanted)
    except BrokenEntry:
        return None  # what was published is found again, and the entry written anew
    if entry is None:
        return None
    plan = Plan.from_summary(entry["plan"], remembered_groups(state, spark, recipe, run))
    return Result(
        plan,
        entry["target"],
        version,
        entry["rows"],
        [],
        entry["result"]["stages"],
        entry["result"]["paths"],
        entry["recipe"],
        entry["finished"].astimezone(dt.timezone.utc).isoformat(),
        repeated=True,
        outputs=entry["result"].get("outputs", []),
        duplicates=entry["result"].get("duplicates", []),
        replace_where=entry[REPLACED],
    )
