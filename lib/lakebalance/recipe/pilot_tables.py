"""Tables for ``transport``, CSV files beside a recipe: pilot runs, and projected samples."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from lakebalance.core.errors import RecipeError
from lakebalance.recipe.table_headers import check_columns

PILOT_COLUMNS = ("rows", "performance")
PROJECTION_COLUMNS = ("source", "projection", "value")


def pilots(header: Sequence[str], lines: Sequence[list[str]], where: str) -> list[dict[str, Any]]:
    """The pilots in a table, in order of rows: performance, and a column of shares a source.

    Parameters
    ----------
    header : ``PILOT_COLUMNS`` and the sources' names, in any order.
    lines : the lines below it; an empty share is 0.
    where : the recipe's line and the file, for messages.

    Raises
    ------
    RecipeError : with the column or line that is not as it should be.

    Examples
    --------
    >>> pilots(["rows", "performance", "web"], [["1000", "0.5", "1"]], "recipe.yaml:3")
    [{'rows': 1000, 'performance': 0.5, 'shares': {'web': 1.0}}]
    """
    check_columns(header, PILOT_COLUMNS, where, more="and one for each source")
    found = []
    for number, line in enumerate(lines, 2):
        try:
            values = _values(header, line)
            rows, performance = int(values.pop("rows")), _finite(values.pop("performance"))
            shares = {name: _finite(text or "0") for name, text in sorted(values.items())}
            total = math.fsum(shares.values())
            if rows < 1 or min(shares.values()) < 0 or abs(total - 1) > 1e-6:
                raise ValueError(f"{rows} rows, and shares that sum to {total:g}")
        except ValueError as error:
            raise RecipeError(
                f"{where}, line {number}: {error}; there must be rows of at least 1, a finite "
                "performance, and shares of at least 0 that sum to 1"
            ) from error
        found.append({"rows": rows, "performance": performance, "shares": shares})
    return sorted(found, key=lambda run: (run["rows"], run["performance"], *run["shares"].items()))


def projections(
    header: Sequence[str], lines: Sequence[list[str]], where: str
) -> dict[str, list[list[float]]]:
    """The values of each projection by source, in order of sources, projections and values.

    Parameters
    ----------
    header : ``PROJECTION_COLUMNS`` in any order.
    lines : the lines below it.
    where : the recipe's line and the file, for messages.

    Raises
    ------
    RecipeError : a line is not as it should be, or a source lacks a projection that another has.

    Examples
    --------
    >>> header = ["source", "projection", "value"]
    >>> projections(header, [["web", "0", "2.5"], ["target", "0", "1"]], "recipe.yaml:3")
    {'target': [[1.0]], 'web': [[2.5]]}
    """
    check_columns(header, PROJECTION_COLUMNS, where)
    found: dict[str, dict[int, list[float]]] = {}
    for number, line in enumerate(lines, 2):
        try:
            values = _values(header, line)
            at, value = int(values["projection"]), _finite(values["value"])
        except ValueError as error:
            raise RecipeError(
                f"{where}, line {number}: {error}; there must be a source, the number of a "
                "projection and a finite value"
            ) from error
        found.setdefault(values["source"] or "null", {}).setdefault(at, []).append(value)
    every = sorted({at for own in found.values() for at in own})
    for source, own in found.items():
        if lost := [at for at in every if at not in own]:
            raise RecipeError(
                f'{where}: source "{source}" has no value of projection {lost[0]}; project '
                "embeddings of one size onto the same directions"
            )
    return {source: [sorted(own[at]) for at in every] for source, own in sorted(found.items())}


def _values(header: Sequence[str], line: Sequence[str]) -> dict[str, str]:
    if len(line) != len(header):
        raise ValueError(f"{len(line)} values for {len(header)} columns")
    return dict(zip(header, line, strict=True))


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is not a finite number")
    return value
