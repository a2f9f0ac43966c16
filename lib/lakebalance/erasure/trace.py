"""Follows rows from the tables that hold them into every table that runs made of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial, reduce
from typing import Any

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from lakebalance.core.columns import column
from lakebalance.core.components import AT_ONCE, Scratch, components, writing
from lakebalance.core.errors import TableError
from lakebalance.core.identity import Identity
from lakebalance.core.index import index_of
from lakebalance.core.registry import method_of
from lakebalance.core.sources import KEY, ROW_ID, SOURCE, Pinned
from lakebalance.core.tables import Table, newest_version
from lakebalance.erasure.asked import WHY
from lakebalance.erasure.files import can_be_read
from lakebalance.erasure.marks import Marks, of_place, own_identity, sought
from lakebalance.forgotten import HASH, MARK, REASON, Place, Places, in_halves, is_marked
from lakebalance.frames import Frames
from lakebalance.ledger import Made, tables_of
from lakebalance.publish.state import State
from lakebalance.recipe.models import Recipe

OWN, MADE = "__lb_own", "__lb_made"
TIED = "tied"
MOST_PASSES = 8


@dataclass
class Published:
    """The newest run to a target, and what of it is to be forgotten.

    ``without`` is the request itself: rows that a try of it left out already are found again.
    ``hits`` are rows that the run read: ``__lb_source``, ``__lb_key``, hashes of the row in its own
    table and in those that the run wrote, and ``reason``. ``counts`` say how many for which reason.
    """

    spark: SparkSession
    state: State
    entry: dict[str, Any]
    known: Places
    without: str = ""
    hits: DataFrame | None = None
    counts: dict[str, int] = field(default_factory=dict)

    @cached_property
    def recipe(self) -> Recipe:
        """The recipe that the run had."""
        return Recipe.of_yaml(self.entry["recipe"])

    @property
    def run(self) -> str:
        """The run's id."""
        return str(self.entry["run_id"])

    @cached_property
    def frames(self) -> Frames:
        """The run's stages, over its sources as it read them, or as they are where that is gone."""
        plan = self.entry["plan"]
        read = [
            {**source, "version": self.versions[source["name"]], "table_id": None}
            if source["name"] in self.gone
            else source
            for source in plan["sources"]
        ]
        return Frames.of_run(self.recipe, self.spark, {**plan, "sources": read}, self.without)

    @cached_property
    def versions(self) -> dict[str, int | str]:
        """The versions of its sources that it read, or the newest ones in place of those gone."""
        found: dict[str, int | str] = {}
        for source in self.entry["plan"]["sources"]:
            version = source["version"]
            if source["name"] in self.gone:
                version = newest_version(self.spark, Table(source["table"]))
            found[source["name"]] = version
        return found

    @cached_property
    def gone(self) -> list[str]:
        """The sources that are not there any more as it read them: VACUUM ran, or made anew."""
        return [
            source["name"]
            for source in self.entry["plan"]["sources"]
            if source["name"] in self.sources
            and isinstance(source["version"], int)
            and not self._is_there(source)
        ]

    def _is_there(self, source: Mapping[str, Any]) -> bool:
        if source.get("table_id") not in (None, "", self.sources[source["name"]].table_id):
            return False
        return can_be_read(self.spark, Table(source["table"]), source["version"])

    @property
    def has_children(self) -> bool:
        """Whether it made new rows of others, which no key of these finds."""
        return any(method_of("sample", own.sample).has_children for own in self.frames.outputs)

    @cached_property
    def outputs(self) -> dict[str, Made]:
        """The tables that the run wrote, by the names of its outputs."""
        return tables_of(self.entry)

    @cached_property
    def places(self) -> dict[str, Place]:
        """Where these tables lie, those that are there."""
        found = {name: self.known.of(made.table) for name, made in self.outputs.items()}
        return {name: place for name, place in found.items() if place is not None}

    @property
    def tables(self) -> dict[str, str]:
        """The names of these tables, those that are there."""
        return {name: self.outputs[name].table for name in self.places}

    @cached_property
    def sources(self) -> dict[str, Place]:
        """Where the tables lie that the run read, by the names of its sources, where they do."""
        found = {
            spec.name: self.known.of(spec.table, delta=spec.format == "delta")
            for spec in self.recipe.sources
        }
        return {name: place for name, place in found.items() if place is not None}

    @property
    def missing(self) -> list[str]:
        """What to say of tables that are not there any more."""
        named = {f"source {spec.name}": spec.name in self.sources for spec in self.recipe.sources}
        named |= {f"output {name}": name in self.places for name in self.outputs}
        return [
            f"{what} of run {self.run} to {self.entry['target']} is not there any more: rows in it "
            "cannot be followed"
            for what, there in named.items()
            if not there
        ]

    @property
    def indexes(self) -> set[str]:
        """The names of the indexes that its pruning steps share with other batches."""
        return {name for options in self.recipe.prune if (name := index_of(options))}

    def reads(self, other: Published) -> bool:
        """Whether a source of it is a table that another one's run wrote."""
        return any(a.is_one_with(b) for a in self.sources.values() for b in other.places.values())

    def shares_index(self, other: Published) -> bool:
        """Whether rows of one may be dropped for rows of the other."""
        return self.state == other.state and bool(self.indexes & other.indexes)

    def made_identity(self, source: Pinned) -> Identity:
        """What tells the rows of a source apart in the tables that the run wrote."""
        name, changed = self.recipe.publish.source_column, self._changed
        named = [] if name is None else [name]
        rows = _named(source.df, source, name)
        if source.key and source.key != [ROW_ID] and (named or len(self.recipe.sources) == 1):
            return Identity.of(rows, [*named, *source.key])
        columns = [field.name for field in source.columns if field.name not in changed]
        return Identity.of(rows, [*named, *columns])

    @property
    def _changed(self) -> set[str]:
        """The columns whose values a run may publish other than it read them."""
        edited = [o for o in self.recipe.prune if method_of("prune", o).edit is not None]
        changed = {getattr(options, "column", None) for options in edited}
        if method_of("sample", self.recipe.sample).put_out_as is not None:
            changed |= set(getattr(self.recipe.sample, "labels", []))
        return {name for name in changed if name}

    def rows_of(self, source: Pinned, rows: DataFrame, reason: Column) -> DataFrame:
        """Some of a source's rows, as hits are: hashes of each, and why it is to be forgotten."""
        rows = _named(rows, source, self.recipe.publish.source_column)
        return rows.select(
            F.lit(source.name).alias(SOURCE),
            source.key_hash.alias(KEY),
            own_identity(source).hash(rows, source.table).alias(OWN),
            self.made_identity(source).hash(rows, source.table).alias(MADE),
            reason.alias(REASON),
        )

    def matches(self) -> list[DataFrame]:
        """Which rows the run dropped for which as the same: ``node`` and ``to``, key hashes."""
        found = []
        for i in range(len(self.recipe.prune)):
            pairs = self.state.read(self.spark, f"matches-{self.recipe.name}-{i}", self.run)
            if "kept" in pairs.columns:
                same = pairs.where((F.col("rows") > 0) & F.col("kept").isNotNull())
                found.append(same.select(F.col("dropped").alias("node"), F.col("kept").alias("to")))
        return found


