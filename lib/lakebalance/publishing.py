"""Publishes a run's tables, the balanced one last, and counts what is in each.

Each table is one Delta transaction. Whoever sees the balanced table of a run can rely on the
others; if one fails, those that were written before it are taken back. Where the recipe asks for
it, all of them are written beside their tables and counted there before the first is published.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pyspark.sql import DataFrame

from lakebalance.auditing import called, check_counts, count_rows, in_units_of, rows_of, wanted_of
from lakebalance.core.components import Scratch
from lakebalance.core.errors import LakebalanceError, first_line
from lakebalance.core.progress import Stopwatch
from lakebalance.core.tables import Table, read_delta
from lakebalance.frames import Frames
from lakebalance.plans import Plan
from lakebalance.publish.transaction import Layout, restore, write
from lakebalance.recipe.models import Recipe
from lakebalance.recipe.outputs import BALANCED, Output
from lakebalance.staging import staged

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
    scratch: Scratch,
) -> list[Written]:
    """Write and count every table that an earlier try of the run has not written.

    Parameters
    ----------
    frames : the recipe and its sources.
    plan : with thresholds.
    left : the rows to sample.
    known : by output, the version that an earlier try wrote, or None.
    watch : notes what each stage takes.
    scratch : writes a frame and returns it as written; whoever calls clears it.

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
    beside: dict[str, DataFrame] = {}
    if frames.recipe.publish.staged:
        beside = staged(frames, plan, left, known, watch, scratch)
    try:
        # Phases inside the balanced table come after it: they are there once it is written.
        apart = [output for output in others if not output.inside]
        inside = [output for output in others if output.inside]
        for output in [*apart, balanced, *inside]:
            wanted = wanted_of(output, plan)
            with watch.stage(called("publish", output), rows_of(wanted)) as entry:
                there = written[-1].version if output.inside else known[output.name]
                rows = beside.get(output.name)
                if there is None and rows is None:
                    rows = frames.sampled(left, plan, output)
                written.append(_write(frames, plan, rows, output, there))
                entry["rows_out"] = rows_of(wanted)
            with watch.stage(called("audit", output), rows_of(wanted)) as entry:
                found = count_rows(frames, plan, output, wanted, _published(frames, written[-1]))
                written[-1].published = found
                entry["rows_out"] = written[-1].rows
                check_counts(found)
                written[-1].published = in_units_of(frames, output, found)
        frames.check_forgotten()
    except Exception as error:
        undone = [_taken_back(frames, w) for w in reversed(written) if w.by_this_try]
        if undone and isinstance(error, LakebalanceError):
            raise type(error)("; ".join([str(error), *undone])) from error
        raise
    made = {table.output.name: table for table in written}
    return [made[output.name] for output in frames.outputs]


def _write(
    frames: Frames,
    plan: Plan,
    rows: DataFrame | None,
    output: Output,
    known: int | None,
) -> Written:
    if rows is None or known is not None:
        assert known is not None
        return Written(output, known, None, by_this_try=False)
    version, before = write(
        rows,
        Table(output.table),
        plan.run_id,
        layout_of(frames.recipe, output),
        _notes(plan) if output.name == BALANCED else {},
    )
    return Written(output, version, before, by_this_try=True)


def _published(frames: Frames, written: Written) -> DataFrame:
    table, replaced = Table(written.output.table), frames.recipe.publish.replace_where
    return read_delta(frames.spark, table, written.version, replaced)


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


def _taken_back(frames: Frames, written: Written) -> str:
    table = Table(written.output.table)
    try:
        return restore(frames.spark, table, written.version, written.before)
    except Exception as error:
        return f"{table.name} could not be taken back: {first_line(error)}"
