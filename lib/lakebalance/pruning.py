"""A recipe's pruning steps, one after the other: what each sees, drops and says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from pyspark.sql import DataFrame

from lakebalance.core.components import Scratch
from lakebalance.core.evaluation import EvaluationTable
from lakebalance.core.index import index_of
from lakebalance.core.registry import Method, MethodOptions, method_of
from lakebalance.core.sources import KEY, SOURCE, unite
from lakebalance.prune.matches import remove
from lakebalance.recipe.keeps import short_of

if TYPE_CHECKING:
    from lakebalance.frames import Frames

Found = Callable[[int, DataFrame], DataFrame]


def pruned(frames: Frames, rows: Sequence[DataFrame], found: Found) -> list[DataFrame]:
    """The rows that no pruning method drops.

    Parameters
    ----------
    frames : the recipe's; its ``said`` is afterwards what methods have to say of the rows.
    rows : the frame of each source, without what gates set aside.
    found : sees the matches of each step, and may write them down.
    """
    left = list(rows)
    frames.said = []
    for i, options in enumerate(frames.recipe.pruning):
        method, given = method_of("prune", options), given_to(frames, options, unite(left))
        kept = found(i, _matches(frames, i, options, given))
        if method.summarise is not None and frames.scratch is not None:
            # A plan has no matches that are written: it would look for them once more.
            compared = _compared_with(frames, method)
            frames.said += method.summarise(kept, options, f"prune.{i}", **compared)
        left = [remove(frame, kept, frames.unique_keys) for frame in left]
        if method.edit is not None:
            left = [method.edit(frame, options, kept) for frame in left]
    frames.said += [] if frames.indexes is None else frames.indexes.said
    return left


def _matches(frames: Frames, step: int, options: MethodOptions, given: DataFrame) -> DataFrame:
    """What a step finds in the rows that it is given."""
    method, place = method_of("prune", options), f"prune.{step}"
    if method.diagnose is not None:
        frames.said += method.diagnose(given, options, place)
    known: list[Any] = []
    named: dict[str, Any] = _compared_with(frames, method)
    if method.prepare is not None:
        prepared = method.prepare(given, options, place, **named)
        known.append(prepared.state)
        frames.said += prepared.diagnostics
    if method.scratch:
        named["scratch"] = _scratch_of(frames, step)
    if (name := index_of(options)) is not None and frames.indexes is not None:
        named["index"] = frames.indexes.open(options, name, place)
    matches: DataFrame = method.function(given, options, place, *known, **named)
    return matches


def given_to(
    frames: Frames, options: MethodOptions, rows: DataFrame, *, check: bool = False
) -> DataFrame:
    """What a pruning method sees of the rows, or what its columns are checked in."""
    method, made = method_of("prune", options), {bins.name for bins in frames.bins}
    if method.sides:
        return frames.grouped(rows)
    if method.training_only or check:
        return frames.for_training(rows)
    return frames.binned(rows) if short_of(options) & made else rows


def check_steps(frames: Frames) -> None:
    """Raise where a step names a column that is not there, before rows are counted."""
    rows = frames.branches[0]
    for i, options in enumerate(frames.recipe.pruning):
        method = method_of("prune", options)
        if method.check_columns is not None:
            given = given_to(frames, options, rows, check=True).drop(SOURCE, KEY)
            compared = _compared_with(frames, method)
            method.check_columns(given, options, f"prune.{i}", **compared)


def _compared_with(frames: Frames, method: Method) -> dict[str, list[EvaluationTable]]:
    return {"evaluation": frames.evaluation} if method.evaluation else {}


def _scratch_of(frames: Frames, step: int) -> Scratch | None:
    scratch = frames.scratch
    return None if scratch is None else lambda df, name: scratch(df, f"{step}-{name}")
