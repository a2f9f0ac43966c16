"""The report of a lake: which tables hold which as a picture, and what a plan would save."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lakebalance.report.html import environment, save
from lakebalance.report.lake_picture import NODE, clusters

MOST_CLUSTERS = 100
MOST_ROWS = 500


def render(
    tables: Sequence[Mapping[str, Any]],
    edges: Sequence[Mapping[str, Any]],
    graph: Mapping[str, Any] | None = None,
    plan: Mapping[str, Any] | None = None,
) -> str:
    """The report's HTML; every value is escaped, and no script is in it.

    Parameters
    ----------
    tables : the inventory: ``table``, ``rows``, ``bytes`` of each.
    edges : which table, ``child``, is held by which, ``parent``.
    graph : as ``lake graph --json`` prints it; its steps and problems are shown.
    plan : as ``lake plan --json`` prints it; tables that could go are marked in the picture.
    """
    decided = plan["tables"] if plan else []
    goes = {t["table"]: t["rebuild_from"] for t in decided if t["action"] == "drop"}
    sizes = {table["table"]: table["bytes"] for table in tables}
    found = clusters(sizes, [(edge["child"], edge["parent"]) for edge in edges], goes)
    hanging = {table for cluster in found for table in cluster.tables}
    view = {
        "tables": tables,
        "bytes": sum(sizes.values()),
        "clusters": found,
        "drawn": MOST_CLUSTERS,
        "most_rows": MOST_ROWS,
        "alone": sorted(set(sizes) - hanging),
        "dropped": [table for table in decided if table["action"] == "drop"],
        "cost": plan["cost"] if plan else None,
        "plan": plan,
        "graph": graph,
        "problems": [*(graph or {}).get("problems", []), *(plan or {}).get("problems", [])],
        "refuted": (plan or {}).get("refuted", []),
        "node": NODE,
    }
    return environment().get_template("lake.html.j2").render(view)


def write(
    path: Path,
    tables: Sequence[Mapping[str, Any]],
    edges: Sequence[Mapping[str, Any]],
    graph: Mapping[str, Any] | None = None,
    plan: Mapping[str, Any] | None = None,
) -> Path:
    """Write the report to a file and return its path; see ``render``."""
    return save(render(tables, edges, graph, plan), path)
