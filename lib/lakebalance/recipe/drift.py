"""What a recipe may ask of the rows as a whole: gates of drift."""

from __future__ import annotations

from typing import Any, Literal

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


def table_in(part: Part) -> OneTable:
    """The table that the fields of a part say, which has others besides."""
    return OneTable.model_validate({name: getattr(part, name) for name in OneTable.model_fields})


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
        return None if self.table is None else table_in(self)


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
