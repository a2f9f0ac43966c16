"""What a recipe may ask of a run by what earlier runs were like."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from lakebalance.recipe.drift import not_of_rows
from lakebalance.recipe.parts import Part


class Learned(Part):
    """How far a run's counts may be from those of earlier runs to the target."""

    metric: Literal["rows", "quarantined", "unexpected", "groups"] = Field(
        description="The rows read; the share of them that is set aside; of each expectation of "
        "rows by itself, the share of rows that is unexpected; or the share of each group of "
        "allocate.balance.by in all rows read.",
    )
    source: str | None = Field(
        None, description="With rows: those of this source; of all together if left out."
    )
    runs: int = Field(20, ge=3, le=200, description="How many of the newest runs are looked at.")
    at_least: int = Field(
        5, ge=3, description="With fewer of them, the gate passes and says so, with a warning."
    )
    deviations: float = Field(
        5.0,
        gt=0,
        description="How far from the median of the earlier runs, in their median absolute "
        "deviations times 1.4826, which are standard deviations where they are normal.",
    )
    tolerance: float = Field(
        0.01,
        ge=0,
        le=1,
        description="What is allowed in any case: this part of the median for rows, so many of "
        "all rows for a share.",
    )
    on_fail: Literal["warn", "stop"] = Field(
        "warn", description="What it means: only say so, or publish nothing."
    )

    @field_validator("on_fail", mode="before")
    @classmethod
    def _of_all_rows(cls, on_fail: Any) -> Any:
        return not_of_rows(on_fail, "learned")

    @model_validator(mode="after")
    def _can_be_met(self) -> Learned:
        if self.source is not None and self.metric != "rows":
            raise ValueError("source goes with metric: rows")
        if self.at_least > self.runs:
            raise ValueError(f"at_least is {self.at_least}, and runs {self.runs}; write more runs")
        return self
