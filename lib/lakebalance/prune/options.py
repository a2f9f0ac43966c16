"""Options of methods that drop rows for where they lie among rows of other groups."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from lakebalance.core.registry import MethodOptions

Strategy = Literal["auto", "majority", "not minority", "not majority", "all"]
Value = bool | int | float | str | None


class PlaceOptions(MethodOptions):
    """What makes a row's group and its place."""

    by: list[str] = Field(
        min_length=1, description="Columns, or names of allocate.bins, that make the groups."
    )
    features: list[str] = Field(
        min_length=1,
        description="Columns that distances are measured over: numbers, dates, timestamps, arrays "
        "of numbers such as embeddings.",
    )
    scale: Literal["standard", "none"] = Field(
        "standard",
        description="Distances of features in standard deviations of all rows, an array as one "
        "feature by the root of its numbers' summed variances; or as they are.",
    )
    nulls: Literal["refuse", "ignore"] = Field(
        "refuse",
        description="What a null or NaN in a feature means: an error, or the mean of all rows.",
    )
    max_rows: int = Field(1_000_000, gt=0, description="Most rows that one task searches.")


class CleaningOptions(PlaceOptions):
    """What makes a row's group and its place, and which groups may lose rows."""

    sampling_strategy: Strategy | list[Value | dict[str, Value]] = Field(
        "auto",
        description="Groups that may lose rows, as in imbalanced-learn: auto is not minority, all "
        "but the smallest; or a list of groups, each its value, or its values by column.",
    )


class ShrinkingOptions(CleaningOptions):
    """What makes a row's group and its place, and how many rows of which groups stay."""

    rows: int | None = Field(
        None,
        ge=1,
        description="Rows that stay of each group that may lose some; as many as the smallest "
        "group has if left out.",
    )
