"""What a run says of the duplicates that it dropped: clusters, sources, texts of the largest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from lakebalance.core.columns import RESERVED, kinds
from lakebalance.core.hashing import key_text
from lakebalance.core.registry import MethodOptions
from lakebalance.frames import Frames
from lakebalance.plans import Plan
from lakebalance.prune.summary import excerpts, summarise


def duplicates_of(frames: Frames, plan: Plan, matches: Sequence[DataFrame]) -> list[dict[str, Any]]:
    """A summary of each pruning step that drops rows for others: JSON for result and report.

    Steps that dropped nothing cost nothing. Each other one costs an action over its matches, and,
    unless the recipe has ``report: {excerpts: false}``, another one and a scan of the columns of
    text compared.

    Parameters
    ----------
    frames : the recipe's frames.
    plan : what each step dropped.
    matches : of each step, as they were written.
    """
    return [
        _of_step(frames, i, plan.pruned[i], _whole_rows(found))
        for i, found in enumerate(matches)
        if "kept" in found.columns
    ]


def _whole_rows(matches: DataFrame) -> DataFrame:
    """The matches without those that take a part out of a row that stays."""
    return matches.where(F.col("rows") > 0)


def _of_step(
    frames: Frames, i: int, pruned: Mapping[str, Any], matches: DataFrame
) -> dict[str, Any]:
    said: dict[str, Any] = {"step": i, "method": pruned["method"], "fate": pruned["fate"]}
    if not pruned["dropped"]:
        return said | {"clusters": 0, "rows": 0, "sizes": [], "between": [], "largest": []}
    found = summarise(matches)
    largest = found["largest"]
    texts = _texts(frames.all_rows, frames.recipe.prune[i])
    if texts and frames.recipe.report.excerpts:
        keys = [cluster["key"] for cluster in largest]
        shown = excerpts(matches, frames.all_rows, texts, keys)
        largest = [cluster | own for cluster, own in zip(largest, shown, strict=True)]
    named = [cluster | {"key": key_text(cluster["key"])} for cluster in largest]
    return said | found | {"largest": named}


def _texts(rows: DataFrame, options: MethodOptions) -> list[str]:
    """The columns of text that a method compares; of all columns where it names none."""
    compared = getattr(options, "columns", None)
    names = compared or [name for name in rows.columns if not name.startswith(RESERVED)]
    kind_of = kinds(rows)
    return [name for name in names if isinstance(kind_of[name], T.StringType)]


def without_texts(duplicates: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The summaries as the ledger keeps them: no row's text is in it.

    Examples
    --------
    >>> without_texts([{"step": 0, "largest": [{"key": "0f", "rows": 2, "kept": {"text": "a"}}]}])
    [{'step': 0, 'largest': [{'key': '0f', 'rows': 2}]}]
    """
    return [
        {**step, "largest": [{name: c[name] for name in ("key", "rows")} for c in step["largest"]]}
        for step in duplicates
    ]
