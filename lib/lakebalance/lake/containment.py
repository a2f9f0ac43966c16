"""Narrows all pairs of tables down to those of which one holds the other's rows, step by step."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field
from pyspark.sql import SparkSession

from lakebalance.core.errors import TableError
from lakebalance.core.paths import local
from lakebalance.core.progress import Progress
from lakebalance.core.tables import Table, newest_version
from lakebalance.lake.content import Compared, Pair, compare, sample_size
from lakebalance.lake.facts import TableFacts
from lakebalance.lake.inventory import load
from lakebalance.lake.matching import Renamed, renamed
from lakebalance.lake.near import Near
from lakebalance.lake.ranges import cut_by
from lakebalance.lake.schema_graph import Edge, Names, edges

KEPT = pa.schema(
    [("child", pa.string()), ("parent", pa.string()), ("child_version", pa.int64()),
     ("parent_version", pa.int64()), ("child_id", pa.string()), ("parent_id", pa.string()),
     ("columns", pa.string()), ("distinct", pa.int64()),
     ("rows", pa.int64()), ("missing", pa.int64()), ("share", pa.float64())]
)  # fmt: skip


class Narrowing(BaseModel):
    """How pairs are found and compared."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    aliases: dict[str, str] = Field({}, description="Names of columns, each to what it stands for.")
    ignore_case: bool = Field(False, description="Take columns' names without regard to case.")
    match: bool = Field(
        False, description="Look for renamed columns, by type, statistics, values and names."
    )
    near: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="Show pairs, too, of which the parent has this share of the child's rows.",
    )
    missing: float = Field(
        0.01, gt=0, lt=1, description="The fraction of a child's distinct rows to be noticed."
    )
    risk: float = Field(
        0.001, gt=0, lt=1, description="The most risk that a sample does not notice it."
    )
    seed: int = Field(0, description="Of the sample.")
    verify: bool = Field(False, description="Compare all rows of the pairs that the sample left.")


@dataclass(frozen=True)
class Held:
    """A child all of whose compared rows are in a parent, as often as in the child.

    ``child`` and ``parent`` are the tables' versions and Delta's ids of them.
    """

    edge: Edge
    child: tuple[int, str]
    parent: tuple[int, str]
    compared: Compared

    @property
    def verified(self) -> bool:
        """Whether all rows were compared."""
        return self.compared.share >= 1


@dataclass(frozen=True)
class Graph:
    """What is left of all pairs: the funnel, the edges, and what could not be compared.

    ``funnel`` has for each step its name, the pairs left after it and its seconds; ``cut`` counts
    pairs by what proved in the logs that they are none; ``not_tried`` counts pairs whose columns
    were not looked at under other names; ``near`` are pairs that are none by few rows.
    """

    funnel: list[dict[str, Any]]
    edges: list[Held]
    cut: Mapping[str, int]
    problems: list[dict[str, str]]
    options: Narrowing = field(default_factory=Narrowing)
    not_tried: int = 0
    near: Sequence[Near] = ()

    def to_dict(self) -> dict[str, Any]:
        """The graph as plain data."""
        return {
            "funnel": self.funnel,
            "cut": dict(self.cut),
            "edges": [_plain(held, self.options.missing) for held in self.edges],
            "problems": self.problems,
            "not_tried": self.not_tried,
            "near": [near.to_dict() for near in self.near],
            "options": self.options.model_dump(),
        }


def graph(
    spark: SparkSession,
    state: str,
    options: Narrowing | None = None,
    progress: Progress = lambda stage: None,
) -> Graph:
    """Find which tables of an inventory hold all rows of which.

    Parameters
    ----------
    spark : a session, classic or Connect.
    state : the folder that ``scan`` was given.
    options : names, sample and verification.
    progress : called with the name of each stage.

    Returns
    -------
    The edges that are left. In ``state`` they are the Delta table ``edges``.

    Raises
    ------
    TableError : there is no inventory.

    References
    ----------
    Shah et al., "R2D2: Reducing Redundancy and Duplication in Data Lakes", SIGMOD 2024.

    Examples
    --------
    >>> graph(spark, "lake_state", Narrowing(verify=True)).funnel[-1]  # doctest: +SKIP
    {'step': 'verified', 'pairs': 5, 'seconds': 2.9}
    """
    options = options or Narrowing()
    steps = _Steps(progress)
    tables = load(spark, state).tables
    by_name = {table.table: table for table in tables}
    steps.done("all pairs", len(tables) * (len(tables) - 1))
    names = Names(options.aliases, options.ignore_case)
    size = sample_size(options.missing, options.risk)
    found = list(edges(tables, names))
    steps.done("schema", len(found))
    others = Renamed([], 0, {})
    if options.match:
        progress("looking for renamed columns")
        known = {(edge.child, edge.parent) for edge in found}
        others = renamed(spark, tables, known, names, size, options.seed)
        found = sorted([*found, *others.edges], key=lambda edge: (edge.child, edge.parent))
        steps.done("renamed columns", len(found))
    left: list[Edge] = []
    almost: list[Edge] = []
    cut: Counter[str] = Counter()
    for edge in found:
        reason = cut_by(by_name[edge.child], by_name[edge.parent], edge)
        if reason is None:
            left.append(edge)
        else:
            cut[reason[0]] += 1
            almost.append(edge)
    steps.done("min–max", len(left))
    progress(f"sampling {len(left):,} pairs")
    held, partly, problems = holding(spark, _pairs(left, by_name, size), options.seed)
    if options.near is not None:
        ruled_out = [p for p in _pairs(almost, by_name, size) if p.may_hold(options.near)]
        progress(f"sampling {len(ruled_out):,} pairs that statistics rule out")
        _, further, unread = holding(spark, ruled_out, options.seed)
        partly += further
        problems += unread
    problems += [
        {"child": child, "parent": parent, "problem": why}
        for (child, parent), why in others.problems.items()
    ]
    steps.done("content sample", len(held))
    if options.verify:
        progress(f"comparing all rows of {sum(not h.verified for h in held):,} pairs")
        held, refuted, more = verified(spark, held, by_name, options.seed)
        partly += refuted
        problems += more
        steps.done("verified", len(held))
    keep_edges(spark, held, state)
    near = [n for n in partly if options.near is not None and n.share >= options.near]
    near.sort(key=lambda n: -n.share)
    cuts = dict(sorted(cut.items()))
    return Graph(steps.entries, held, cuts, problems, options, others.not_tried, near)


