"""Options that all samplers of synthetic rows have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from lakebalance.core.registry import MethodOptions


class SyntheticOptions(MethodOptions):
    """Which columns make a row's place, and what becomes of the others."""

    features: list[str] = Field(
        min_length=1,
        description="Columns between whose values new ones are made: numbers, dates, timestamps.",
    )
    scale: Literal["standard", "none"] = Field(
        "standard",
        description="Distances of features in standard deviations of their group, or as they are.",
    )
    nulls: Literal["refuse", "ignore"] = Field(
        "refuse",
        description="What a null or NaN in a feature means: an error, or the mean when distances "
        "are measured, and its parent's null in a new row.",
    )
    fewer: Literal["refuse", "reduce"] = Field(
        "refuse",
        description="A group with fewer rows than neighbours: an error, or as many as there are.",
    )
    blank: list[str] = Field(
        default_factory=list,
        description="Columns that are null in new rows, such as ids; all that are not named keep "
        "the value of the row's first parent.",
    )
    parents: str | None = Field(
        "lb_parents",
        description="New column with the keys of a new row's parents, null in other rows; null "
        "for no such column.",
    )
    max_group_rows: int = Field(
        1_000_000, gt=0, description="Most rows of a group that one task searches."
    )

    @property
    def neighbours_needed(self) -> int:
        """How many neighbours a parent must have."""
        return 0

    @property
    def categories(self) -> Sequence[str]:
        """The columns that take the commonest value among neighbours."""
        return ()


class NeighbourOptions(SyntheticOptions):
    """Options of samplers that put new rows between neighbours."""

    k_neighbors: int = Field(
        5, ge=1, le=100, description="Neighbours of which one is the second parent."
    )

    @property
    def neighbours_needed(self) -> int:
        """How many neighbours a parent must have."""
        return self.k_neighbors
