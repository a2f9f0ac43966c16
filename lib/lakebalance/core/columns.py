"""Names columns safely and checks that they are there."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.errors import PySparkException
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from lakebalance.core.errors import RecipeError, first_line, nearest

RESERVED = "__lb_"  # what columns of ours begin with


def quoted(name: str) -> str:
    """A name as SQL takes it, whatever is in it."""
    return "`" + name.replace("`", "``") + "`"


def sql_text(value: str) -> str:
    r"""A text in SQL, whatever is in it.

    Examples
    --------
    >>> print(sql_text("a'b\\"))
    'a\'b\\'
    """
    # A dollar may begin a variable of Spark's, which it fills in before it reads SQL.
    said = value.replace("\\", "\\\\").replace("'", "\\'").replace("$", "\\u0024")
    return f"'{said}'"


def column(name: str) -> Column:
    """The column of exactly this name: dots and spaces in it mean nothing.

    Parameters
    ----------
    name : a top-level column's name.
    """
    return F.col(quoted(name))


def filtered(df: DataFrame, condition: str, place: str) -> DataFrame:
    """The rows that meet a condition, which is analysed now, over Connect too.

    Parameters
    ----------
    df : the frame.
    condition : Spark SQL.
    place : path in the recipe, or what else the message is to begin with.

    Raises
    ------
    RecipeError : it cannot be read, or names what is not there.
    """
    try:
        found = df.where(condition)
        found.schema  # noqa: B018  Connect analyses only here
    except PySparkException as error:
        raise RecipeError(f"{place}: {first_line(error)}") from error
    return found


def without_nan(value: Column, kind: T.DataType) -> Column:
    """A value, and null in place of NaN."""
    if isinstance(kind, T.FloatType | T.DoubleType):
        return F.when(~F.isnan(value), value)
    return value


def kinds(df: DataFrame) -> dict[str, T.DataType]:
    """The type of each column, by name."""
    return {field.name: field.dataType for field in df.schema.fields}


def require_free(df: DataFrame, name: str, place: str) -> None:
    """Raise where a column that is to be added is there, in whatever letters: Spark sees no case.

    Parameters
    ----------
    df : the frame that is to get the column.
    name : its name, as written in the recipe.
    place : path in the recipe, for the message.

    Raises
    ------
    RecipeError : a column of ``df`` has the name.
    """
    for there in df.columns:
        if there.lower() == name.lower():
            raise RecipeError(
                f'{place}: the sources have a column "{there}" already; write another name'
            )


def require(df: DataFrame, names: Sequence[str], place: str) -> None:
    """Raise where a column is missing, with the nearest names.

    Parameters
    ----------
    df : the frame that should have the columns.
    names : their names, as written in the recipe.
    place : path in the recipe, for the message.

    Raises
    ------
    RecipeError : a name is not a column of ``df``.
    """
    for name in names:
        if name not in df.columns:
            there = [known for known in df.columns if not known.startswith(RESERVED)]
            raise RecipeError(f'{place}: no column "{name}"; {nearest(name, there)}')


def require_kind(
    df: DataFrame, name: str, types: tuple[type[T.DataType], ...], place: str, instead: str
) -> None:
    """Raise where a column is missing or of another type.

    Parameters
    ----------
    df : the frame that should have the column.
    name : its name, as written in the recipe.
    types : those that it may have.
    place : path in the recipe, for the message.
    instead : what is wanted, for the message.

    Raises
    ------
    RecipeError : with the column, its type and what is wanted instead.
    """
    require(df, [name], place)
    kind = kinds(df)[name]
    if not isinstance(kind, types):
        raise RecipeError(f'{place}: column "{name}" is of type {kind.simpleString()}; {instead}')
