"""The columns of labels that samplers change: what they must be, and their values in a group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import types as T

from lakebalance.core.columns import kinds, require
from lakebalance.core.coordinates import NUMBERS
from lakebalance.core.errors import RecipeError, nearest

PLACE = "sample.labels"


def labels_of(values: Mapping[str, Any], labels: Sequence[str]) -> dict[str, Any]:
    """A group's values in the columns of labels."""
    return {name: values[name] for name in labels}


def check_labels(df: DataFrame, labels: Sequence[str], by: Sequence[str], unknown: str) -> None:
    """Raise where a column is no label, or rows are not counted by it.

    Parameters
    ----------
    labels : one array column, or several columns of 0 and 1.
    by : the columns that rows are counted by.
    unknown : what is not known where rows are not counted by it, for the message.

    Raises
    ------
    RecipeError : with the column and what to write instead.
    """
    require(df, labels, PLACE)
    kind_of, single = kinds(df), len(labels) == 1
    for name in labels:
        if name not in by:
            raise RecipeError(
                f'{PLACE}: rows are not counted by "{name}", {unknown}; write it in by of '
                f"allocate.balance as well; {nearest(name, by)}"
            )
        kind = kind_of[name]
        if single and not isinstance(kind, T.ArrayType):
            raise RecipeError(
                f'{PLACE}: column "{name}" is {kind.simpleString()}, which holds one label a row; '
                "write one array column, or several columns of 0 and 1"
            )
        if not single and not isinstance(kind, (T.BooleanType, *NUMBERS)):
            raise RecipeError(
                f'{PLACE}: column "{name}" is {kind.simpleString()}, which is no 0 or 1; write '
                "columns of numbers or booleans, or one array column"
            )