def state_of(table: TableFacts) -> tuple[int, str]:
    """What changes whenever a table does."""
    return table.version, table.id


def _pairs(edges: Sequence[Edge], tables: Mapping[str, TableFacts], size: int) -> list[Pair]:
    """What to sample, so that about as many different rows of each child are compared."""
    return [Pair.sampled(edge, tables[edge.child], tables[edge.parent], size) for edge in edges]


def holding(
    spark: SparkSession, pairs: Sequence[Pair], seed: int
) -> tuple[list[Held], list[Near], list[dict[str, str]]]:
    """The pairs of which no compared row is missing in the parent, others, and failures."""
    states = {p.edge: (state_of(p.child), state_of(p.parent)) for p in pairs}
    found, failed = compare(spark, pairs, seed)
    held = [Held(edge, *states[edge], result) for edge, result in found if result.missing == 0]
    said = [{"child": e.child, "parent": e.parent, "problem": why} for e, why in failed]
    others = [Near(edge, result) for edge, result in found if result.missing]
    return sorted(held, key=lambda h: (h.edge.child, h.edge.parent)), others, said


def verified(
    spark: SparkSession, held: Sequence[Held], by_name: Mapping[str, TableFacts], seed: int
) -> tuple[list[Held], list[Near], list[dict[str, str]]]:
    """The pairs that hold when all rows are compared at the versions that were sampled, others."""
    pairs = [
        Pair(h.edge, by_name[h.edge.child], by_name[h.edge.parent], 1.0)
        for h in held
        if not h.verified
    ]
    sure, refuted, problems = holding(spark, pairs, seed)
    sure += [h for h in held if h.verified]
    return sorted(sure, key=lambda h: (h.edge.child, h.edge.parent)), refuted, problems


def keep_edges(spark: SparkSession, held: Sequence[Held], state: str) -> None:
    """Write the edges into the state's folder."""
    rows = [
        {
            "child": h.edge.child, "parent": h.edge.parent,
            "child_version": h.child[0], "parent_version": h.parent[0],
            "child_id": h.child[1], "parent_id": h.parent[1],
            "columns": json.dumps(h.edge.columns), "distinct": h.compared.distinct,
            "rows": h.compared.rows, "missing": h.compared.missing, "share": h.compared.share,
        }
        for h in held
    ]  # fmt: skip
    df = spark.createDataFrame(pa.Table.from_pylist(rows, schema=KEPT))
    df.coalesce(1).write.format("delta").mode("overwrite").save(_edges(state).name)


def load_edges(spark: SparkSession, state: str) -> list[Held]:
    """The edges that an earlier ``graph`` kept.

    Raises
    ------
    TableError : there are none in the folder.
    """
    table = _edges(state)
    if newest_version(spark, table) is None:
        raise TableError(f"{state} has no edges; find them: lakebalance lake graph --state {state}")
    return [
        Held(
            Edge(r["child"], r["parent"], tuple((a, b) for a, b in json.loads(r["columns"]))),
            (r["child_version"], r["child_id"]),
            (r["parent_version"], r["parent_id"]),
            Compared(r["distinct"], r["rows"], r["missing"], r["share"]),
        )
        for r in spark.read.format("delta").load(table.name).toArrow().to_pylist()
    ]


def _edges(state: str) -> Table:
    return Table(local(state).rstrip("/") + "/edges")


def _plain(held: Held, missing: float) -> dict[str, Any]:
    return {
        "child": held.edge.child,
        "parent": held.edge.parent,
        "child_version": held.child[0],
        "parent_version": held.parent[0],
        "columns": dict(held.edge.columns),
        "rows_compared": held.compared.rows,
        "distinct_compared": held.compared.distinct,
        "verified": held.verified,
        # How likely it is that so many rows are missing all the same.
        "risk": held.compared.risk(missing),
    }


class _Steps:
    """The pairs left after each step, and how long it took."""

    def __init__(self, progress: Progress) -> None:
        self.entries: list[dict[str, Any]] = []
        self._began = time.monotonic()
        progress("comparing schemas and statistics")

    def done(self, step: str, pairs: int) -> None:
        now = time.monotonic()
        seconds = round(now - self._began, 2)
        self.entries.append({"step": step, "pairs": pairs, "seconds": seconds})
        self._began = now
