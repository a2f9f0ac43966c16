"""What a recipe says of a table that it reads."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from lakebalance.core.conditions import check_one_point_in_time, of_the_row
from lakebalance.recipe.parts import Part


class Source(Part):
    """One table, read at one pinned version, optionally filtered."""

    name: str = Field(min_length=1, description="What the recipe and the plan call this source.")
    table: str = Field(min_length=1, description="Path or catalog name of the table.")
    format: Literal["delta", "parquet"] = Field("delta", description="What the table is.")
    version: int | None = Field(None, ge=0, description="Delta version; the newest if left out.")
    timestamp: str | None = Field(None, description="Delta version as of this time.")
    where: str | None = Field(None, description="Spark SQL condition; other rows are filtered.")
    key: Literal["row_id"] | Annotated[list[str], Field(min_length=1)] | None = Field(
        None,
        description="Columns that identify a row, or row_id for Delta's row tracking; all columns "
        "if left out.",
    )
    nan_as_null: bool = Field(
        False, description="Read NaN in float and double columns as null, as pandas means it."
    )

    _of_the_row = field_validator("where")(of_the_row)

    @model_validator(mode="after")
    def _one_point_in_time(self) -> Source:
        check_one_point_in_time(self.format, self.version, self.timestamp)
        return self
