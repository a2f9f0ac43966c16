"""What a recipe may ask of groups of rows: gates of fairness."""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from lakebalance.core.conditions import OneTable, check_one_point_in_time, of_the_row
from lakebalance.recipe.drift import not_of_rows, table_in
from lakebalance.recipe.parts import Part

# The limit of each measure of fairness where a recipe does not write one; see docs/gates.md.
FAIR = {
    "demographic_parity_difference": 0.1,
    "disparate_impact_ratio": 0.8,
    "equalized_odds_difference": 0.1,
    "representation": 0.8,
}
RATIOS = ("disparate_impact_ratio", "representation")


class ColumnIs(Part):
    """The rows of which a column has one value; where it is null, nobody knows."""

    column: str = Field(description="The column.")
    value: bool | int | float | str = Field(description="The value, such as true, 1 or a text.")


class Population(Part):
    """The shares that groups have of a population: written here, or counted in a table."""

    shares: dict[str, Annotated[float, Field(ge=0, le=1)]] | None = Field(
        None,
        min_length=1,
        description="By the group's values, joined by / where there are several, null as null.",
    )
    table: str | None = Field(
        None, min_length=1, description="Path or catalog name of a table with the group's columns."
    )
    format: Literal["delta", "parquet"] = Field("delta", description="What the table is.")
    version: int | None = Field(None, ge=0, description="Delta version; the newest if left out.")
    timestamp: str | None = Field(None, description="Delta version as of this time.")
    where: str | None = Field(None, description="Spark SQL condition; other rows do not count.")
    count: str | None = Field(
        None,
        description="Column of whole numbers of the table: how many of the population a row is; 1 "
        "if left out.",
    )

    _of_the_row = field_validator("where")(of_the_row)

    @model_validator(mode="after")
    def _one_way(self) -> Population:
        if (self.shares is None) == (self.table is None):
            raise ValueError("write shares, or table")
        others = [
            name
            for name in ("version", "timestamp", "where", "count")
            if getattr(self, name) is not None
        ]
        if self.shares is not None and (others or self.format != "delta"):
            raise ValueError(f"{', '.join(others) or 'format'} goes with table")
        if self.shares is not None and abs(sum(self.shares.values()) - 1) > 1e-6:
            raise ValueError(f"shares sum to {sum(self.shares.values()):.6g}; they must sum to 1")
        check_one_point_in_time(self.format, self.version, self.timestamp)
        return self

    @property
    def one_table(self) -> OneTable:
        """The table, where there is one."""
        return table_in(self)


class Fairness(Part):
    """How far groups of rows may be apart in an outcome, or from their shares of a population."""

    groups: list[str] = Field(
        min_length=1,
        description="Columns, or names of allocate.bins, whose values make the groups; several "
        "make intersections.",
    )
    measure: Literal[
        "demographic_parity_difference",
        "disparate_impact_ratio",
        "equalized_odds_difference",
        "representation",
    ] = Field(
        description="The largest difference of groups' rates of the outcome; the lowest rate over "
        "the highest; the larger one of the largest differences of true and of false positive "
        "rates; or the least share of a group over its share of the reference.",
    )
    outcome: ColumnIs | str | None = Field(
        None,
        description="Which rows have the favourable outcome: a column and its value, or a Spark "
        "SQL condition. Where it is null, the row does not count.",
    )
    prediction: ColumnIs | str | None = Field(
        None,
        description="For equalized_odds_difference: which rows are predicted to have it, likewise.",
    )
    reference: Population | None = Field(
        None, description="For representation: the groups' shares of a population."
    )
    threshold: float | None = Field(
        None,
        gt=0,
        le=1,
        description="What a difference may not exceed, or a ratio not fall under: 0.1 for "
        "differences, 0.8 (four fifths) for ratios, if left out.",
    )
    min_rows: int = Field(
        100,
        ge=1,
        description="A group with fewer rows that count is named and not judged; for "
        "representation, one that the reference lets expect fewer.",
    )
    on: Literal["before", "after", "both"] = Field(
        "after",
        description="The rows for training that passed the gates, the rows of the balanced table, "
        "or each by itself.",
    )
    on_fail: Literal["warn", "stop"] = Field(
        "warn", description="What it means: only say so, or publish nothing."
    )

    @field_validator("on_fail", mode="before")
    @classmethod
    def _of_all_rows(cls, on_fail: Any) -> Any:
        return not_of_rows(on_fail, "fairness")

    @field_validator("outcome", "prediction")
    @classmethod
    def _is_of_the_row(cls, rows: ColumnIs | str | None) -> ColumnIs | str | None:
        return of_the_row(rows) if isinstance(rows, str) else rows

    @model_validator(mode="after")
    def _has_what_it_needs(self) -> Fairness:
        needed = {
            "outcome": self.measure != "representation",
            "prediction": self.measure == "equalized_odds_difference",
            "reference": self.measure == "representation",
        }
        for name, is_needed in needed.items():
            if is_needed and getattr(self, name) is None:
                raise ValueError(f"{self.measure} needs {name}; write it")
            if not is_needed and getattr(self, name) is not None:
                raise ValueError(f"{self.measure} has no use for {name}; leave it out")
        if twice := {name for name in self.groups if self.groups.count(name) > 1}:
            raise ValueError(f"groups: the column {min(twice)!r} is there twice")
        return self

    @property
    def limit(self) -> Fraction:
        """The threshold as it is written, the measure's own where none is."""
        threshold = FAIR[self.measure] if self.threshold is None else self.threshold
        return Fraction(str(threshold))

    @property
    def times(self) -> list[str]:
        """When it is measured."""
        return ["before", "after"] if self.on == "both" else [self.on]
