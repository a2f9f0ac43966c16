"""Takes a recipe's tables back to what an earlier run published."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from pyspark.sql import SparkSession

from lakebalance.core.errors import TableError
from lakebalance.core.tables import REPLACED, Table, newest_version
from lakebalance.forgotten import Forgotten
from lakebalance.indexes import withdraw
from lakebalance.ledger import Ledger, Made, tables_of
from lakebalance.publish.transaction import published_version, restore, return_to
from lakebalance.recipe.models import Recipe
from lakebalance.recipe.outputs import BALANCED


def rollback(recipe: Recipe, spark: SparkSession, run: str) -> dict[str, Any]:
    """Take all tables of a run back to what it published, by Delta's RESTORE: no row is rewritten.

    Of a run that replaced the rows of a condition, these alone are taken back: they are written
    anew, and those of others stay as they are.

    The run is the newest in the ledger afterwards, so that ``explain`` is about it, and running its
    recipe again changes nothing while the sources are as they were. Runs that came after it may be
    run again. What these put into an index of earlier batches is not seen by others until they are.

    Parameters
    ----------
    recipe : names the target, and where its ledger is.
    spark : the session.
    run : the run's id, or as much of the beginning as tells it from others.

    Returns
    -------
    ``run_id``, ``undone`` (the runs that came after it, newest first), and ``tables``: ``name``,
    ``table``, ``version`` now, and ``before``; the same version where nothing had to be done.

    Raises
    ------
    RecipeError : the run is not in the ledger.
    TableError : a table cannot be taken back, such as after VACUUM; the others are as before. Or
        rows were forgotten since the run, which its tables hold.

    Examples
    --------
    >>> rollback(Recipe.load("r.yaml"), spark, "3f2a")["tables"][0]["version"]  # doctest: +SKIP
    7
    """
    ledger, started = Ledger(recipe, spark), dt.datetime.now(dt.timezone.utc)
    entry = ledger.entry(run)
    run_id = str(entry["run_id"])
    _holds_nothing_forgotten(ledger, entry)
    undone = ledger.after(run_id)
    made = tables_of(entry)
    done: list[tuple[str, Made, int, int]] = []
    try:
        # The balanced one last, as in a run: whoever sees it can rely on the others.
        for name in [*[name for name in made if name != BALANCED], BALANCED]:
            done.append((name, made[name], *_returned(spark, made[name], run_id)))
    except TableError as error:
        left = [
            restore(spark, Table(table.table), version, before)
            for _, table, version, before in reversed(done)
            if version != before
        ]
        raise TableError("; ".join([str(error), *left])) from error
    versions = {name: version for name, _, version, _ in done}
    if any(version != before for _, _, version, before in done):
        _record(ledger, entry, versions, started)
    withdraw(ledger.state, spark, ledger.indexes([run_id, *undone]), undone, run_id)
    return {
        "run_id": run_id,
        "undone": undone,
        "tables": [
            {"name": name, "table": table.table, "version": version, "before": before}
            for name, table, version, before in reversed(done)
        ],
    }


def _holds_nothing_forgotten(ledger: Ledger, entry: Mapping[str, Any]) -> None:
    """Raise where rows were forgotten that the run had not left out."""
    read = [(source["table"], source["version"]) for source in entry["plan"]["sources"]]
    asked = set(Forgotten(ledger.state, ledger.spark).requests(read))
    if more := asked - set(entry["plan"].get("forgotten", [])):
        raise TableError(
            f"run {entry['run_id']} may hold rows that were forgotten since, by request "
            f"{min(more)}; no table can be taken back to it"
        )


def _returned(spark: SparkSession, made: Made, run: str) -> tuple[int, int]:
    """The table's version now, and the one before."""
    table = Table(made.table)
    before = newest_version(spark, table)
    if before is None:
        raise TableError(f"{made.table} is not there any more")
    if (version := published_version(spark, table, run, made.replace_where)) is not None:
        return version, version
    return return_to(spark, table, made.version, run, made.replace_where), before


def _record(
    ledger: Ledger, entry: Mapping[str, Any], versions: Mapping[str, int], started: dt.datetime
) -> None:
    """Write the run into the ledger once more, with the versions that its tables have now."""
    outputs = [
        # Phases inside the balanced table have its version.
        {**made, "version": versions.get(made["name"], versions[BALANCED])}
        for made in entry["result"].get("outputs", [])
    ]
    kept = ("run_id", "name", "target", REPLACED, "rows", "plan", "recipe")
    again = {name: entry[name] for name in kept}
    result = {**entry["result"], "outputs": outputs, "rolled_back": True}
    ledger.state.record(
        ledger.spark,
        {**again, "version": versions[BALANCED], "started": started, "result": result},
    )
