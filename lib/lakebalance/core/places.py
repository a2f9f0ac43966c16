"""Several columns as one place: numbers, dates, timestamps, arrays of numbers, side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from lakebalance.core.columns import column, kinds, require
from lakebalance.core.coordinates import NUMBERS, check_features, coordinate, restored
from lakebalance.core.errors import RecipeError


@dataclass(frozen=True)
class Places:
    """The columns that make a place; ``lengths`` are the numbers of those that hold arrays."""

    names: Sequence[str]
    lengths: Mapping[str, int] = field(default_factory=dict)

    @property
    def widths(self) -> list[int]:
        """How many numbers each column has: one, or an array's length."""
        return [self.lengths.get(name, 1) for name in self.names]

    @property
    def width(self) -> int:
        """How many numbers a place has."""
        return sum(self.widths)

    def of(self, df: DataFrame) -> Column:
        """Each row's place, ``array<double>``: null for a null or NaN, and for each of an array."""
        parts = []
        for are_arrays, names in groupby(self.names, lambda name: name in self.lengths):
            if are_arrays:
                parts += [_numbers_of(name, self.lengths[name]) for name in names]
            else:
                parts.append(F.array(*[coordinate(df, name) for name in names]))
        return parts[0] if len(parts) == 1 else F.concat(*parts)

    def by_column(self, numbers: NDArray[Any]) -> list[NDArray[Any]]:
        """The numbers of each column, of places that lie along the last axis.

        Examples
        --------
        >>> Places(["x", "embedding"], {"embedding": 2}).by_column(np.array([[5, 6, 7]]))
        [array([[5]]), array([[6, 7]])]
        """
        if not self.names:
            return []
        return np.split(numbers, np.cumsum(self.widths)[:-1], axis=-1)

    def deviations(self, spread: NDArray[np.float64]) -> NDArray[np.float64]:
        """How far each column's values lie apart, an array's as points.

        Parameters
        ----------
        spread : standard deviation of each number.

        Returns
        -------
        The deviation of a column of numbers; for an array the root of its numbers' summed
        variances.

        Examples
        --------
        >>> Places(["x", "embedding"], {"embedding": 2}).deviations(np.array([2.0, 3.0, 4.0]))
        array([2., 5.])
        """
        # One after the other, so that it is the same sum on any machine.
        return np.array(
            [
                np.sqrt((own**2).cumsum()[-1]) if len(own) > 1 else own[0]
                for own in self.by_column(spread)
            ],
            dtype=np.float64,
        )

    def in_units(self, spread: NDArray[np.float64]) -> NDArray[np.float64]:
        """What to divide numbers by, so that each column counts alike, an array as a whole.

        Parameters
        ----------
        spread : standard deviation of each number.

        Returns
        -------
        Each number's column's deviation, see ``deviations``; 1 where that is nought.

        Examples
        --------
        >>> places = Places(["x", "embedding"], {"embedding": 2})
        >>> places.in_units(np.array([2.0, 3.0, 4.0])).tolist()
        [2.0, 5.0, 5.0]
        """
        units = self.deviations(spread)
        return np.repeat(np.where(units > 0, units, 1.0), self.widths)


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
        return Places(names)
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
    return Places(names, found)


def restored_place(value: Column, kind: T.DataType) -> Column:
    """What ``restored`` does, for a column of arrays too, each of whose numbers it restores.

    Parameters
    ----------
    value : a column of doubles, or of arrays of them; null where there is none.
    kind : the type of the column that it becomes.
    """
    if not isinstance(kind, T.ArrayType):
        return restored(value, kind)
    element = kind.elementType
    return F.transform(value, lambda x: restored(x, element))


def _numbers_of(name: str, length: int) -> Column:
    """An array's numbers as doubles, null for NaN; as many nulls where there is no array."""
    doubles = column(name).cast("array<double>")
    numbers = F.transform(doubles, lambda x: F.when(~F.isnan(x), x))
    return F.coalesce(numbers, F.array_repeat(F.lit(None).cast("double"), length))
