"""Plans which tables of a lake to drop: what they cost, and what each would be rebuilt from."""

from __future__ import annotations

import csv
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from lakebalance.core.errors import RecipeError, nearest
from lakebalance.core.progress import Progress
from lakebalance.lake.containment import Held, keep_edges, load_edges, state_of, verified
from lakebalance.lake.entries import Inventory
from lakebalance.lake.facts import TableFacts
from lakebalance.lake.inventory import load
from lakebalance.lake.prices import UNITS, Prices, latency, problem_of
from lakebalance.lake.removals import relied_on
from lakebalance.lake.retention import Problem, Solution, retention
from lakebalance.lake.stored_plans import keep_plan


@dataclass(frozen=True)
class Decision:
    """What is to become of a table; money is per month, ``seconds`` what a rebuild takes.

    ``columns`` leads from its columns' names to those of the table that it would be rebuilt from;
    ``id`` is Delta's of the table. One that ``views`` read is kept.
    """

    table: str
    version: int
    rows: int | None
    bytes: int
    storage: float
    rebuild_from: str | None = None
    rebuild: float = 0.0
    seconds: float = 0.0
    verified: bool = False
    columns: Mapping[str, str] = field(default_factory=dict)
    id: str = ""
    format: str = "delta"
    views: tuple[str, ...] = ()


@dataclass(frozen=True)
class LakePlan:
    """Which tables to keep and which to drop; nothing was dropped.

    No choice would cost less than ``bound`` a month; ``methods`` counts tables by how they were
    decided; ``refuted`` are pairs that the sample took for contained and the whole tables did not;
    ``problems`` are pairs that could not be compared, and why; ``stale`` counts edges of tables
    that were written since. ``id`` is what the plan is kept under, for ``apply``.
    """

    decisions: list[Decision]
    before: float
    after: float
    bound: float
    methods: Mapping[str, int]
    refuted: list[dict[str, str]]
    problems: list[dict[str, str]]
    stale: int
    prices: Prices
    id: str = ""

    @property
    def saved(self) -> float:
        """What the plan saves a month, rebuilds taken off."""
        return self.before - self.after

    def to_dict(self) -> dict[str, Any]:
        """The plan as plain data."""
        return {
            "plan": self.id,
            "tables": [
                {"action": "keep" if d.rebuild_from is None else "drop", **asdict(d)}
                for d in self.decisions
            ],
            "cost": {"before": self.before, "after": self.after, "saved": self.saved,
                     "bound": self.bound},
            "methods": dict(self.methods),
            "refuted": self.refuted,
            "problems": self.problems,
            "stale": self.stale,
            "prices": self.prices.model_dump(),
        }  # fmt: skip


