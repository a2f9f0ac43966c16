"""Rows per source and group as they stand, before gates, pruning and allocation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pyspark.sql import SparkSession

from lakebalance.allocate.labels import LabelOptions, diagnose_labels
from lakebalance.allocate.rules import Group
from lakebalance.core.counts import GroupCount
from lakebalance.core.diagnostics import Diagnostic
from lakebalance.core.labels import is_array
from lakebalance.frames import Frames
from lakebalance.plans import json_group
from lakebalance.recipe.models import Recipe


def profile(recipe: Recipe, spark: SparkSession) -> dict[str, Any]:
    """Count the rows of every source and group in one job.

    Parameters
    ----------
    recipe : the sources, and the ``by`` columns of ``allocate.balance``.
    spark : a session, classic or Connect.

    Returns
    -------
    ``{"sources": [{"name", "table", "version", "rows"}], "groups": [{"source", "group", "rows"}],
    "diagnostics": [{"title", "columns", "rows", "note"}]}``; the last are about labels, where one
    array column makes the groups, or a rule for concurrent labels shares rows over them.

    Raises
    ------
    LakebalanceError : a table or column is not there.
    """
    frames = Frames(recipe, spark)
    census = frames.census(frames.branches)
    rows = census.rows_of([source.name for source in recipe.sources])
    return {
        "sources": [
            {"name": s.name, "table": s.table, "version": s.version, "rows": rows[s.name]}
            for s in frames.pinned
        ],
        "groups": [
            {
                "source": g.source,
                "group": json_group(g.values),
                "rows": g.rows,
            }
            for g in census.groups
        ],
        "diagnostics": [diagnostic.to_dict() for diagnostic in _of_labels(recipe, census.groups)],
    }


def _of_labels(recipe: Recipe, groups: Sequence[GroupCount]) -> list[Diagnostic]:
    """How imbalanced the labels are that the rows of each rule over labels have."""
    found: list[Diagnostic] = []
    rules = recipe.allocate
    for rule in [*([] if rules.balance is None else [rules.balance]), *rules.within]:
        names = rule.by  # type: ignore[attr-defined]
        values = [{name: group.values[name] for name in names} for group in groups]
        array = len(names) == 1 and is_array([value[names[0]] for value in values])
        if array or isinstance(rule, LabelOptions):
            counted = [Group(v, group.rows) for v, group in zip(values, groups, strict=True)]
            found += diagnose_labels(counted, [group.available for group in counted])
    return found
