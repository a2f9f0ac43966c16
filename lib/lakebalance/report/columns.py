"""What the columns of tables say, as one HTML file and as a notebook's cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lakebalance.report.html import environment, save
from lakebalance.report.numbers import share
from lakebalance.report.values import Shown, shown

MOST_COLUMNS = 1_000
MOST_VALUES = 5
MOST_DEPENDENCIES = 100


def render(data: Mapping[str, Any]) -> str:
    """The profile's HTML; every value is escaped, and no script is in it.

    Parameters
    ----------
    data : as ``profile TABLE --json`` prints it.
    """
    return environment().get_template("columns.html.j2").render(_view(data))


def fragment(data: Mapping[str, Any]) -> str:
    """The profile for a notebook's cell: escaped HTML with its own style."""
    return environment().get_template("columns_notebook.html.j2").render(_view(data))


def write(data: Mapping[str, Any], path: Path) -> Path:
    """Write the profile to a file and return its path."""
    return save(render(data), path)


def bars(histogram: Sequence[Mapping[str, Any]]) -> list[float]:
    """The heights of a histogram's bars in percent of the highest.

    Examples
    --------
    >>> bars([{"rows": 4}, {"rows": 0}, {"rows": 1}])
    [100.0, 0.0, 25.0]
    """
    most = max((part["rows"] for part in histogram), default=0) or 1
    return [round(100 * part["rows"] / most, 1) for part in histogram]


def _view(data: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "tables": [_table(table) for table in data["tables"]],
        "inclusions": data["inclusions"]["found"],
        "error": data["error_of_distinct"],
        "most_columns": MOST_COLUMNS,
        "most_dependencies": MOST_DEPENDENCIES,
    }


def _table(table: Mapping[str, Any]) -> dict[str, Any]:
    rows = table["rows"]
    return {
        **table,
        "lines": [_column(column, rows) for column in table["columns"]],
        "found": table.get("dependencies", {}).get("found", []),
        "broken": [d for d in table.get("dependencies", {}).get("found", []) if d["clusters"]],
    }


def _column(column: Mapping[str, Any], rows: int) -> dict[str, Any]:
    ends = (column["min"], column["quantiles"].get("50%"), column["max"])
    return {
        "name": column["name"],
        "type": column["type"],
        "nulls": share(column["nulls"], rows) if column["nulls"] else "0",
        "nans": share(column["nans"], rows) if column["nans"] else "0",
        "distinct": column["distinct"],
        "exact": column["distinct_exact"],
        "ends": [None if end is None else shown(end) for end in ends],
        "bars": bars(column["histogram"]),
        "top": [_share(t["value"], t["rows"], rows) for t in column["top"][:MOST_VALUES]],
        "patterns": [
            _share(p["pattern"], p["rows"], rows) for p in column["patterns"][:MOST_VALUES]
        ],
    }


def _share(value: Any, n: int, rows: int) -> tuple[Shown, str]:
    return shown(value), share(n, rows)