def plan(
    spark: SparkSession,
    state: str,
    prices: Prices | None = None,
    *,
    reads: Mapping[str, float] | None = None,
    keep: Collection[str] = (),
    verify: bool = True,
    progress: Progress = lambda stage: None,
) -> LakePlan:
    """Plan which tables to drop, so that storage and rebuilds cost least. Drops nothing itself.

    Of the edges that ``graph`` found, those that the plan relies on are verified: all rows of both
    tables are compared at the versions that were scanned. Where one does not hold, or cannot be
    compared, it is planned again without it. Tables that others were removed for are kept, and
    those that views read, as far as schemas were scanned. The plan is written down, for ``apply``.

    Parameters
    ----------
    spark : a session, classic or Connect.
    state : the folder that ``scan`` and ``graph`` were given.
    prices : what storage and rebuilds cost.
    reads : by table, how often a month it is read, in place of what the scan's log of reads said.
    keep : tables to keep in any case.
    verify : whether to verify; if not, the plan rests on samples.
    progress : called with the name of each stage.

    Raises
    ------
    TableError : there is no inventory, or no edges.
    RecipeError : ``keep`` or ``reads`` names a table that the inventory has not.

    Examples
    --------
    >>> plan(spark, "lake_state", Prices(storage=0.02)).saved  # doctest: +SKIP
    0.0001
    """
    prices = prices or Prices()
    progress("planning")
    inventory = load(spark, state)
    tables = inventory.tables
    by_name = {table.table: table for table in tables}
    wanted = [inventory.path_of(name, "keep") for name in keep]
    # What has been removed is rebuilt from the first, and views would change with the others.
    wanted += sorted((relied_on(spark, state) | inventory.views.keys()) & by_name.keys())
    named = {inventory.path_of(name, "reads"): n for name, n in (reads or {}).items()}
    often = {**inventory.reads, **named}
    all_edges = load_edges(spark, state)
    held = [h for h in all_edges if _is_current(h, by_name)]
    stale, refuted, problems = len(all_edges) - len(held), [], []
    unread: list[Held] = []
    while True:
        parents = [(h.edge.child, h.edge.parent) for h in held]
        problem = problem_of(tables, parents, prices, often, wanted)
        solution = retention(problem)
        used = _used(tables, solution)
        unsure = [h for h in held if not h.verified and (h.edge.child, h.edge.parent) in used]
        if not (verify and unsure):
            break
        progress(f"verifying {len(unsure):,} of the {len(held):,} pairs")
        sure, _, failed = verified(spark, unsure, by_name, seed=0)
        problems += failed
        proven = {h.edge: h for h in sure}
        left_open = {(pair["child"], pair["parent"]) for pair in failed}
        for h in unsure:
            if (h.edge.child, h.edge.parent) in left_open:
                unread.append(h)
            elif h.edge not in proven:
                refuted.append({"child": h.edge.child, "parent": h.edge.parent})
        held = [proven.get(h.edge, h) for h in held if h.edge in proven or h not in unsure]
        # What could not be read today may hold tomorrow.
        keep_edges(spark, [*held, *unread], state)
    made = LakePlan(
        _decisions(inventory, held, problem, solution, prices),
        sum(problem.keep) / UNITS,
        solution.cost / UNITS,
        solution.bound / UNITS,
        solution.methods,
        refuted,
        problems,
        stale,
        prices,
    )
    return replace(made, id=keep_plan(spark, state, made.to_dict() | {"reads": often}))


def reads_in(path: Path) -> dict[str, float]:
    """How often a month tables are read, from a CSV file with the columns ``table`` and ``reads``.

    Raises
    ------
    RecipeError : the file is not there, lacks a column, or has a number that is none.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
            names = list(rows[0]) if rows else []
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path}: cannot be read: {error}") from error
    for name in ("table", "reads"):
        if rows and name not in names:
            raise RecipeError(f'{path}: no column "{name}"; {nearest(name, names)}')
    found = {}
    for number, row in enumerate(rows, 2):
        try:
            found[row["table"]] = float(row["reads"])
        except (TypeError, ValueError) as error:
            raise RecipeError(
                f'{path}:{number}  reads: "{row["reads"]}" is not a number of reads a month'
            ) from error
        if not 0 <= found[row["table"]] < math.inf:
            raise RecipeError(f"{path}:{number}  reads: {row['reads']} is not 0 or more")
    return found


def _is_current(held: Held, tables: Mapping[str, TableFacts]) -> bool:
    ends = ((held.edge.child, held.child), (held.edge.parent, held.parent))
    return all(name in tables and state_of(tables[name]) == state for name, state in ends)


def _used(tables: Sequence[TableFacts], solution: Solution) -> set[tuple[str, str]]:
    """The pairs of a table that is dropped and the one that it would be rebuilt from."""
    return {
        (tables[v].table, tables[u].table) for v, u in enumerate(solution.source) if u is not None
    }


def _decisions(
    inventory: Inventory,
    held: Sequence[Held],
    problem: Problem,
    solution: Solution,
    prices: Prices,
) -> list[Decision]:
    """What is to become of each table."""
    edges = {(h.edge.child, h.edge.parent): h for h in held}
    tables, views, decisions = inventory.tables, inventory.views, []
    for v, table in enumerate(tables):
        u = solution.source[v]
        numbers = (table.table, table.version, table.rows, table.bytes, problem.keep[v] / UNITS)
        if u is None:
            read_by = views.get(table.table, ())
            decisions.append(Decision(*numbers, format=table.format, views=read_by))
            continue
        source = tables[u]
        decisions.append(
            Decision(
                *numbers,
                rebuild_from=source.table,
                rebuild=problem.sources[v][u] / UNITS,
                seconds=latency(source, prices),
                verified=edges[table.table, source.table].verified,
                columns=dict(edges[table.table, source.table].edge.columns),
                id=table.id,
                format=table.format,
            )
        )
    return decisions
