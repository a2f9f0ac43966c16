"""Takes what runs left in the state's tables out of them, where nobody needs it any more.

What is there of a run beside its output: rows set aside, matches, scratch, entries of indexes.
Those of the run that a target holds, of the newest runs, and entries that a later batch is compared
with stay. Counts and thresholds of groups stay, too: they are small, and ``diff`` reads them.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from pyspark.sql import SparkSession

from lakebalance.core.errors import RecipeError
from lakebalance.core.tables import REPLACED
from lakebalance.indexes import batches_of, newest_of_each
from lakebalance.ledger import Ledger
from lakebalance.publish.state import RUN
from lakebalance.recipe.models import Recipe
from lakebalance.state_tables import INDEX, MATCHES, QUARANTINE, SCRATCH, names_in

BATCHES = "-batches"
KINDS = (SCRATCH, INDEX, MATCHES, QUARANTINE)


@dataclass(frozen=True)
class Left:
    """What goes of one of the state's tables: how many rows, and of which runs."""

    table: str
    rows: int
    runs: list[str]


def clean(
    recipe: Recipe,
    spark: SparkSession,
    keep: int = 10,
    *,
    unfinished: bool = False,
    dry_run: bool = True,
) -> dict[str, Any]:
    """Take out what runs left that are neither the target's nor among the newest.

    Parameters
    ----------
    recipe : names the target, and where its state is; all recipes that share it are looked at. None
        of their runs may be under way.
    spark : the session.
    keep : how many of the newest runs to each target, or with each ``publish.replace_where``, keep
        all, 1 or more; the newest one is what the target holds.
    unfinished : also what runs left that are in no ledger, as they were killed and never finished,
        and scratch.
    dry_run : say what would go, and take nothing out.

    Returns
    -------
    ``dry_run``; ``kept`` (ids of runs) and ``tables``: ``table``, ``rows`` and ``runs`` of what
    goes. Files stay until VACUUM. A job for each table; another one where rows go.

    Raises
    ------
    RecipeError : ``keep`` is below 1.

    Examples
    --------
    >>> clean(Recipe.load("r.yaml"), spark, keep=3)["tables"]  # doctest: +SKIP
    [{'table': 'matches-r-0', 'rows': 1200, 'runs': ['3f2a…']}]
    """
    if keep < 1:
        raise RecipeError(f"keep must be 1 or more, as the newest run is what is there; not {keep}")
    ledger = Ledger(recipe, spark)
    known, kept = _runs(ledger, keep)
    found = []
    for name in _tables(ledger):
        stay = kept | _needed(ledger, name)
        rows = _rows(ledger, name)
        gone = [r for r in rows if unfinished or (r in known and not name.startswith(SCRATCH))]
        gone = sorted(r for r in gone if name.startswith(SCRATCH) or r not in stay)
        if not gone:
            continue
        found.append(Left(name, sum(rows[run] for run in gone), gone))
        if not dry_run:
            _take_out(ledger, name, gone)
    tables = [vars(left) for left in found]
    return {"dry_run": dry_run, "kept": sorted(kept), "tables": tables}


def _runs(ledger: Ledger, keep: int) -> tuple[set[str], set[str]]:
    """The ids of all finished runs, and those of the newest to each target, or part of one."""
    runs = ledger.state.runs(ledger.spark)
    by_target: dict[tuple[str, str | None], dict[str, None]] = {}
    for row in [] if runs is None else runs.select("run_id", "target", REPLACED).collect():
        by_target.setdefault((row["target"], row[REPLACED]), {})[row["run_id"]] = None
    known = {run for runs_of in by_target.values() for run in runs_of}
    return known, {run for runs_of in by_target.values() for run in list(runs_of)[:keep]}


def _tables(ledger: Ledger) -> list[str]:
    """The names of the state's tables that hold what runs leave."""
    names = names_in(ledger.spark, ledger.state)
    return [n for n in names if n.startswith(KINDS) and not n.endswith(BATCHES)]


def _rows(ledger: Ledger, name: str) -> dict[str, int]:
    """Rows of each run, or try of one, in a table."""
    table = ledger.spark.read.format("delta").load(ledger.state.table(name).name)
    return {row[RUN]: row["count"] for row in table.groupBy(RUN).count().collect()}


def _needed(ledger: Ledger, name: str) -> set[str]:
    """The runs whose entries a later batch would be compared with."""
    if not name.startswith(INDEX):
        return set()
    batches = batches_of(ledger.state, ledger.spark, name.removeprefix(INDEX))
    return {batch.run for batch in newest_of_each(batches)}


def _take_out(ledger: Ledger, name: str, runs: Collection[str]) -> None:
    tables = [name, name + BATCHES] if name.startswith(INDEX) else [name]
    for table in tables:
        for run in runs:
            ledger.state.clear(ledger.spark, table, run)
