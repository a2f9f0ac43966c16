"""Tells a row of a table from others by a hash of some of its columns, whoever reads the table."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from lakebalance.core.columns import column, kinds
from lakebalance.core.errors import TableError
from lakebalance.core.hashing import hashed, parts_of


@dataclass(frozen=True)
class Identity:
    """The columns that tell rows of a table apart, by name, with their types.

    Unlike a recipe's key hash, its hash depends neither on the recipe nor on the name of the
    source, and it takes NaN for null, as a source may be read.
    """

    fields: T.StructType

    @classmethod
    def of(cls, df: DataFrame, names: Sequence[str]) -> Identity:
        """The identity by some of a frame's columns, in this order."""
        kind_of = kinds(df)
        return cls(T.StructType([T.StructField(name, kind_of[name]) for name in names]))

    @property
    def names(self) -> list[str]:
        """The columns' names."""
        return self.fields.names

    def hash(self, df: DataFrame, place: str) -> Column:
        """The hash of each row: ``struct<hi:bigint,lo:bigint>``, never null.

        Parameters
        ----------
        df : a frame with the columns; where its types are others, values are cast to those that
            were recorded, and what cannot be is null.
        place : what the table is called, for the message.

        Raises
        ------
        TableError : a column is not there any more.
        """
        kind_of = kinds(df)
        if missing := [name for name in self.names if name not in kind_of]:
            raise TableError(
                f"{place}: rows of it were forgotten by its columns {', '.join(self.names)}, and "
                f"it has no {missing[0]} any more, so that nobody can tell which they are; add the "
                "column again"
            )
        own = [(_as(f.name, kind_of[f.name], f.dataType), f.dataType) for f in self.fields]
        return hashed(parts_of(own), "identity")

    @property
    def text(self) -> str:
        """As JSON holds it."""
        return self.fields.json()

    @classmethod
    def from_text(cls, text: str) -> Identity:
        """What ``text`` says.

        Examples
        --------
        >>> known = Identity(T.StructType().add("id", T.LongType()))
        >>> Identity.from_text(known.text) == known
        True
        """
        return cls(T.StructType.fromJson(json.loads(text)))


def _as(name: str, kind: T.DataType, wanted: T.DataType) -> Column:
    value = column(name)
    if kind != wanted and kind.simpleString() != wanted.simpleString():
        value = value.try_cast(wanted)
    if isinstance(wanted, T.FloatType | T.DoubleType):
        return F.when(~F.isnan(value), value)
    return value
