"""Unknown labels of array columns that a model is sure of, counted as if rows had them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from lakebalance.core.columns import column, kinds, require
from lakebalance.core.confident_labels import ConfidentSpec, on_grid, step_of
from lakebalance.core.coordinates import NUMBERS
from lakebalance.core.diagnostics import Cell
from lakebalance.core.errors import RecipeError
from lakebalance.core.hashing import INTEGRALS
from lakebalance.core.sources import unite

MOST_LABELS = 1000


@dataclass(frozen=True)
class ScoredLabel:
    """A label with its mean score, over which it is taken, and how often it is unknown, and taken.

    ``above`` is the greater of the mean and the recipe's threshold.
    """

    label: str | int
    mean: float
    above: float
    unknown: int = 0
    taken: int = 0


@dataclass(frozen=True)
class ConfidentLabels:
    """An array column of labels, with those added that a row may have and a model is sure of."""

    name: str
    of: str
    score: str
    labels: Sequence[ScoredLabel]

    @property
    def columns(self) -> list[str]:
        """The columns that decide."""
        return [self.of, self.score]

    @property
    def lines(self) -> list[list[Cell]]:
        """A line of the table for each label, those that are taken most first."""
        most = sorted(self.labels, key=lambda label: (-label.taken, str(label.label)))
        return [[f"{self.name}: {x.label}", x.unknown, x.taken, x.mean, x.above] for x in most]

    def group(self, df: DataFrame) -> Column:
        """The labels of each row as its column has them, and those that are taken after them.

        What else may be in the row is as unknown as before: a null among the labels stays there,
        and a null array becomes what is taken, and a null.
        """
        taken, nothing = self.taken(df), F.array(F.lit(None)).cast(kinds(df)[self.of])
        with_them = F.concat(taken, nothing)
        had = F.when(column(self.of).isNull(), with_them).otherwise(
            F.concat(column(self.of), taken)
        )
        return F.when(_is_open(self.of) & (F.size(taken) > 0), had).otherwise(column(self.of))

    def taken(self, df: DataFrame) -> Column:
        """The labels that each row would get, in order; only where some of its own are unknown."""
        kind = kinds(df)[self.of]
        assert isinstance(kind, T.ArrayType)
        keys = _constant([x.label for x in self.labels], kind.simpleString())
        above = F.map_from_arrays(keys, _constant([x.above for x in self.labels], "array<double>"))
        sure = F.map_filter(
            column(self.score),
            lambda label, score: (
                (score.cast("double") > F.element_at(above, label))
                & ~F.isnan(score.cast("double"))
                & ~F.coalesce(F.array_contains(column(self.of), label), F.lit(False))
            ),
        )
        return F.coalesce(F.sort_array(F.map_keys(sure)), F.array().cast(kind))


def find_confident_labels(
    frames: Sequence[DataFrame], name: str, spec: ConfidentSpec, score: str, place: str
) -> ConfidentLabels:
    """Settle over which score each label counts as present where a row may have it: two jobs.

    As ``find_confident_label`` does for one label: the score must be over ``threshold`` and over
    the mean of the label's scores in all rows that have one. A row may have labels that its array
    does not name where that is null or has a null among its elements.

    Parameters
    ----------
    frames : frames of one schema, the rows.
    name : the name of the groups.
    spec : the array column of labels, texts or whole numbers; the threshold.
    score : the column of scores, a map from labels to numbers of 0 to 1.
    place : path in the recipe, for messages.

    Raises
    ------
    RecipeError : a column is not there, or has no labels or scores; over 1,000 labels.
    """
    df = frames[0]
    require(df, [score], f"{place}.score")
    kind_of = kinds(df)
    labels, scores = kind_of[spec.of], kind_of[score]
    assert isinstance(labels, T.ArrayType)
    element = labels.elementType
    if not isinstance(element, (T.StringType, *INTEGRALS)):
        raise RecipeError(
            f'{place}.of: column "{spec.of}" is {labels.simpleString()}; with score, name an array '
            "of texts or whole numbers, or a column of 0, 1 and null"
        )
    fits = isinstance(scores, T.MapType) and scores.keyType == element
    if not (fits and isinstance(scores, T.MapType) and isinstance(scores.valueType, NUMBERS)):
        wanted = f"map<{element.simpleString()},double>"
        raise RecipeError(
            f'{place}.score: column "{score}" is {scores.simpleString()}, and the labels of '
            f'"{spec.of}" are {labels.simpleString()}; name a column {wanted}, which has a score '
            "from 0 to 1 for each label that a model knows"
        )
    rows = unite([frame.select(column(spec.of), column(score)) for frame in frames])
    means = _means(rows, score, place)
    found = [ScoredLabel(x, mean, max(spec.threshold, mean)) for x, mean in means.items()]
    unknown, taken = _counted(rows, ConfidentLabels(name, spec.of, score, found))
    return ConfidentLabels(
        name,
        spec.of,
        score,
        [
            ScoredLabel(x.label, x.mean, x.above, unknown[x.label], taken.get(x.label, 0))
            for x in found
        ],
    )


def _means(rows: DataFrame, score: str, place: str) -> dict[Any, float]:
    """The mean score of each label that has one; sums are of whole steps, so they have no order."""
    step, strange = step_of(F.col("value"))
    table = (
        rows.select(F.explode(column(score)).alias("key", "value"))
        .groupBy("key")
        .agg(F.sum(step).alias("total"), F.count(step).alias("n"), F.count_if(strange).alias("odd"))
        .limit(MOST_LABELS + 1)
        .collect()
    )
    if len(table) > MOST_LABELS:
        raise RecipeError(
            f'{place}.score: column "{score}" has scores of more than {MOST_LABELS:,} labels, '
            "which is the most; leave those out of it that are never unknown or never sure"
        )
    if odd := sum(line["odd"] for line in table):
        raise RecipeError(
            f'{place}.score: column "{score}" has {odd:,} scores below 0 or above 1; write '
            "probabilities, such as 1 / (1 + exp(-logit))"
        )
    ordered = sorted(table, key=lambda line: line["key"])
    return {line["key"]: on_grid(line["total"], line["n"]) for line in ordered if line["n"]}


def _counted(
    rows: DataFrame, labels: ConfidentLabels
) -> tuple[Mapping[str | int, int], Mapping[str | int, int]]:
    """In how many rows each scored label is unknown, and in how many of these it is taken."""
    of = column(labels.of)
    had = F.coalesce(F.array_distinct(F.filter(of, lambda x: x.isNotNull())), F.array().cast(
        kinds(rows)[labels.of]
    ))  # fmt: skip

    def each(names: Column, what: str) -> Column:
        return F.transform(names, lambda x: F.struct(x.alias("label"), F.lit(what).alias("what")))

    nothing = F.array(F.lit(None)).cast(kinds(rows)[labels.of])
    all_ = F.concat(each(had, "had"), each(labels.taken(rows), "taken"), each(nothing, "open"))
    counts = rows.where(_is_open(labels.of)).select(F.explode(all_).alias("e"))
    table = counts.groupBy("e.label", "e.what").count().collect()
    found: dict[str, dict[Any, int]] = {"had": {}, "taken": {}, "open": {}}
    for line in table:
        found[line["what"]][line["label"]] = line["count"]
    open_ = found["open"].get(None, 0)
    unknown = {x.label: open_ - found["had"].get(x.label, 0) for x in labels.labels}
    return unknown, found["taken"]


def _is_open(of: str) -> Column:
    """Whether a row may have labels that it does not name; never null."""
    named = F.exists(column(of), lambda x: x.isNull())
    return column(of).isNull() | F.coalesce(named, F.lit(False))


def _constant(values: Sequence[str | int | float], kind: str) -> Column:
    """Many values as one constant array; a literal each would be slow."""
    return F.from_json(F.lit(json.dumps(list(values))), kind)
