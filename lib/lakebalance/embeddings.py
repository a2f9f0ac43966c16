"""Rules that compare embeddings: from the tables' columns to the projections that rules work on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import BooleanType

from lakebalance.allocate.samples import Embeddings, Projections
from lakebalance.core.columns import column, kinds
from lakebalance.core.errors import LakebalanceError, RecipeError, TableError
from lakebalance.core.registry import MethodOptions
from lakebalance.core.sources import SOURCE, Pinned, unite
from lakebalance.frames import Frames
from lakebalance.projections import NAME, Slicing, embedded, quantiles_of
from lakebalance.recipe.embedded import embeddings_of, rules_in
from lakebalance.recipe.rules import Rules


def with_projections(frames: Frames, rules: Rules, left: Sequence[DataFrame], place: str) -> Rules:
    """The rules, with projections in place of the embeddings that they name.

    Parameters
    ----------
    frames : the recipe, its sources and targets.
    rules : those of one output.
    left : the rows to sample; three jobs for each rule that compares embeddings, five with labels.
    place : path of the rules in the recipe.

    Raises
    ------
    LakebalanceError : embeddings are null, of several sizes or not finite; with the place.
    """
    made: dict[str, MethodOptions] = {}
    for at, rule in rules_in(rules, place).items():
        spec = embeddings_of(rule)
        if spec is not None:
            try:
                found = _projections(frames, left, rule, spec, frames.targets[at])
            except LakebalanceError as error:
                raise type(error)(f"{at}.embeddings: {error}") from error
            made[at] = rule.model_copy(update={"projections": found, "embeddings": None})
    if not made:
        return rules
    own = rules_in(rules, place)
    changed = {at: made.get(at, rule) for at, rule in own.items()}
    return rules.model_copy(
        update={
            "mix": changed.get(f"{place}.mix"),
            "balance": changed.get(f"{place}.balance"),
            "within": [changed[f"{place}.within.{i}"] for i in range(len(rules.within))],
        }
    )


def _projections(
    frames: Frames, left: Sequence[DataFrame], rule: Any, spec: Embeddings, target: Pinned
) -> Projections:
    how = Slicing.of(spec)
    by = None if rule.by == "source" else list(rule.by)
    called = f"{target.table} version {target.version}"
    training = [frames.for_training(frame) for frame in left]
    own = [embedded(rows.withColumn(NAME, _name(rows, by)), how) for rows in training]
    wanted = embedded(target.df.withColumn(NAME, F.lit(called)), how)
    table = quantiles_of(unite([*own, wanted]), how)
    found = {} if table is None else _values(table.toArrow().to_pylist())
    if called not in found:
        raise TableError(f"target: {target.table} has no rows to compare with")
    try:
        return Projections(target=called, values=found)
    except ValidationError as error:
        message = str(error.errors()[0]["msg"]).removeprefix("Value error, ")
        raise RecipeError(message) from error


def _name(rows: DataFrame, by: Sequence[str] | None) -> Column:
    """What an allocator calls the group of a row."""
    if by is None:
        return F.col(SOURCE)
    return F.concat_ws("/", *[F.coalesce(_text(rows, n), F.lit("null")) for n in by])


def _text(rows: DataFrame, name: str) -> Column:
    text = column(name).cast("string")
    return F.initcap(text) if isinstance(kinds(rows)[name], BooleanType) else text


def _values(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[list[float]]]:
    slices: dict[str, dict[int, list[float]]] = {}
    for row in rows:
        slices.setdefault(row["source"], {}).setdefault(row["projection"], []).append(row["value"])
    return {name: [sorted(own[i]) for i in sorted(own)] for name, own in sorted(slices.items())}
