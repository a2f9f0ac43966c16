"""Cuts edges by what the logs say of rows, nulls, least and greatest values; reads no data.

An edge goes only where the logs prove that the child has a row, in this number, that the parent has
not: what a log leaves open never cuts. Knows no Spark.
"""

from __future__ import annotations

from typing import Literal

from lakebalance.lake.facts import ColumnFacts, TableFacts
from lakebalance.lake.schema_graph import Edge
from lakebalance.lake.values import comparable, is_below

Reason = Literal["rows", "nulls", "values", "min", "max"]


def cut_by(child: TableFacts, parent: TableFacts, edge: Edge) -> tuple[Reason, str | None] | None:
    """Why a table cannot hold the rows of another, as often as they are there; None if it may.

    Parameters
    ----------
    child, parent : what the logs say of both.
    edge : which columns of the two belong together.

    Returns
    -------
    The kind of proof and the child's column that gives it, None for the number of rows.

    References
    ----------
    Shah et al., SIGMOD 2024: min–max pruning. Row and null counts are added here, as copies count.

    Examples
    --------
    >>> def table(name, low, high):
    ...     column = ColumnFacts("x", "long", 0, 0, low, low, high, high)
    ...     return TableFacts(name, 0, 10, 1, 1, (column,))
    >>> edge = Edge("a", "b", (("x", "x"),))
    >>> cut_by(table("a", 1, 5), table("b", 0, 9), edge)
    >>> cut_by(table("a", 1, 10), table("b", 0, 9), edge)
    ('max', 'x')
    """
    if child.rows == 0:
        return None
    if has_more_rows(child, parent):
        return "rows", None
    for name, parents in edge.columns:
        reason = column_cuts(child, parent, child.by_name[name], parent.by_name[parents])
        if reason:
            return reason, name
    return None


def has_more_rows(table: TableFacts, than: TableFacts, share: float = 1.0) -> bool:
    """Whether a share of a table's rows is known to be more than another has."""
    return table.rows is not None and than.rows is not None and share * table.rows > than.rows


def column_cuts(
    child: TableFacts, parent: TableFacts, own: ColumnFacts, other: ColumnFacts
) -> Reason | None:
    """Why a column of a table cannot hold the values of another's, as often; None if it may."""
    if other.nulls_high is not None and own.nulls_low > other.nulls_high:
        return "nulls"
    known = child.rows is not None and parent.rows is not None and own.nulls_high is not None
    if known and child.rows - own.nulls_high > parent.rows - other.nulls_low:  # type: ignore[operator]
        return "values"
    if not (comparable(own.kind) and comparable(other.kind)):
        return None
    low = other.min_low if other.bounded_below else None
    if low is not None and own.min_high is not None and is_below(own.min_high, low):
        return "min"
    high = other.max_high if other.bounded_above else None
    if high is not None and own.max_low is not None and high < own.max_low:  # type: ignore[operator]
        return "max"
    return None
