"""Several columns as one place: numbers, dates, timestamps, arrays of numbers, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from lakebalance.core.columns import column, kinds, require
from lakebalance.core.coordinates import NUMBERS, check_features, coordinate
from lakebalance.core.errors import RecipeError


@dataclass(frozen=True)
class Places:
    """The columns that make a place, and how many numbers each has: one, or an array's length."""

    names: Sequence[str]
    widths: Sequence[int]

    @property
    def width(self) -> int:
        """How many numbers a place has."""
        return sum(self.widths)

    def of(self, df: DataFrame) -> Column:
        """Each row's place, ``array<double>``: null for a null or NaN, and for each of an array."""
        parts = []
        for name, width in zip(self.names, self.widths, strict=True):
            if is_array(df, name):
                nothing = F.array_repeat(F.lit(None).cast("double"), width)
                parts.append(F.coalesce(_numbers(name), nothing))
            else:
                parts.append(F.array(coordinate(df, name)))
        return F.concat(*parts)

    def in_units(self, spread: NDArray[np.float64]) -> NDArray[np.float64]:
        """What to divide numbers by, so that each column counts alike, an array as a whole.

        Parameters
        ----------
        spread : standard deviation of each number.

        Returns
        -------
        The deviation of a column of numbers; for an array the root of its numbers' summed
        variances; 1 where that is nought.

        Examples
        --------
        >>> Places(["x", "embedding"], [1, 2]).in_units(np.array([2.0, 3.0, 4.0])).tolist()
        [2.0, 5.0, 5.0]
        """
        units, start = np.array(spread, dtype=np.float64), 0
        for width in self.widths:
            own = slice(start, start + width)
            if width > 1:
                # One after the other, so that it is the same sum on any machine.
                units[own] = np.sqrt((units[own] ** 2).cumsum()[-1])
            start += width
        return np.where(units > 0, units, 1.0)


def matrix(places: pa.Array, width: int) -> NDArray[np.float64]:
    """The places of a task's rows, NaN where there is no number.

    Parameters
    ----------
    places : what ``Places.of`` made.
    width : how many numbers each has.
    """
    flat: NDArray[np.float64] = places.flatten().to_numpy(zero_copy_only=False)
    return flat.reshape(len(places), width)


def is_array(df: DataFrame, name: str) -> bool:
    """Whether a column holds arrays."""
    return isinstance(kinds(df)[name], T.ArrayType)


def check_places(df: DataFrame, names: Sequence[str], place: str, instead: str) -> None:
    """Raise where a column is not there or cannot be a part of a place.

    Parameters
    ----------
    df : the rows.
    names : columns of numbers, decimals, dates or timestamps, or of arrays of numbers.
    place : path in the recipe, for the message.
    instead : what to write instead, for the message.

    Raises
    ------
    RecipeError : with the column, its type, and what to do with it.
    """
    require(df, names, place)
    kind_of = kinds(df)
    arrays = [name for name in names if is_array(df, name)]
    check_features(df, [name for name in names if name not in arrays], place, instead)
    for name in arrays:
        kind = kind_of[name]
        if isinstance(kind, T.ArrayType) and not isinstance(kind.elementType, NUMBERS):
            raise RecipeError(
                f'{place}: column "{name}" is {kind.simpleString()}, whose elements are no '
                f"numbers; {instead}"
            )


def places_of(df: DataFrame, names: Sequence[str], place: str) -> Places:
    """The columns with their widths; one job where there are arrays.

    Parameters
    ----------
    df : the rows.
    names : columns that ``check_places`` lets by.
    place : path in the recipe, for messages.

    Raises
    ------
    RecipeError : arrays of a column differ in length, or have no numbers.
    """
    arrays = [name for name in names if is_array(df, name)]
    if not arrays:
        return Places(names, [1] * len(names))
    lengths = [F.when(column(name).isNotNull(), F.size(column(name))) for name in arrays]
    ends = [end(length) for length in lengths for end in (F.min, F.max)]
    row = df.agg(*[end.alias(f"n{i}") for i, end in enumerate(ends)]).collect()[0]
    found = {}
    for i, name in enumerate(arrays):
        least, most = row[2 * i], row[2 * i + 1]
        if not most or least != most:
            what = "no numbers" if not most else f"{least:,} to {most:,} numbers"
            raise RecipeError(
                f'{place}: column "{name}" has arrays of {what}; all must have as many: filter '
                "the others out, or name another column"
            )
        found[name] = most
    return Places(names, [found.get(name, 1) for name in names])


def _numbers(name: str) -> Column:
    """An array's numbers as doubles, null for NaN; null where the array is."""
    doubles = column(name).cast("array<double>")
    return F.transform(doubles, lambda x: F.when(~F.isnan(x), x))
