"""Rows of a run written beside its tables first, so that nobody reads what was not audited."""

from __future__ import annotations

from collections.abc import Mapping

from pyspark.sql import DataFrame

from lakebalance.auditing import called, check_counts, count_rows, rows_of, wanted_of
from lakebalance.core.components import Scratch
from lakebalance.core.progress import Stopwatch
from lakebalance.frames import Frames
from lakebalance.plans import Plan
from lakebalance.publish.state import RUN
from lakebalance.recipe.outputs import BALANCED

OWN_RUN = "__lb_own_run"


def staged(
    frames: Frames,
    plan: Plan,
    left: list[DataFrame],
    known: Mapping[str, int | None],
    watch: Stopwatch,
    scratch: Scratch,
) -> dict[str, DataFrame]:
    """The rows of each table that is to be written, as found beside it and as planned.

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
    By the name of the output; those of a phase inside the balanced table are in that one.

    Raises
    ------
    AuditError : the rows differ from the plan.
    TableError : rows were forgotten meanwhile.
    """
    rows: dict[str, DataFrame] = {}
    # The balanced table comes first, and phases inside it after it.
    for output in frames.outputs:
        if known[output.name] is not None:
            continue
        wanted = wanted_of(output, plan)
        with watch.stage(called("stage", output), rows_of(wanted)) as entry:
            if not output.inside:
                rows[output.name] = _beside(frames.filed(left, plan, output), output.name, scratch)
            written = rows[BALANCED if output.inside else output.name]
            found = count_rows(frames, plan, output, wanted, written)
            entry["rows_out"] = sum(group["found"] for group in found)
            check_counts(found)
    frames.check_forgotten()
    return {
        output.name: frames.again_in_files(rows[output.name], plan, output)
        for output in frames.outputs
        if output.name in rows
    }


def _beside(rows: DataFrame, name: str, scratch: Scratch) -> DataFrame:
    """The rows as written, with all their columns, one named as the state's own among them."""
    own = next((column for column in rows.columns if column.lower() == RUN), None)
    if own is None:
        return scratch(rows, f"staged-{name}")
    renamed = scratch(rows.withColumnRenamed(own, OWN_RUN), f"staged-{name}")
    return renamed.withColumnRenamed(OWN_RUN, own)
