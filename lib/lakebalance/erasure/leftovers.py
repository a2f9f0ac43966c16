"""Takes forgotten rows out of what runs keep beside their tables, and looks for them there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakebalance.core.sources import KEY
from lakebalance.core.tables import Table, newest_version, read_delta
from lakebalance.erasure.marks import Marks, Sought, count_found, erase, of_place, sought
from lakebalance.erasure.trace import Published
from lakebalance.forgotten import MARK, Place
from lakebalance.released import HASH, Released
from lakebalance.state_tables import INDEX, MATCHES, QUARANTINE, SCRATCH, names_in

KEYS_OF_MATCHES = ("dropped", "kept", "neighbour")


@dataclass
class Leftover:
    """One of a state's tables that may hold forgotten rows.

    ``keys`` are the key hashes of rows that are asked for, whether a run read them or not.
    ``place`` is the table that they were repaired of, where it holds such.
    """

    spark: SparkSession
    table: Table
    runs: list[Published]
    marks: Sequence[Marks]
    keys: DataFrame
    place: Place | None = None

    @cached_property
    def kind(self) -> str:
        """``quarantine``, ``matches``, ``index``, ``released`` or ``scratch``."""
        return self.table.name.rpartition("/")[2].partition("-")[0]

    def count(self) -> int:
        """How many rows of it are to be forgotten."""
        rows = self._rows
        return rows.count() if self.kind == "scratch" else count_found(rows, self._sought())[1]

    def erase(self) -> None:
        """Delete these rows."""
        if self.kind == "scratch":
            self.spark.sql(f"DELETE FROM {self.table.sql}")
        else:
            erase(self.table, self._sought())

    @property
    def _rows(self) -> DataFrame:
        version = newest_version(self.spark, self.table)
        assert version is not None
        return read_delta(self.spark, self.table, version)

    def _sought(self) -> list[Sought]:
        """The columns by which rows are found, and the hashes of forgotten ones, each once."""
        if self.kind == "quarantine":
            return [own for run in self.runs for own in self._set_aside(run)]
        if self.place is not None:
            return list(self._repaired(self.place))
        hits = [run.hits.select(F.col(KEY).alias(MARK)) for run in self.runs if run.hits]
        keys = reduce(DataFrame.union, hits, self.keys).distinct()
        named = KEYS_OF_MATCHES if self.kind == "matches" else (KEY,)
        return [(F.col(name), keys) for name in named if name in self._rows.columns]

    def _repaired(self, place: Place) -> Iterator[Sought]:
        """Repaired rows by what they are, and by what they were."""
        for value, once in self._sought_of(place):
            yield value, once
            yield F.col(HASH), once

    def _set_aside(self, run: Published) -> Iterator[Sought]:
        for source, place in run.sources.items():
            for value, once in self._sought_of(place):
                yield F.when(F.col("lb_source") == source, value), once

    def _sought_of(self, place: Place) -> list[Sought]:
        """What is looked for of a table; not where rows were kept when it had other columns."""
        rows, own = self._rows, of_place(self.marks, place)
        known = [marks for marks in own if set(marks.identity.names) <= set(rows.columns)]
        return sought(rows, known, self.table.name)


def leftovers(
    spark: SparkSession, runs: Sequence[Published], marks: Sequence[Marks], keys: DataFrame
) -> list[Leftover]:
    """The tables beside the published ones in which forgotten rows may be, in order.

    Parameters
    ----------
    runs : those whose tables they lie beside.
    marks : on rows of tables.
    keys : the key hashes of rows that are asked for, in ``__lb_mark``.
    """
    found: dict[str, Leftover] = {}
    states = dict.fromkeys(run.state for run in runs)
    kept = {s: (names_in(spark, s), Released(s, spark).entries) for s in states}
    for run in runs:
        names, releases = kept[run.state]
        for name in names:
            if _is_of(run, name):
                table = run.state.table(name)
                made = found.setdefault(table.name, Leftover(spark, table, [], marks, keys))
                made.runs.append(run)
        for release in releases:
            if any(release.place.is_one_with(place) for place in run.sources.values()):
                table = run.state.table(release.table)
                found[table.name] = Leftover(spark, table, [run], marks, keys, release.place)
    return [found[name] for name in sorted(found)]


def _is_of(run: Published, name: str) -> bool:
    """Whether a run of a recipe may have put rows into one of the state's tables."""
    recipe = run.recipe.name
    steps = {f"{MATCHES}{recipe}-{i}" for i in range(len(run.recipe.prune))}
    indexes = {INDEX + index for index in run.indexes}
    return name in {QUARANTINE + recipe, *steps, *indexes} or name.startswith(f"{SCRATCH}{recipe}-")
