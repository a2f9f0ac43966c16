"""Amounts of rows other than their number: tokens, bytes, seconds, in whole steps.

A sum of doubles depends on the order in which they come, and what is exactly met must be exactly
summed. So each row's amount is a whole number of steps: of 1 for integers, of a decimal's last
place, of a millionth for floats and doubles, and of one byte or character for texts.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from lakebalance.core.columns import column, kinds, require
from lakebalance.core.errors import RecipeError
from lakebalance.core.hashing import INTEGRALS

STEPS_OF_DOUBLE = 10**6
MOST_PLACES = 9
MOST_STEPS = 2**53  # of a row; a double holds them all
MOST_IN_ALL = 2**63 - 1


@dataclass(frozen=True)
class Measure:
    """How a row's amount is found: ``steps`` is a bigint, null where the row has no amount.

    ``size`` is the number of steps in one unit.
    """

    steps: Column
    size: Fraction


@dataclass(frozen=True)
class Amount:
    """What the rows of a group have together, in steps, the most of one, and how many have none."""

    total: int
    largest: int
    unknown: int


def measure(
    df: DataFrame,
    name: str,
    what: Literal["value", "bytes", "characters"],
    per_unit: float,
    place: str,
) -> Measure:
    """How a row's amount is found in a column.

    Parameters
    ----------
    df : the rows, for the column's type.
    name : the column.
    what : its value, or the bytes (in UTF-8) or characters of its text.
    per_unit : bytes or characters in one unit, over 0.
    place : path in the recipe, for the message.

    Returns
    -------
    The steps of each row, null where the value is null, NaN, negative or over 2^53 steps.

    Raises
    ------
    RecipeError : the column is not there, or has no amounts; says what to write instead.
    """
    require(df, [name], place)
    kind, value = kinds(df)[name], column(name)
    if what != "value":
        if not isinstance(kind, T.StringType) and (what, type(kind)) != ("bytes", T.BinaryType):
            raise RecipeError(
                f'{place}.{what}: column "{name}" is {kind.simpleString()}, not text; write the '
                "column itself, of: " + name
            )
        length = F.octet_length(value) if what == "bytes" else F.char_length(value)
        return Measure(length.cast("bigint"), Fraction(str(per_unit)))
    if isinstance(kind, INTEGRALS):
        within = F.when((value >= 0) & (value <= MOST_STEPS), value)
        return Measure(within.cast("bigint"), Fraction(1))
    if isinstance(kind, T.DecimalType) and kind.scale <= MOST_PLACES:
        size = 10**kind.scale
        # Narrowed before it is multiplied, as a product of wide decimals has no room.
        within = F.when((value >= 0) & (value < MOST_STEPS // size), value)
        steps = within.cast(T.DecimalType(18, kind.scale)) * F.lit(size)
        return Measure(steps.cast("bigint"), Fraction(size))
    if isinstance(kind, T.FloatType | T.DoubleType):
        double = value.cast("double")
        # NaN is over every number in Spark, so that it is not within either.
        within = F.when((double >= 0) & (double < MOST_STEPS // STEPS_OF_DOUBLE), double)
        return Measure(F.rint(within * STEPS_OF_DOUBLE).cast("bigint"), Fraction(STEPS_OF_DOUBLE))
    instead = "for a text, of: {bytes: NAME} or {characters: NAME, per_unit: 4}"
    if isinstance(kind, T.DecimalType):
        instead = f"one of at most {MOST_PLACES} decimal places"
    raise RecipeError(
        f'{place}: column "{name}" is {kind.simpleString()}, not an amount; write a column of '
        f"numbers, or {instead}"
    )


def in_units(steps: int, size: Fraction) -> int | float:
    """Steps in units: a whole number where it is one.

    Examples
    --------
    >>> in_units(1000, Fraction(4)), in_units(1001, Fraction(4))
    (250, 250.25)
    """
    units = steps / size
    return int(units) if units.denominator == 1 else float(units)


def in_steps(units: float, size: Fraction) -> int:
    """The whole steps in an amount of units, as it is written.

    Examples
    --------
    >>> in_steps(0.29, Fraction(100)), in_steps(10, Fraction(4))
    (29, 40)
    """
    return int(Fraction(str(units)) * size)
