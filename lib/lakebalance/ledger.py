"""Runs of a recipe as the ledger has them, found by their ids."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import yaml
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakebalance.core.errors import RecipeError, TableError, nearest
from lakebalance.core.secrets import hide
from lakebalance.core.tables import REPLACED
from lakebalance.publish.state import State, json_of
from lakebalance.recipe.models import Recipe
from lakebalance.recipe.outputs import BALANCED

# So many of the newest runs are looked through.
MOST = 1000


@dataclass(frozen=True)
class Made:
    """A table as a run left it."""

    table: str
    version: int
    replace_where: str | None = None


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
        return list(dict.fromkeys(run for run, _ in self._lines))

    @property
    def own_ids(self) -> list[str]:
        """The ids of the runs to the rows that the recipe replaces, newest first, each once."""
        own = self.recipe.publish.replace_where
        if own is None:
            return self.ids
        return list(dict.fromkeys(run for run, replaced in self._lines if replaced == hide(own)))

    @cached_property
    def _lines(self) -> list[tuple[str, str | None]]:
        """The id in each line of the target, newest first, and the condition that it replaced.

        A rollback writes a run's line anew.
        """
        own = self._own
        if own is None:
            return []
        lines = own.select("run_id", REPLACED).limit(MOST).collect()
        return [(line["run_id"], line[REPLACED]) for line in lines]

    @property
    def _own(self) -> DataFrame | None:
        runs = self.state.runs(self.spark)
        if runs is None:
            return None
        return runs.where(F.col("target") == F.lit(hide(self.recipe.publish.table)))

    def before(self, run: str) -> list[str]:
        """The ids of the runs that came before a run was there at all, newest first, each once."""
        lines = [run for run, _ in self._lines]
        first = len(lines) - 1 - lines[::-1].index(run) if run in lines else -1
        return list(dict.fromkeys(lines[first + 1 :]))

    def plans(self, runs: Sequence[str]) -> list[dict[str, Any]]:
        """The plans of runs, in order, as ``Plan.summary`` makes them."""
        return [line["plan"] for line in self.lines(runs)]

    def lines(self, runs: Sequence[str]) -> list[dict[str, Any]]:
        """The newest line of each of some runs, in order, with the plan read; secrets stay hidden.

        Parameters
        ----------
        runs : ids of runs to the target.

        Returns
        -------
        Of each ``run_id``, ``target``, ``finished``, ``plan`` and ``recipe``.
        """
        own = self._own
        if own is None or not runs:
            return []
        wanted = own.where(F.col("run_id").isin(list(runs)))
        rows = wanted.select("run_id", "target", "finished", "plan", "recipe").collect()
        newest = {row["run_id"]: row for row in reversed(rows)}
        return [{**newest[run].asDict(), **json_of(newest[run], "plan")} for run in runs]

    def newest(self) -> dict[str, Any]:
        """The newest entry of the recipe, by its name, to the target and what it replaces there.

        Raises
        ------
        TableError : no run of it is in the ledger.
        """
        publish = self.recipe.publish
        wanted = [
            ("name", self.recipe.name),
            ("target", publish.table),
            (REPLACED, publish.replace_where),
        ]
        entry = self.state.entry(self.spark, wanted)
        if entry is None:
            where = "" if publish.replace_where is None else f" where {publish.replace_where}"
            raise TableError(
                f'no run of "{self.recipe.name}" to {publish.table}{where} is in the ledger '
                f"{self.state.table('ledger').name}; run the recipe first"
            )
        return entry

    def known(self) -> list[str]:
        """The ids of the runs to the target, newest first.

        Raises
        ------
        TableError : there are none.
        """
        if not self.ids:
            raise TableError(
                f"no run to {self.recipe.publish.table} is in the ledger "
                f"{self.state.table('ledger').name}; run the recipe first"
            )
        return self.ids

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
        known = self.known()
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
        """The ids of the runs that came after a run and replaced the same, newest first."""
        replaced = dict(reversed(self._lines))
        later = self.ids[: self.ids.index(run)]
        return [other for other in later if replaced[other] == replaced[run]]

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
    replaced = entry[REPLACED]
    made = {BALANCED: Made(entry["target"], entry["version"], replaced)}
    for output in entry["plan"].get("outputs", []):
        if output["table"] != entry["target"]:
            made[output["name"]] = Made(output["table"], versions[output["name"]], replaced)
    return made
