"""The models of groups that are made of columns: bins, and parts of classes."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from lakebalance.core.periods import Period
from lakebalance.recipe.parts import Edge, Part


class Bin(Part):
    """Groups of a column that has none of its own: intervals, quantiles, periods, common values.

    Or a column of 0, 1 and null, a label, or an array of labels, with what a model knows of it.
    """

    of: str = Field(description="The column that is cut, or the label.")
    edges: list[Edge] | None = Field(
        None,
        min_length=1,
        max_length=200,
        description="Where intervals begin, rising: numbers or times, in UTC where without zone.",
    )
    quantiles: int | None = Field(
        None, ge=2, le=200, description="How many parts of as many rows each."
    )
    top: int | None = Field(
        None, ge=1, le=10_000, description="How many of the commonest values stay as they are."
    )
    every: Period | None = Field(
        None, description="Periods of a date or timestamp, in UTC; weeks begin on Monday."
    )
    other: str = Field("other", description="With top: what all other values are called.")

    score: str | None = Field(
        None,
        description="Column of a model's scores, 0 to 1, for the label `of`: where that is null "
        "and the score high, rows are counted as if it were 1; the output has the label as it is. "
        "For an array of labels, a map from labels to scores; its labels are unknown where it, or "
        "one of its elements, is null.",
    )
    threshold: float = Field(
        0.7,
        ge=0,
        le=1,
        description="With score: over which a score is high, if it is over the mean score as well.",
    )

    @model_validator(mode="after")
    def _one_way(self) -> Bin:
        ways = ("edges", "quantiles", "every", "top", "score")
        if sum(getattr(self, way) is not None for way in ways) != 1:
            raise ValueError("write one of edges, quantiles, every, top and score")
        return self


class Cluster(Part):
    """Parts of large classes, about as large as the smallest class, of rows that lie together."""

    of: list[str] = Field(
        min_length=1,
        description="Columns by which rows lie together: numbers, times, arrays of numbers.",
    )
    within: list[str] | None = Field(
        None,
        min_length=1,
        description="Columns or bins that make the classes; the other `by` columns if left out.",
    )
    floor: int = Field(
        200, ge=1, description="Least size of a part, where the smallest class has fewer rows."
    )
    slack: float = Field(
        0.1,
        ge=0,
        le=1,
        description="Share by which a part may be larger than the mean of its class's parts.",
    )
    scale: Literal["standard", "none"] = Field(
        "standard",
        description="Distances in standard deviations of the class, one for all elements of an "
        "array, or as they are.",
    )
    nulls: Literal["refuse", "own_part"] = Field(
        "refuse",
        description="What a null or NaN in one of the columns means: an error, or that the row is "
        "in a part of such rows, which is null.",
    )

    @model_validator(mode="after")
    def _each_once(self) -> Cluster:
        names = [*self.of, *(self.within or [])]
        if twice := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"the column {min(twice)!r} is there twice; leave one out")
        return self
