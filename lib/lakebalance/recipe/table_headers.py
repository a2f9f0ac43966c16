"""What the columns of a CSV file beside a recipe must be."""

from __future__ import annotations

from collections.abc import Sequence

from lakebalance.core.errors import RecipeError


def check_columns(header: Sequence[str], wanted: Sequence[str], where: str, more: str = "") -> None:
    """Raise where a file lacks a column, or has one twice or that nobody asked for.

    Parameters
    ----------
    header : the columns, in any order.
    wanted : those that must be there.
    where : the recipe's line and the file, for messages.
    more : which others must be there too, for messages; none where left out.

    Raises
    ------
    RecipeError : with the columns that there are.
    """
    others = [name for name in header if name not in wanted]
    twice = len(set(header)) < len(header)
    if twice or not set(wanted) <= set(header) or bool(others) != bool(more):
        raise RecipeError(
            f"{where}: the columns are {', '.join(header) or 'none'}; they must be "
            f"{', '.join(wanted)} {more}".rstrip()
        )
