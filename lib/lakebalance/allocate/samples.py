"""What ``transport`` knows of sources and target: projections, or where embeddings are."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

from lakebalance.core.conditions import OneTable

Finite = Annotated[float, Field(allow_inf_nan=False)]
Slice = Annotated[list[Finite], Field(min_length=1)]
MOST_CELLS = 2_000_000


class Projections(BaseModel):
    """Samples of the sources and of the target, projected onto the same directions."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    file: str | None = Field(
        None, description="CSV file beside the recipe: source, projection, value."
    )
    target: str = Field("target", description="What the target is called in source.")
    values: dict[str, list[Slice]] = Field(
        default_factory=dict, description="The same, in here: values of each projection, by source."
    )

    @model_validator(mode="after")
    def _alike(self) -> Projections:
        if self.file is not None:
            raise ValueError("a file is read by Recipe.load alone; give values here")
        if self.target not in self.values:
            raise ValueError(f'there are no values of the target, "{self.target}"')
        counts = {name: len(slices) for name, slices in self.values.items()}
        wanted = counts[self.target]
        for name, count in counts.items():
            if count != wanted or not count:
                raise ValueError(
                    f'"{name}" has {count} projections and the target {wanted}; project embeddings '
                    "of one size onto the same directions"
                )
        size = sum(len(slice_) for slices in self.values.values() for slice_ in slices)
        if size * len(self.values) > MOST_CELLS:
            raise ValueError(
                f"{size:,} values of {len(self.values)} sources are too many; write "
                "quantiles, such as 100 of each projection, or fewer projections"
            )
        return self


class TargetTable(OneTable):
    """Rows like those that a model is for, read at one pinned version."""


class Embeddings(BaseModel):
    """Where the embeddings of the sources' rows and of the target's are."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    column: str = Field(min_length=1, description="Array of numbers, of one size in all rows.")
    target: TargetTable = Field(description="Rows like those that a model is for.")
    label: str | None = Field(
        None, min_length=1, description="Column of labels, which then count in the distance."
    )
    label_weight: float = Field(
        1.0, gt=0, allow_inf_nan=False, description="How much labels count beside embeddings."
    )
    directions: int = Field(32, ge=1, description="How many directions are projected onto.")
    quantiles: int = Field(100, ge=1, description="How many of the values along each are kept.")
    most: int = Field(20_000, ge=1, description="About how many rows of each source are compared.")
    seed: int = Field(0, description="Another one makes other directions.")
