"""What pruning did to rows that are asked about: dropped, for which others, or edited."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pyspark.sql import DataFrame

from lakebalance.core.hashing import is_one_of, key_text
from lakebalance.core.readable import readable_rows
from lakebalance.core.registry import method_of
from lakebalance.core.sources import KEY, ROW_ID, SOURCE
from lakebalance.frames import Frames
from lakebalance.prune.matches import LEFT
from lakebalance.publish.state import State

Key = tuple[int, int]
MOST = 1000
OF_EVERY_MATCH = ("dropped", "kept", "neighbour", "rows", LEFT, "method", "dropped_source")


@dataclass
class PrunedRows:
    """The matches of one run, asked about a few rows."""

    frames: Frames
    state: State
    run_id: str
    picked: Mapping[Key, Any]

    def fate(self, key: Key) -> dict[str, Any]:
        """What a dropped row is called, by which step, for which row, and the numbers."""
        step, other, numbers = self.dropped_for[key]
        options = self.frames.recipe.prune[step]
        return {
            "fate": method_of("prune", options).fate,
            "by": f"prune.{step} ({options.method})",
            **(self._evaluated(**numbers) if "test" in numbers else numbers),
            **self._in_favour_of(other),
        }

    def edit(self, rows: DataFrame) -> DataFrame:
        """The rows without what steps took out of them."""
        for i, options in enumerate(self.frames.recipe.prune):
            if (edit := method_of("prune", options).edit) is not None:
                rows = edit(rows, options, self._matches_of(i))
        return rows

    def _in_favour_of(self, other: Key | None) -> dict[str, Any]:
        if other is None:
            return {}
        return {"of": key_text(other), "of_row": self.other_rows.get(other)}

    def _evaluated(self, evaluation: str, test: Any, **numbers: Any) -> dict[str, Any]:
        """The evaluation row that a row was dropped for."""
        key = key_of(test)
        row = self.evaluation_rows.get((evaluation, key))
        return {"evaluation": evaluation, "test": key_text(key), "test_row": row, **numbers}

    @cached_property
    def dropped_for(self) -> dict[Key, tuple[int, Key | None, dict[str, Any]]]:
        """For each dropped row the pruning step, the row that it was dropped for, and numbers.

        Methods that choose by other things than rows drop it for none.

        Of rows that share a key, some may stay: those have the fate of the ones that do.
        """
        found: dict[Key, tuple[int, Key | None, dict[str, Any]]] = {}
        for step, match in self.matches:
            other = match.get("kept") or match.get("neighbour")
            left = match.get(LEFT)
            if not (match["dropped"] == other if left is None else left):
                favoured = None if other is None else key_of(other)
                found.setdefault(key_of(match["dropped"]), (step, favoured, _numbers(match)))
        return found

    @cached_property
    def edited(self) -> dict[Key, list[dict[str, Any]]]:
        """For each row that parts were taken out of, by which steps, and which parts."""
        found: dict[Key, list[dict[str, Any]]] = {}
        for step, match in self.matches:
            options = self.frames.recipe.prune[step]
            if method_of("prune", options).edit is not None and not match["rows"]:
                said = {"by": f"prune.{step} ({options.method})", **_numbers(match)}
                said["of"] = key_text(key_of(match["kept"]))
                found.setdefault(key_of(match["dropped"]), []).append(said)
        return found

    @cached_property
    def matches(self) -> list[tuple[int, dict[str, Any]]]:
        """What each pruning step found of the picked rows."""
        found = []
        for i in range(len(self.frames.recipe.prune)):
            of_picked = self._matches_of(i).where(is_one_of("dropped", self.picked)).collect()
            found += [(i, row.asDict()) for row in of_picked]
        return found

    def _matches_of(self, step: int) -> DataFrame:
        """What a pruning step found in that run."""
        name = f"matches-{self.frames.recipe.name}-{step}"
        return self.state.read(self.frames.spark, name, self.run_id)

    @cached_property
    def other_rows(self) -> dict[Key, dict[str, Any]]:
        """The rows that picked ones were dropped for."""
        keys = {other for _, other, _ in self.dropped_for.values() if other is not None}
        rows = self.frames.all_rows.where(is_one_of(KEY, keys)).dropDuplicates([KEY])
        return {
            key_of(r[KEY]): {k: v for k, v in r.items() if k not in (KEY, SOURCE)}
            for r in readable_rows(rows.limit(MOST))
        }

    @cached_property
    def evaluation_rows(self) -> dict[tuple[str, Key], dict[str, Any]]:
        """The rows of evaluation tables that picked ones were dropped for."""
        asked: dict[str, set[Key]] = {}
        for _, _, numbers in self.dropped_for.values():
            if "test" in numbers:
                asked.setdefault(numbers["evaluation"], set()).add(key_of(numbers["test"]))
        found: dict[tuple[str, Key], dict[str, Any]] = {}
        for table in self.frames.evaluation:
            if keys := asked.get(table.name):
                rows = table.pinned.df.withColumn(KEY, table.pinned.key_hash)
                rows = rows.where(is_one_of(KEY, keys)).drop(ROW_ID)
                for row in readable_rows(rows.dropDuplicates([KEY]).limit(MOST)):
                    values = {k: v for k, v in row.items() if k != KEY}
                    found[table.name, key_of(row[KEY])] = values
        return found


def _numbers(match: Mapping[str, Any]) -> dict[str, Any]:
    """What a match says besides of which row it is and for which other."""
    # Those that are null are other methods', which wrote to the table before.
    return {n: v for n, v in match.items() if v is not None and n not in OF_EVERY_MATCH}


def key_of(value: Any) -> Key:
    """A key hash in halves."""
    return (value["hi"], value["lo"])
