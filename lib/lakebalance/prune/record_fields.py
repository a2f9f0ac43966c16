"""What records are compared by, as recipes say it, and the columns that it takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field, model_validator
from pyspark.sql import DataFrame
from pyspark.sql import types as T

from lakebalance.core.columns import kinds, require, require_kind
from lakebalance.core.coordinates import check_features
from lakebalance.core.record_similarity import Comparison, Measure
from lakebalance.core.registry import MethodOptions
from lakebalance.prune.lengths import Length, in_units_of
from lakebalance.prune.record_columns import Columns

FIELDS = (
    "What rows are compared by, each column {compare, weight}. compare: text, by measure "
    "jaro_winkler (as it is, for names) or levenshtein (1 - edits / length of the longer one); "
    "set, the Jaccard similarity of arrays, or of a text's words; numeric, 1 where equal and in a "
    "straight line to 0 at tolerance: a number, with relative: true a share of the larger one, for "
    "dates and timestamps a time such as 3 days; exact, 1 or 0, for any type, texts as normalise "
    "has them. weight: 1 as it is. A null, NaN, empty text or empty array is missing."
)
OF_KIND = {"measure": "text", "tolerance": "numeric", "relative": "numeric"}


class RecordField(MethodOptions):
    """How a column of two rows is compared, and what it weighs."""

    compare: Literal["text", "set", "numeric", "exact"] = Field(
        description="How similar two values are."
    )
    weight: float = Field(
        1.0, gt=0, allow_inf_nan=False, description="Share in the mean of all fields."
    )
    measure: Measure | None = Field(
        None, description="For text: jaro_winkler, as it is, or levenshtein."
    )
    tolerance: Length | None = Field(
        None, description="For numeric: how far apart values are that have nothing in common."
    )
    relative: bool | None = Field(
        None, description="For numeric: tolerance is a share of the larger value."
    )

    @model_validator(mode="after")
    def _of_its_kind(self) -> RecordField:
        for name, kind in OF_KIND.items():
            if getattr(self, name) is not None and self.compare != kind:
                raise ValueError(f"{name} is for compare: {kind}, not for {self.compare}")
        if self.compare == "numeric" and self.tolerance is None:
            raise ValueError("compare: numeric needs a tolerance, such as 5, or 3 days")
        if self.relative and isinstance(self.tolerance, str):
            raise ValueError("relative: true is for numbers; a length of time has no share")
        return self


def comparisons(
    columns: Columns, fields: Mapping[str, RecordField], place: str
) -> list[Comparison]:
    """How tasks compare the fields, in the order of their names, so that theirs does not matter.

    Parameters
    ----------
    columns : collects what the fields look at.
    fields : as the recipe has them.
    place : their path in the recipe, for messages.
    """
    made = {
        "text": columns.text,
        "set": columns.set,
        "numeric": columns.number,
        "exact": columns.hash,
    }
    found = []
    for name, field in sorted(fields.items()):
        tolerance = 0.0
        if field.tolerance is not None:
            where = f"{place}.{name}.tolerance"
            tolerance = in_units_of(field.tolerance, columns.kinds[name], where)
        own = Comparison(
            made[field.compare](name),
            field.compare,
            field.weight,
            field.measure or "jaro_winkler",
            tolerance,
            bool(field.relative),
        )
        found.append(own)
    return found


def check_fields(df: DataFrame, fields: Mapping[str, RecordField], place: str) -> None:
    """Raise where a column is not there, or is of no type that can be compared so.

    Raises
    ------
    RecipeError : with the column, its type and what to write instead.
    """
    for name, field in fields.items():
        where = f"{place}.{name}"
        require(df, [name], where)
        if field.compare == "text":
            require_kind(df, name, (T.StringType,), where, "write compare: exact, or numeric")
        elif field.compare == "set":
            check_set(df, name, where)
        elif field.compare == "numeric":
            check_features(df, [name], where, "write compare: exact")
            assert field.tolerance is not None
            in_units_of(field.tolerance, kinds(df)[name], f"{where}.tolerance")


def check_set(df: DataFrame, name: str, place: str) -> None:
    """Raise where a column is no array and no text."""
    sets = (T.ArrayType, T.StringType)
    require_kind(df, name, sets, place, "name a column of arrays, or of text for its words")
