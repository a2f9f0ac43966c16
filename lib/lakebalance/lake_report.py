"""Writes the report of a lake from what its state folder has."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from lakebalance.lake.containment import load_edges
from lakebalance.lake.inventory import load
from lakebalance.report.lake import write


def write_report(
    spark: SparkSession,
    state: str,
    path: Path,
    *,
    graph: Mapping[str, Any] | None = None,
    plan: Mapping[str, Any] | None = None,
) -> Path:
    """Write an HTML file with the lake's tables as a picture, and return its path.

    Parameters
    ----------
    spark : the session.
    state : the folder that ``scan`` and ``graph`` were given.
    path : the file.
    graph : as ``lake.Graph.to_dict`` makes it, for the steps and what they left.
    plan : as ``lake.LakePlan.to_dict`` makes it, for what could go.

    Raises
    ------
    TableError : there is no inventory, or no edges.
    """
    refuted = {(pair["child"], pair["parent"]) for pair in (plan or {}).get("refuted", [])}
    ends = [(held.edge.child, held.edge.parent) for held in load_edges(spark, state)]
    edges = [{"child": c, "parent": p} for c, p in ends if (c, p) not in refuted]
    return write(path, load(spark, state).to_dict()["tables"], edges, graph, plan)
