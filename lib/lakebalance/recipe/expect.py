"""What a recipe may say of its quality gate: expectations, and gates that measure."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from lakebalance.recipe.drift import Drift
from lakebalance.recipe.fairness import Fairness
from lakebalance.recipe.learned import Learned
from lakebalance.recipe.parts import Part

OnFail = Literal["quarantine", "warn", "stop"]


class Expectation(Part):
    """A Great Expectations expectation and what its failure means."""

    expectation: str = Field(description="Class name, such as ExpectColumnValuesToNotBeNull.")
    args: dict[str, Any] = Field(default_factory=dict, description="The class's own arguments.")
    on_fail: OnFail = Field(
        "quarantine", description="Set rows aside, only say so, or publish nothing."
    )
    source: str | None = Field(None, description="Only rows of this source; all if left out.")
    on: Literal["before", "after", "both"] = Field(
        "before",
        description="The rows that are read, the rows of the balanced table before it is written, "
        "or each by itself.",
    )

    @model_validator(mode="after")
    def _output_is_judged(self) -> Expectation:
        if self.on == "before":
            return self
        if self.on_fail == "quarantine":
            raise ValueError(
                f"rows that are to be published cannot be quarantined; with on: {self.on}, write "
                "on_fail: warn or stop"
            )
        if self.source is not None:
            raise ValueError(
                f"source goes with on: before; with on: {self.on}, write a row_condition on the "
                "column that publish.source_column names"
            )
        return self

    @property
    def times(self) -> list[str]:
        """When it is asked."""
        return ["before", "after"] if self.on == "both" else [self.on]


class Expect(Part):
    """The quality gate: expectations, here or in a file beside the recipe, drift and fairness."""

    expectations: list[Expectation] = Field(
        default_factory=list, description="What rows or tables must be like."
    )
    suite: str | None = Field(
        None,
        description="YAML or JSON file beside the recipe: a list of expectations, or a suite as "
        "Great Expectations writes it.",
    )
    on_fail: OnFail | None = Field(
        None,
        description="For those of the suite that do not say it themselves; by their severity if "
        "left out: stop where it is critical, else warn.",
    )
    drift: list[Drift] = Field(
        default_factory=list,
        description="How far rows may be from those of another version, run, source or table.",
    )
    fairness: list[Fairness] = Field(
        default_factory=list,
        description="How far groups may be apart, before or after they are balanced.",
    )
    learned: list[Learned] = Field(
        default_factory=list,
        description="How far counts may be from those of earlier runs, which the ledger has.",
    )

    @model_validator(mode="after")
    def _default_is_used(self) -> Expect:
        if self.on_fail is not None and self.suite is None:
            raise ValueError("on_fail is for a suite; write it in each of the expectations")
        return self
