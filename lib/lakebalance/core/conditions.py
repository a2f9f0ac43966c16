"""What a recipe may ask of a table that it reads: rows by a condition, at one point in time."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from lakebalance.core.errors import RecipeError

# Texts and comments of SQL, in which nothing is called; and names in backticks.
SAID = re.compile(r"'(?:[^'\\]|\\.|'')*'|\"(?:[^\"\\]|\\.|\"\")*\"|/\*.*?\*/|--[^\n]*", re.DOTALL)
QUOTED = re.compile(r"`(\w+)`(?=\s*\()|`(?:[^`]|``)*`")
NOT_OF_THE_ROW = re.compile(
    r"\b(rand|randn|random|randstr|uniform|uuid|shuffle|now|curdate|curtime|"
    r"monotonically_increasing_id|spark_partition_id|input_file_name|input_file_block_start|"
    r"input_file_block_length|current_user|session_user|user)\b\s*\("
    r"|\b(unix_timestamp)\s*\(\s*\)"
    r"|(?<![\w.])(current_date|current_timestamp|current_time|localtimestamp)\b(?!\s*\.)",
    re.IGNORECASE,
)


def of_the_row(where: str | None) -> str | None:
    """The condition, which must be a function of the row alone.

    Raises
    ------
    ValueError : it is not, for a model's validator.

    Examples
    --------
    >>> of_the_row("n > 3")
    'n > 3'
    """
    asked = QUOTED.sub(lambda name: name[1] or "x", SAID.sub(" ", where or ""))
    if found := NOT_OF_THE_ROW.search(asked):
        called = next(filter(None, found.groups()))
        raise ValueError(
            f'"{called}" is not a function of the row, so the output would differ from run to run; '
            "compare with a column or a literal instead"
        )
    return where


def check_of_the_row(where: str | None, place: str) -> None:
    """``of_the_row`` outside of models.

    Raises
    ------
    RecipeError : it is not, with the place.
    """
    try:
        of_the_row(where)
    except ValueError as error:
        raise RecipeError(f"{place}: {error}") from error


def check_one_point_in_time(kind: str, version: int | None, timestamp: str | None) -> None:
    """Raise where a table is asked for at two points in time, or at one that it has not.

    Raises
    ------
    ValueError : for a model's validator.
    """
    if version is not None and timestamp is not None:
        raise ValueError("write version or timestamp, not both")
    if kind == "parquet" and (version, timestamp) != (None, None):
        raise ValueError("a Parquet table has no versions; leave out version and timestamp")


class OneTable(BaseModel):
    """A table that is looked at besides the sources, read at one pinned version."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    table: str = Field(min_length=1, description="Path or catalog name of the table.")
    format: Literal["delta", "parquet"] = Field("delta", description="What the table is.")
    version: int | None = Field(None, ge=0, description="Delta version; the newest if left out.")
    timestamp: str | None = Field(None, description="Delta version as of this time.")
    where: str | None = Field(None, description="Spark SQL condition; other rows do not count.")

    _of_the_row = field_validator("where")(of_the_row)

    @model_validator(mode="after")
    def _one_point_in_time(self) -> OneTable:
        check_one_point_in_time(self.format, self.version, self.timestamp)
        return self

    @property
    def name(self) -> str:
        """What messages call it."""
        return self.table

    @property
    def key(self) -> None:
        """Its rows need no key: they are only looked at."""
        return None

    @property
    def nan_as_null(self) -> bool:
        """Whoever reads a column says what NaN in it means."""
        return False
