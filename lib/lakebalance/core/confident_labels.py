"""Unknown labels that a model is sure of, taken as present where rows are counted by them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from lakebalance.core.columns import column, kinds, require
from lakebalance.core.coordinates import NUMBERS
from lakebalance.core.diagnostics import Cell, Diagnostic
from lakebalance.core.errors import RecipeError
from lakebalance.core.sources import unite

STEPS = 2**30
MOST_LINES = 100


class ConfidentSpec(Protocol):
    """Which label is meant, and how sure a model must be; ``recipe.made_groups.Bin`` is one."""

    @property
    def of(self) -> str: ...
    @property
    def threshold(self) -> float: ...


@dataclass(frozen=True)
class ConfidentLabel:
    """A 0/1 column whose nulls are 1 where the score is over ``above``.

    ``mean`` is the mean score; of ``unknown`` rows, ``taken`` are over it.
    """

    name: str
    of: str
    score: str
    above: float
    mean: float | None
    unknown: int
    taken: int

    @property
    def columns(self) -> list[str]:
        """The columns that decide."""
        return [self.of, self.score]

    @property
    def lines(self) -> list[list[Cell]]:
        """Its line of the table."""
        return [[self.name, self.unknown, self.taken, self.mean, self.above]]

    def group(self, df: DataFrame) -> Column:
        """The label of each row as its column has it, with 1 for an unknown one that is taken."""
        value, one = column(self.of), F.lit(1).cast(kinds(df)[self.of])
        return F.when(_taken(self.of, self.score, self.above), one).otherwise(value)


def find_confident_label(
    frames: Sequence[DataFrame], name: str, spec: ConfidentSpec, score: str, place: str
) -> ConfidentLabel:
    """Settle over which score an unknown label counts as present: two jobs over two columns.

    That is ``threshold``, or the mean of the label's scores over all rows if this is more, so that
    it is another one for each label. A score must be over it, null and NaN are not. An unknown
    label of a low score stays unknown.

    Parameters
    ----------
    frames : frames of one schema, the rows.
    name : the name of the groups.
    spec : the label's column, of 0, 1 and null; the threshold.
    score : the column of scores, 0 to 1.
    place : path in the recipe, for messages.

    Raises
    ------
    RecipeError : a column is not there, or is no label or score.

    References
    ----------
    Zhang et al., "Learning in Imperfect Environment: Multi-Label Classification with Long-Tailed
    Distribution and Partial Labels", ICCV 2023 (COMIC), the correction of missing labels as its
    published code has it, where means are of a batch and models are trained on what is corrected.
    """
    df = frames[0]
    require(df, [spec.of], f"{place}.of")
    require(df, [score], f"{place}.score")
    kind_of = kinds(df)
    if not isinstance(kind_of[spec.of], (T.BooleanType, *NUMBERS)):
        raise RecipeError(
            f'{place}.of: column "{spec.of}" is {kind_of[spec.of].simpleString()}, which is no '
            "0 or 1; with score, name a column of numbers or booleans"
        )
    if not isinstance(kind_of[score], NUMBERS):
        raise RecipeError(
            f'{place}.score: column "{score}" is {kind_of[score].simpleString()}, which is no '
            "number; name a column of scores from 0 to 1"
        )
    rows = unite([frame.select(column(spec.of), column(score)) for frame in frames])
    mean = _mean(rows, score, place)
    above = spec.threshold if mean is None else max(spec.threshold, mean)
    unknown, taken = rows.agg(
        F.count_if(column(spec.of).isNull()), F.count_if(_taken(spec.of, score, above))
    ).collect()[0]
    return ConfidentLabel(name, spec.of, score, above, mean, unknown, taken)


def _taken(of: str, score: str, above: float) -> Column:
    value = column(score).cast("double")
    sure = (value > above) & ~F.isnan(value)
    return column(of).isNull() & F.coalesce(sure, F.lit(False))


def _mean(rows: DataFrame, score: str, place: str) -> float | None:
    """The mean of scores but null and NaN."""
    step, is_strange = step_of(column(score))
    total, n, strange = rows.agg(F.sum(step), F.count(step), F.count_if(is_strange)).collect()[0]
    if strange:
        raise RecipeError(
            f'{place}.score: column "{score}" is below 0 or above 1 in {strange:,} rows; write '
            "probabilities, such as 1 / (1 + exp(-logit))"
        )
    return on_grid(total, n) if n else None


def step_of(score: Column) -> tuple[Column, Column]:
    """A score as a whole number of steps, whose sums have no order, and whether it is none.

    Null and NaN have no steps, and are no scores that are wrong.
    """
    value = score.cast("double")
    at = F.when(~F.isnan(value), value)
    inside = F.when(at.between(0.0, 1.0), at)
    return F.round(inside * STEPS).cast("decimal(20,0)"), at.isNotNull() & inside.isNull()


def on_grid(total: Decimal | int, n: int) -> float:
    """The mean of ``n`` scores whose steps are ``total``."""
    return int(total) / STEPS / n


class Said(Protocol):
    """Labels that are taken by their scores: one, or those of an array."""

    @property
    def lines(self) -> list[list[Cell]]: ...


def said_of(labels: Iterable[Said]) -> list[Diagnostic]:
    """How many unknown labels are taken as present, in a table, where there are such labels."""
    lines = [line for label in labels for line in label.lines]
    if not lines:
        return []
    less = f" {len(lines) - MOST_LINES:,} labels more are left out." if lines[MOST_LINES:] else ""
    return [
        Diagnostic(
            "Unknown labels by their scores",
            ["label", "unknown", "taken as present", "mean score", "over"],
            lines[:MOST_LINES],
            "Taken as present where rows are counted and shared out; they are written as they are. "
            f"Of all rows of the sources.{less}",
        )
    ]
