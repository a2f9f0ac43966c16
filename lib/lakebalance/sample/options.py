"""Options that all samplers of synthetic rows have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field, model_validator

from lakebalance.core.registry import MethodOptions


class SyntheticOptions(MethodOptions):
    """What becomes of columns that make no row's place, and which groups are refused."""

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
        1_000_000,
        gt=0,
        description="Most rows of a group that one task searches; a larger one that is to grow is "
        "refused by plan, which says what memory a task needs.",
    )

    @property
    def neighbours_needed(self) -> int:
        """How many neighbours a parent must have."""
        return 0

    @property
    def coordinates(self) -> Sequence[str]:
        """The columns of numbers that make a row's place."""
        return ()

    @property
    def categories(self) -> Sequence[str]:
        """The columns that take the commonest value among neighbours."""
        return ()

    @property
    def voted(self) -> Sequence[str]:
        """The columns about which neighbours vote in some way."""
        return self.categories


class Features(MethodOptions):
    """The columns that make a row's place."""

    features: list[str] = Field(
        min_length=1,
        description="Columns between whose values new ones are made: numbers, dates, timestamps, "
        "arrays of numbers such as embeddings. They are doubles on the way, so that of whole "
        "numbers and decimals 15 digits are kept.",
    )
    nulls: Literal["refuse", "ignore"] = Field(
        "refuse",
        description="What a null or NaN in a feature means: an error, or the mean when distances "
        "are measured, and its parent's null in a new row.",
    )


class FeatureOptions(SyntheticOptions, Features):
    """Options of samplers that make new numbers."""

    @property
    def coordinates(self) -> Sequence[str]:
        """The columns of numbers that make a row's place."""
        return self.features


class CategoricalOptions(SyntheticOptions):
    """Options of samplers in which neighbours vote about categories."""

    categorical: list[str] = Field(
        min_length=1, description="Columns whose value is the commonest among the neighbours."
    )

    @property
    def categories(self) -> Sequence[str]:
        """The columns that take the commonest value among neighbours."""
        return self.categorical


class NeighbourOptions(FeatureOptions):
    """Options of samplers that put new rows between neighbours."""

    scale: Literal["standard", "none"] = Field(
        "standard",
        description="Distances of features in standard deviations of their group, an array as one "
        "feature by the root of its numbers' summed variances; or as they are.",
    )
    k_neighbors: int = Field(
        5, ge=1, le=100, description="Neighbours of which one is the second parent."
    )

    @property
    def neighbours_needed(self) -> int:
        """How many neighbours a parent must have."""
        return self.k_neighbors


class NoiseOptions(FeatureOptions):
    """Options of samplers that put new rows around single ones."""

    shrinkage: float = Field(
        1.0, gt=0, allow_inf_nan=False, description="Factor of the kernel's width."
    )
    clip: Literal["none", "observed"] = Field(
        "none", description="Whether new values stay within those that the group has."
    )
    bounds: dict[str, tuple[float | None, float | None]] = Field(
        default_factory=dict,
        description="Least and greatest new value of features, of an array's elements too, null "
        "for none; days or microseconds since 1970 for dates and timestamps.",
    )

    @model_validator(mode="after")
    def _bounds_are_of_features(self) -> NoiseOptions:
        for name, (least, most) in self.bounds.items():
            if name not in self.features:
                raise ValueError(f"bounds name {name!r}, which is not among the features")
            if least is not None and most is not None and least > most:
                raise ValueError(f"the bounds of {name!r} are the wrong way round")
        return self


class BorderOptions(NeighbourOptions):
    """Options of samplers that look at the neighbours of all groups first."""

    m_neighbors: int = Field(
        10, ge=1, le=100, description="Neighbours, of whatever group, that say where a row lies."
    )
