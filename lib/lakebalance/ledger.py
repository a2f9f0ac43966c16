"""Runs of a recipe as the ledger has them, found by their ids."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import yaml
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from lakebalance.core.errors import RecipeError, TableError, nearest
from lakebalance.core.secrets import hide
from lakebalance.publish.state import State
from lakebalance.recipe.models import Recipe
from lakebalance.recipe.outputs import BALANCED

# So many of the newest runs are looked through.
MOST = 1000


@dataclass(frozen=True)
class Made:
    """A table as a run left it."""

    table: str
    version: int


def state_of(recipe: Recipe) -> State:
    """Where a recipe's runs keep what they must remember."""
    return State.beside(recipe.publish.table, recipe.publish.state)


@dataclass(frozen=True)
class Ledger:
    """The ledger of a recipe's runs to its target."""

    recipe: Recipe
    spark: SparkSession

    @property
    def state(self) -> State:
        """Where runs are remembered."""
        return state_of(self.recipe)

    @cached_property
    def ids(self) -> list[str]:
        """The ids of the runs to the target, newest first, each once."""
        runs = self.state.runs(self.spark)
        if runs is None:
            return []
        own = runs.where(F.col("target") == F.lit(hide(self.recipe.publish.table)))
        rows = own.select("run_id").limit(MOST).collect()
        return list(dict.fromkeys(row["run_id"] for row in rows))

    def entry(self, run: str) -> dict[str, Any]:
        """The newest entry of a run.

        Parameters
        ----------
        run : its id, or as much of the beginning as tells it from others.

        Raises
        ------
        TableError : no run is in the ledger.
        RecipeError : none, or several, have this id.
        """
        known = self.ids
        if not known:
            raise TableError(
                f"no run to {self.recipe.publish.table} is in the ledger "
                f"{self.state.table('ledger').name}; run the recipe first"
            )
        found = [own for own in known if own.startswith(run)]
        if not found:
            raise RecipeError(f'no run "{run}" in the ledger; {nearest(run, known)}')
        if len(found) > 1:
            raise RecipeError(f'"{run}" is the beginning of {", ".join(found)}; write more of it')
        wanted = [("run_id", found[0]), ("target", self.recipe.publish.table)]
        entry = self.state.entry(self.spark, wanted)
        assert entry is not None
        return entry

    def after(self, run: str) -> list[str]:
        """The ids of the runs that came after a run, newest first."""
        return self.ids[: self.ids.index(run)]

    def indexes(self, runs: Collection[str]) -> set[str]:
        """The names of the indexes that the pruning steps of runs have."""
        ledger = self.state.runs(self.spark)
        if ledger is None:
            return set()
        made = ledger.where(F.col("run_id").isin(list(runs))).select("recipe").distinct()
        steps = [
            s for row in made.collect() for s in yaml.safe_load(row["recipe"]).get("prune", [])
        ]
        return {step["index"] for step in steps if step.get("index")}


def tables_of(entry: Mapping[str, Any]) -> dict[str, Made]:
    """The tables of a run by the names of its outputs, the balanced one first.

    Phases that are inside the balanced table are none of their own.
    """
    versions = {made["name"]: made["version"] for made in entry["result"].get("outputs", [])}
    made = {BALANCED: Made(entry["target"], entry["version"])}
    for output in entry["plan"].get("outputs", []):
        if output["table"] != entry["target"]:
            made[output["name"]] = Made(output["table"], versions[output["name"]])
    return made
