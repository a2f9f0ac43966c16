"""What a recipe may ask of the rows as a whole: gates of drift and of fairness."""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from lakebalance.core.conditions import OneTable, check_one_point_in_time, of_the_row
from lakebalance.recipe.parts import Part

# What is a large difference, where a recipe does not say it; see docs/gates.md.
LARGE = {"psi": 0.25, "jensen_shannon": 0.03, "ks": 0.2, "chi_square": 0.001}
BINS, BINS_OF_KS = 10, 100


def not_of_rows(on_fail: object, gate: str) -> object:
    """What a gate of whole tables does when it fails; no row can be set aside for it.

    Raises
    ------
    ValueError : ``quarantine`` is asked for, for a model's validator.
    """
    if on_fail == "quarantine":
        raise ValueError(
            f"{gate} says nothing of single rows, so none can be quarantined; write warn or stop"
        )
    return on_fail


class Against(Part):
    """What the rows are compared with: one of a version, a time, a run, a source and a table."""

    version: int | None = Field(
        None, ge=0, description="This version of the source, or of table where that is written."
    )
    timestamp: str | None = Field(
        None, description="The sources as of this time, or table where that is written."
    )
    run: Literal["newest"] | None = Field(
        None, description="What the newest other run to the target has read, as the ledger has it."
    )
    source: str | None = Field(None, description="The rows of this source of the recipe.")
    table: str | None = Field(None, min_length=1, description="Path or name of another table.")
    format: Literal["delta", "parquet"] = Field("delta", description="With table: what it is.")
    where: str | None = Field(None, description="With table: only rows of this condition.")

    _of_the_row = field_validator("where")(of_the_row)

    @model_validator(mode="after")
    def _one_of_them(self) -> Against:
        alone = [name for name in ("run", "source", "table") if getattr(self, name) is not None]
        timed = self.version is not None or self.timestamp is not None
        if len(alone) > 1 or (not alone and not timed):
            raise ValueError("write one of version, timestamp, run, source and table")
        if timed and alone and alone != ["table"]:
            raise ValueError(f"write {alone[0]}, or version or timestamp, not both")
        if not self.table and (self.where is not None or self.format != "delta"):
            raise ValueError("where and format go with table")
        check_one_point_in_time(self.format, self.version, self.timestamp)
        return self

    @property
    def one_table(self) -> OneTable | None:
        """The table besides the sources, where it is one."""
        if self.table is None:
            return None
        return OneTable(
            table=self.table,
            format=self.format,
            version=self.version,
            timestamp=self.timestamp,
            where=self.where,
        )


class Drift(Part):
    """How far columns may be from what they were: in a version, a run, a source or a table."""

    columns: list[str] = Field(
        min_length=1,
        description="Columns of numbers, dates, timestamps, booleans or texts, each compared by "
        "itself.",
    )
    within: list[str] = Field(
        default_factory=list,
        description="Columns whose groups are compared each by itself; the worst one decides.",
    )
    given: list[str] = Field(
        default_factory=list,
        description="Columns of groups within which columns, such as a label, are compared: one "
        "number, the mean over groups, so that groups may grow or shrink.",
    )
    against: Against = Field(description="What the rows are compared with.")
    source: str | None = Field(None, description="Only rows of this source; all if left out.")
    measure: Literal["psi", "jensen_shannon", "ks", "chi_square"] = Field(
        "psi",
        description="Population stability index; Jensen-Shannon divergence in nats; the "
        "Kolmogorov-Smirnov distance, of values in order; or Pearson's test of equal shares.",
    )
    threshold: float | None = Field(
        None,
        gt=0,
        allow_inf_nan=False,
        description="What the measure may not exceed: if left out, psi 0.25, jensen_shannon 0.03, "
        "ks 0.2. Of chi_square, the chance under which what is found may not be: 0.001.",
    )
    chance: float | None = Field(
        0.001,
        gt=0,
        lt=1,
        description="The threshold is raised, in groups of few rows, to what chance exceeds so "
        "often in any of the comparisons; null to take it as it is.",
    )
    bins: int | None = Field(
        None,
        ge=2,
        le=200,
        description="Parts of as many reference rows each that numbers and times are counted in, "
        "one for each value where there are no more: 10, or 100 for ks, if left out.",
    )
    top: int = Field(
        100, ge=1, le=1000, description="How many of the reference's commonest texts are counted "
        "apart; all others are one bin."
    )  # fmt: skip
    min_rows: int = Field(
        100, ge=1, description="A group with fewer rows on one side is named and not compared."
    )
    on_fail: Literal["warn", "stop"] = Field(
        "warn", description="What a drift means: only say so, or publish nothing."
    )

    @field_validator("on_fail", mode="before")
    @classmethod
    def _of_all_rows(cls, on_fail: Any) -> Any:
        return not_of_rows(on_fail, "drift")

    @model_validator(mode="after")
    def _fits(self) -> Drift:
        for what, names in (
            ("columns", self.columns),
            ("within and given", [*self.within, *self.given]),
        ):
            if twice := {name for name in names if names.count(name) > 1}:
                raise ValueError(f"{what}: the column {min(twice)!r} is there twice")
        if both := {*self.columns} & {*self.within, *self.given}:
            raise ValueError(
                f"the column {min(both)!r} has one value in each of its own groups; take it out of "
                "columns, or of within and given"
            )
        if self.measure == "chi_square" and "chance" in self.model_fields_set:
            raise ValueError("chance of chi_square is its threshold; leave chance out")
        if self.measure in ("chi_square", "ks") and self.limit >= 1:
            raise ValueError(f"threshold of {self.measure} must be under 1; was {self.limit:g}")
        if self.against.source is not None and self.against.source == self.source:
            raise ValueError(f"source {self.source!r} is compared with itself; write another one")
        return self

    @property
    def limit(self) -> float:
        """The threshold, the measure's own where none is written."""
        return LARGE[self.measure] if self.threshold is None else self.threshold

    @property
    def parts(self) -> int:
        """How many parts numbers are counted in, the measure's own where none is written."""
        return self.bins or (BINS_OF_KS if self.measure == "ks" else BINS)


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
            name for name in ("version", "timestamp", "where", "count") if getattr(self, name)
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
        assert self.table is not None
        return OneTable(
            table=self.table,
            format=self.format,
            version=self.version,
            timestamp=self.timestamp,
            where=self.where,
        )


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