def _named(rows: DataFrame, source: Pinned, name: str | None) -> DataFrame:
    return rows if name is None else rows.withColumn(name, F.lit(source.name))


def newest_runs(spark: SparkSession, state: State, known: Places) -> list[Published]:
    """The newest run to each target that a state knows, those that others read first."""
    return [Published(spark, state, entry, known) for entry in state.newest(spark)]


def former_runs(spark: SparkSession, state: State, known: Places) -> list[Published]:
    """Runs by other names, or of other sources, than the newest: what they put aside is there."""
    return [Published(spark, state, entry, known) for entry in state.former(spark)]


def in_turn(published: Sequence[Published]) -> list[Published]:
    """The runs, each after those whose tables it reads.

    Raises
    ------
    TableError : two read each other's tables.
    """
    waiting, done = list(published), []
    while waiting:
        ready = [p for p in waiting if not any(p is not o and p.reads(o) for o in waiting)]
        if not ready:
            names = ", ".join(p.recipe.publish.table for p in waiting)
            raise TableError(f"these tables were made from each other, in a circle: {names}")
        done += ready
        waiting = [p for p in waiting if p not in ready]
    return done


@dataclass
class Trace:
    """What is to be forgotten, in every table.

    ``marks`` are on rows of tables, those of the request first; ``runs`` are in the order in which
    they read each other's tables, and ``reached`` are those of them that read a marked row.
    """

    runs: list[Published]
    marks: list[Marks]
    scratch: Scratch
    ties: bool
    tied: list[tuple[Published, DataFrame]] = field(default_factory=list)

    def follow(self) -> None:
        """Mark what came from marked rows, and what pruning took for the same, to the end.

        Raises
        ------
        TableError : rows lead to others without an end.
        """
        asked, before = list(self.marks), -1
        for number in range(MOST_PASSES):
            self.marks = [*asked, *[own for run in self.runs for own in self._tied_marks(run)]]
            for i, run in enumerate(self.runs):
                self._hit(run, f"{number}-{i}")
            total = sum(sum(run.counts.values()) for run in self.runs)
            if total == before or not self._leads_on():
                return
            before = total
        raise TableError(
            "rows that pruning took for the same lead to others from table to table without an "
            "end; write --ties promote"
        )

    @property
    def reached(self) -> list[Published]:
        """The runs that read a marked row."""
        return [run for run in self.runs if run.counts]

    def _leads_on(self) -> bool:
        """Whether rows that were tied to others may be rows of a source that was looked at before.

        What the run with the tie published is looked at after it in any case.
        """
        read = [place for run in self.runs for place in run.sources.values()]
        return any(
            sum(place.is_one_with(other) for other in read) > 1
            for run in self.runs
            if run.counts.get(TIED)
            for place in run.sources.values()
        ) or any(
            run is not other and run.shares_index(other)
            for run in self.reached
            for other in self.runs
        )

    def _hit(self, run: Published, name: str) -> None:
        """Find the run's rows that are marked or tied to such, and mark what it made of them."""
        found: list[DataFrame] = []
        if any(of_place(self.marks, place) for place in run.sources.values()):
            marked = [self._marked(run, source) for source in run.frames.pinned]
            found += [rows for rows in marked if rows is not None]
        tied = [keys for other, keys in self.tied if other is run or run.shares_index(other)]
        found += [_of_keys(run, keys) for keys in tied]
        run.hits, run.counts = None, {}
        if not found:
            return
        hits = self.scratch(_once(reduce(DataFrame.union, found)), f"hits-{name}")
        run.counts = _counted(hits)
        if run.counts and self.ties and run.recipe.prune:
            hits = self._with_tied(run, hits, name)
        if not run.counts:
            return
        run.hits = hits
        for source in run.frames.pinned:
            own = hits.where(F.col(SOURCE) == source.name)
            made = own.select(F.col(MADE).alias(HASH), REASON)
            for place in dict.fromkeys(run.places.values()):
                self.marks.append(Marks(place, run.made_identity(source), made))
        self.marks += self._tied_marks(run)

    def _tied_marks(self, run: Published) -> list[Marks]:
        """Marks on the rows that were tied to others, in their own tables."""
        if run.hits is None or not run.counts.get(TIED):
            return []
        tied = run.hits.where(F.col(REASON) == TIED)
        return [
            Marks(
                run.sources[source.name],
                own_identity(source),
                tied.where(F.col(SOURCE) == source.name).select(F.col(OWN).alias(HASH), REASON),
            )
            for source in run.frames.pinned
            if source.name in run.sources
        ]

    def _marked(self, run: Published, source: Pinned) -> DataFrame | None:
        """The rows of a source that are marked in its table; None where nothing of it is."""
        marks, found = of_place(self.marks, run.sources[source.name]), []
        for value, once in sought(source.df, marks, source.table):
            given = in_halves(once, F.col(REASON).alias(WHY))
            # Only of what is found, the other hashes are worked out.
            rows = source.df.join(given, is_marked(value))
            found.append(run.rows_of(source, rows, F.col(WHY)))
        return reduce(DataFrame.union, found) if found else None

    def _written(self, name: str, rows: DataFrame, what: str) -> DataFrame:
        return self.scratch(rows, f"{what}-{name}")

    def _with_tied(self, run: Published, hits: DataFrame, name: str) -> DataFrame:
        """The hits, and the rows of the run that pruning took for the same as one of them."""
        family = [run, *[o for o in self.runs if o is not run and run.shares_index(o)]]
        pairs = [pairs for other in family for pairs in other.matches()]
        if not pairs:
            return hits
        united = reduce(DataFrame.union, pairs)
        ends = united.select(F.explode(F.array("node", "to")).alias(KEY))
        if ends.join(hits.select(KEY), KEY, "left_semi").isEmpty():
            return hits
        few = sum(other.entry["plan"]["matches"] for other in family) <= AT_ONCE
        write = None if few else partial(self._written, name)
        known = writing(write)(components(united, "forget", write), "components")
        start = known.join(hits.select(F.col(KEY).alias("node")).distinct(), "node", "left_semi")
        same = known.join(start.select("to").distinct(), "to", "left_semi")
        keys = same.select(F.col("node").alias(KEY)).join(hits, KEY, "left_anti").distinct()
        if len(family) > 1:
            keys = self.scratch(keys, f"tied-{name}")
            self.tied.append((run, keys))
        more = _of_keys(run, keys)
        found = self.scratch(_once(hits.unionByName(more)), f"all-{name}")
        run.counts = _counted(found)
        return found


def _of_keys(run: Published, keys: DataFrame) -> DataFrame:
    """The rows of a run that have one of some keys, as hits that were tied."""
    given = in_halves(keys.withColumnRenamed(KEY, MARK))
    found = [
        run.rows_of(
            source, source.df.join(given, is_marked(source.key_hash), "left_semi"), F.lit(TIED)
        )
        for source in run.frames.pinned
    ]
    return reduce(DataFrame.union, found)


def _once(hits: DataFrame) -> DataFrame:
    """Each row once for each time that it is there, with the first of its reasons."""
    names = [SOURCE, KEY, OWN, MADE]
    return hits.groupBy(*map(column, names)).agg(F.min(REASON).alias(REASON))


def _counted(hits: DataFrame) -> dict[str, int]:
    return {row[REASON]: row["count"] for row in hits.groupBy(REASON).count().collect()}
