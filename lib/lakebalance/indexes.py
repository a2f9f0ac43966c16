"""Indexes of what stayed in earlier batches: which entries a run sees, and when its own are seen.

A batch is what a recipe reads: its name, its tables and their filters. A run sees the entries of
all batches but its own, each as it was published last. Its own entries lie in the index before its
table is published, and are seen by others after that.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession

from lakebalance.core.diagnostics import Cell, Diagnostic
from lakebalance.core.errors import RecipeError, TableError
from lakebalance.core.index import RUN as ENTRY_RUN
from lakebalance.core.index import Index
from lakebalance.core.registry import MethodOptions, method_of
from lakebalance.core.tables import newest_version
from lakebalance.publish.state import RUN, State
from lakebalance.recipe.models import Recipe

BATCHES = pa.schema(
    [("batch", pa.string()), ("recipe", pa.string()), ("made_with", pa.string()),
     ("entries", pa.int64()), ("seen", pa.int64()), ("number", pa.int64())]
)  # fmt: skip


@dataclass(frozen=True)
class Batch:
    """A run's entries: ``seen`` is the number of the newest batch that it saw, ``number`` its own.

    Numbers count up as batches are published; it has none before.
    """

    run: str
    batch: str
    recipe: str
    made_with: str
    entries: int
    seen: int
    number: int | None


@dataclass
class Indexes:
    """The indexes of a recipe's pruning steps, for one run.

    ``published`` says that an earlier try of the run has published its table, and may not have come
    to tell the indexes: it sees what that try saw.
    """

    state: State
    spark: SparkSession
    recipe: Recipe
    run_id: str
    writes: bool = False
    published: bool = False
    opened: dict[str, list[Batch]] = field(default_factory=dict)
    made_with: dict[str, str] = field(default_factory=dict)

    @property
    def batch(self) -> str:
        """What tells this batch from others."""
        read = sorted((source.table, source.where or "") for source in self.recipe.sources)
        text = json.dumps([self.recipe.name, read])
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def open(self, options: MethodOptions, name: str, place: str) -> Index:
        """The index that a step names, as this run sees it.

        Raises
        ------
        RecipeError : its entries were made with other options.
        """
        batches = self._batches(name)
        self.opened[name], self.made_with[name] = batches, _made_with(options)
        for batch in batches:
            if batch.number is not None:
                _check(batch, self.made_with[name], name, place)
        known = None
        if runs := [batch.run for batch in self._visible(batches)]:
            known = self.state.read_runs(self.spark, f"index-{name}", runs)
            known = known.withColumnRenamed(RUN, ENTRY_RUN)
        return Index(name, known, partial(self._add, name) if self.writes else None)

    @property
    def said(self) -> list[Diagnostic]:
        """What a plan says of the indexes that were opened."""
        if not self.opened:
            return []
        lines: list[list[Cell]] = []
        for name, batches in self.opened.items():
            seen = self._visible(batches)
            lines.append([name, len(seen), sum(batch.entries for batch in seen)])
        note = "Rows are compared with what stayed in other batches, and go for it."
        return [Diagnostic("Indexes", ["index", "batches", "entries"], lines, note)]

    def reserve(self) -> None:
        """Write down which batches this run saw, before it publishes.

        Raises
        ------
        TableError : another batch was published meanwhile, which its rows were not compared with.
        """
        for name, batches in self.opened.items():
            if self._own(batches) is not None:
                continue
            if _newest(self._batches(name)) != _newest(batches):
                raise TableError(
                    f"the index {name} has got another batch since this run read it, which its "
                    "rows were not compared with; nothing was published: run it again"
                )
            entries = self.state.read(self.spark, f"index-{name}", self.run_id).count()
            self._write(name, entries, _newest(batches), None)

    def publish(self) -> None:
        """Let other runs see the entries of this one."""
        for name, batches in self.opened.items():
            own = self._own(batches)
            if own is not None and own.number is not None:
                continue
            now = self._batches(name)
            mine = next(batch for batch in now if batch.run == self.run_id)
            self._write(name, mine.entries, mine.seen, _newest(now) + 1)

    def _own(self, batches: list[Batch]) -> Batch | None:
        """What an earlier try of this run, which published, wrote down."""
        own = [batch for batch in batches if batch.run == self.run_id and self.published]
        return own[0] if own else None

    def _visible(self, batches: list[Batch]) -> list[Batch]:
        """The newest run of each batch but this one, up to what an earlier try saw."""
        own = self._own(batches)
        last = _newest(batches) if own is None else own.seen
        until = [batch for batch in batches if (batch.number or 0) <= last]
        return [batch for batch in newest_of_each(until) if batch.batch != self.batch]

    def _batches(self, name: str) -> list[Batch]:
        return batches_of(self.state, self.spark, name)

    def _add(self, name: str, entries: DataFrame) -> None:
        self.state.write(entries, f"index-{name}", self.run_id)

    def _write(self, name: str, entries: int, seen: int, number: int | None) -> None:
        line = Batch(
            self.run_id,
            self.batch,
            self.recipe.name,
            self.made_with[name],
            entries,
            seen,
            number,
        )
        _write(self.state, self.spark, name, line)


def batches_of(state: State, spark: SparkSession, name: str) -> list[Batch]:
    """The batches of an index, published ones and others; none where there is no such index."""
    table = state.table(f"index-{name}-batches")
    if newest_version(spark, table) is None:
        return []
    rows = spark.read.format("delta").load(table.name).collect()
    return [Batch(row[RUN], *(row[n] for n in BATCHES.names)) for row in rows]


def withdraw(
    state: State, spark: SparkSession, names: Collection[str], undone: Collection[str], run: str
) -> None:
    """Take the entries of runs out of sight, as what they published is undone.

    Parameters
    ----------
    state, spark : where the indexes are.
    names : of the indexes.
    undone : ids of the runs.
    run : the id of the run that is published again: its entries are seen from now on.
    """
    for name in names:
        batches = batches_of(state, spark, name)
        for batch in batches:
            if batch.run in undone and batch.number is not None:
                _write(state, spark, name, replace(batch, number=None))
            if batch.run == run and batch.number is None:
                _write(state, spark, name, replace(batch, number=_newest(batches) + 1))


def _write(state: State, spark: SparkSession, name: str, batch: Batch) -> None:
    row = {column: getattr(batch, column) for column in BATCHES.names}
    line = spark.createDataFrame(pa.Table.from_pylist([row], schema=BATCHES))
    state.write(line, f"index-{name}-batches", batch.run)


def newest_of_each(batches: Sequence[Batch]) -> list[Batch]:
    """The run of each batch that was published last."""
    seen: dict[str, Batch] = {}
    for batch in sorted(batches, key=lambda batch: (batch.number or 0, batch.run)):
        if batch.number is not None:
            seen[batch.batch] = batch
    return list(seen.values())


def _newest(batches: Sequence[Batch]) -> int:
    """The number of the batch that was published last; 0 where none was."""
    return max((batch.number or 0 for batch in batches), default=0)


def _made_with(options: MethodOptions) -> str:
    made_with = method_of("prune", options).made_with
    assert made_with is not None
    return json.dumps({"method": options.method, **made_with(options)}, sort_keys=True)


def _check(batch: Batch, made_with: str, name: str, place: str) -> None:
    """Raise unless a batch's entries were made with the same options."""
    theirs, own = json.loads(batch.made_with), json.loads(made_with)
    for option in sorted({*theirs, *own}):
        if theirs.get(option) != own.get(option):
            raise RecipeError(
                f"{place}.index: {name} was made with {option} {json.dumps(theirs.get(option))}, "
                f"by run {batch.run} of {batch.recipe}, and here it is "
                f"{json.dumps(own.get(option))}; write that, or another name of an index"
            )
