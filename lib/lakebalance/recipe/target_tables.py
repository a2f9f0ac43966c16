"""Tables of targets, CSV files beside a recipe: the ``by`` columns, then rows or a share."""

from __future__ import annotations

from collections.abc import Sequence

from lakebalance.core.errors import RecipeError

KINDS = {"rows": "counts", "share": "shares"}


def check_header(header: list[str], by: str | Sequence[str], where: str) -> None:
    """Raise where the columns are not those of the rule, then ``rows`` or ``share``."""
    wanted = [by] if isinstance(by, str) else list(by)
    if header[:-1] != wanted or header[-1:] not in ([kind] for kind in KINDS):
        raise RecipeError(
            f"{where}: the columns are {', '.join(header) or 'none'}; they must be "
            f"{', '.join(wanted)} and rows or share"
        )


def kind_of(header: Sequence[str]) -> str:
    """The option of ``targets`` that a table holds."""
    return KINDS[header[-1]]


def amounts(header: Sequence[str], lines: Sequence[list[str]], where: str) -> dict[str, float]:
    """The rows or shares in a table by the names of groups; an empty value is null.

    Raises
    ------
    RecipeError : with the line that is not as it should be.
    """
    read = int if header[-1] == "rows" else float
    found: dict[str, float] = {}
    for number, line in enumerate(lines, 2):
        try:
            if len(line) != len(header):
                raise ValueError(f"{len(line)} values")
            amount = read(line[-1])
        except ValueError as error:
            raise RecipeError(
                f"{where}, line {number}: {error}; there must be {len(header)} values, the last a "
                + ("whole number" if read is int else "number")
            ) from error
        name = "/".join(value or "null" for value in line[:-1])
        if name in found:
            raise RecipeError(f'{where}, line {number}: "{name}" is there twice')
        found[name] = amount
    return found
