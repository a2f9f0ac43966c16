"""Finds the rows that are to be forgotten, and every table that they reached."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, reduce
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakebalance.core.beside import each
from lakebalance.core.columns import column
from lakebalance.core.errors import TableError
from lakebalance.core.progress import Progress
from lakebalance.core.sources import KEY, pin_one
from lakebalance.core.tables import Table, newest_version, read_delta
from lakebalance.erasure.asked import WHY, Asked, Picker
from lakebalance.erasure.leftovers import Leftover, leftovers
from lakebalance.erasure.marks import Marks, as_entries, count_found, of_place, own_identity, sought
from lakebalance.erasure.models import models_that_saw
from lakebalance.erasure.quarantined import set_aside
from lakebalance.erasure.trace import OWN, Published, Trace, former_runs, in_turn, newest_runs
from lakebalance.forgotten import HASH, MARK, REASON, Forgotten, Place, Places
from lakebalance.ledger import state_of
from lakebalance.publish.state import State
from lakebalance.recipe.models import Recipe
from lakebalance.recipe.sources import Source
from lakebalance.released import HASH as ORIGINAL
from lakebalance.released import Released
from lakebalance.scratch import ScratchTables


@dataclass
class Search:
    """One request: the rows that it names, and the tables that they reached."""

    recipe: Recipe
    spark: SparkSession
    asked: Asked
    show: Progress
    states: list[str]
    notes: list[str] = field(default_factory=list)
    left_before: dict[str, int] = field(default_factory=dict)
    suspects: list[dict[str, Any]] = field(default_factory=list)
    unfollowed: list[Published] = field(default_factory=list)
    unsearched: list[str] = field(default_factory=list)
    former: list[Published] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.state = state_of(self.recipe)
        text = json.dumps([self.recipe.publish.table, self.asked.fingerprint])
        self.request = hashlib.sha256(text.encode()).hexdigest()[:16]
        self.scratch = ScratchTables(self.state, self.spark, "forget", self.request)
        self.places = Places(self.spark)
        self.started = dt.datetime.now(dt.timezone.utc)

    def find(self) -> None:
        """Find the rows, and follow them into every table that runs made of them."""
        folders = dict.fromkeys([self.state.folder, *self.states])
        runs = [run for f in folders for run in newest_runs(self.spark, State(f), self.places)]
        target = self.recipe.publish.table
        roots = [run for run in runs if run.entry["target"] == target]
        if not roots:
            raise TableError(
                f"no run to {target} is in the ledger {self.state.table('ledger').name}, so that "
                "nobody can say where rows went; run the recipe first"
            )
        self.former = [r for f in folders for r in former_runs(self.spark, State(f), self.places)]
        self.show("looking for the rows")
        for run in runs:
            run.without = self.request
            self.notes += run.missing
        marks = self._listed(roots, runs) + self._known()
        self.trace = Trace(in_turn(runs), marks, self.scratch, self.asked.ties == "forget")
        self.show("following them from table to table")
        self.trace.follow()
        others = [run for run in runs if run.entry["target"] != target]
        self.unfollowed = [run for run in others if self._lost_sight(run)]
        self.notes += [
            f"run {run.run} to {run.entry['target']} read a version of {', '.join(run.gone)} that "
            "is not there any more: rows that it had then, and has no more, cannot be followed"
            for run in self.unfollowed
        ]

    def _lost_sight(self, run: Published) -> bool:
        """Whether a version that a run read is gone, of a table in which rows are marked."""
        read = run.sources.values()
        return any(of_place(self.trace.marks, place) for place in read) and bool(run.gone)

    def _listed(self, roots: Sequence[Published], runs: Sequence[Published]) -> list[Marks]:
        """Marks on the rows of the recipe's sources that are asked for, as read and as they are.

        On those too that gates set aside in any run.
        """
        picker, identities, found = Picker(self.spark, self.asked), [], []
        sources = _sources_of(roots)
        for i, (spec, _, read) in enumerate(sources):
            delta = spec.format == "delta"
            newest = newest_version(self.spark, Table(spec.table)) if delta else read[-1]
            for version in dict.fromkeys([newest, *read]):
                source = pin_one(self.spark, spec, f"sources.{i}", version)
                picked = picker.pick(source.df)
                # By the columns as they are now, where they are others than they were.
                identities += [own_identity(source)] if version == newest else []
                marked = identities[i].hash(picked, spec.table).alias(HASH)
                key = source.key_hash.alias(KEY)
                found.append(picked.select(F.lit(i).alias("source"), marked, F.col(WHY), key))
                if version == newest:
                    named = {"source": source.name}
                    self.suspects += [named | own for own in picker.suspects(source.df)]
        united = reduce(DataFrame.union, found).withColumnRenamed(WHY, REASON)
        listed = self.scratch(united.distinct(), "listed")
        self.keys = listed.select(F.col(KEY).alias(MARK))
        marks = [
            Marks(place, identities[i], listed.where(F.col("source") == i).select(HASH, REASON))
            for i, (_, place, _) in enumerate(sources)
        ]
        kept, unsearched = set_aside(
            self.spark, self.asked, marks, [*runs, *self.former], self.scratch
        )
        self.unsearched = list(unsearched)
        self.notes += [f"{table} cannot be searched: {why}" for table, why in unsearched.items()]
        marks += kept
        marks += [own for of in marks for own in self._repaired(of, picker)]
        return marks + [own for root in roots if root.gone for own in self._made(root, picker)]

    def _made(self, root: Published, picker: Picker) -> list[Marks]:
        """Marks on what is asked for in the tables of a run whose sources' versions are gone."""
        found, name = [], root.recipe.publish.source_column
        for output, table in root.tables.items():
            version = newest_version(self.spark, Table(table))
            assert version is not None
            rows = read_delta(self.spark, Table(table), version)
            for source in [own for own in root.frames.pinned if own.name in root.gone]:
                identity = root.made_identity(source)
                own = rows if name is None else rows.where(column(name) == source.name)
                marked = identity.hash(own, table).alias(HASH)
                picked = picker.pick(own.select("*", marked)).select(HASH, WHY)
                once = picked.withColumnRenamed(WHY, REASON).distinct()
                kept = self.scratch(once, f"made-{root.run}-{output}-{source.name}")
                found.append(Marks(root.places[output], identity, kept))
        return found

    def _repaired(self, marks: Marks, picker: Picker) -> list[Marks]:
        """Marks on rows that were repaired, and on their originals, where one of both is asked for.

        A row without a key is told by its values, and has others once it is repaired.
        """
        released, found = Released(self.state, self.spark), []
        for i, release in enumerate(released.of(marks.place)):
            rows = released.written(release)
            own = release.identity.hash(rows, release.place.location).alias(OWN)
            picked = picker.pick(rows.select("*", own))
            asked = picked.select(ORIGINAL, OWN, WHY)
            frames = [asked.withColumnRenamed(WHY, REASON)]
            if release.identity.text == marks.identity.text:
                once = marks.rows.withColumnRenamed(HASH, ORIGINAL)
                frames.append(rows.select(ORIGINAL, own).join(once, ORIGINAL))
            every = [
                frame.select(F.col(name).alias(HASH), REASON)
                for frame in frames
                for name in (ORIGINAL, OWN)
            ]
            united = reduce(DataFrame.union, every).distinct()
            kept = self.scratch(united, f"repaired-{i}")
            found.append(Marks(release.place, release.identity, kept))
        return found

    def _known(self) -> list[Marks]:
        """What an earlier try of the same request has marked."""
        known = Forgotten(self.state, self.spark, [self.request])
        return [
            Marks(
                entries.place,
                entries.identity,
                known.hashes([entries], entries.identity.text).select(
                    F.col("__lb_mark").alias(HASH), REASON
                ),
            )
            for entries in known.entries
        ]

    def seen(self, models: str | None) -> dict[str, Any]:
        """What is to be forgotten, in which tables."""
        self.show("counting them in every table")
        counted = self.counts([*self.published, *self.source_tables])
        self.left_before = self.left()
        return {
            "request": self.request,
            "asked": self.asked.fingerprint,
            "ties": self.asked.ties,
            "rows": self._by_reason(),
            "sources": [{"table": name, **counted[name]} for name in self.source_tables],
            "tables": [
                {"table": name, "output": output, "recipe": run.recipe.name, "run_id": run.run,
                 **counted[name]}
                for run in self.concerned
                for output, name in run.tables.items()
            ],
            "leftovers": [
                {"table": name, "marked": n} for name, n in self.left_before.items() if n
            ],
            "suspects": self.suspects,
            "models": []
            if models is None
            else models_that_saw(self.spark, models, self.trace.marks),
            "notes": self.notes,
        }  # fmt: skip

    @property
    def published(self) -> list[str]:
        """The names of the tables that the runs wrote, each once."""
        return list(dict.fromkeys(name for run in self.concerned for name in run.tables.values()))

    @property
    def source_tables(self) -> list[str]:
        """The names of the tables that hold marked rows and that no run wrote."""
        return self._sources(lambda run, place: bool(of_place(self.trace.marks, place)))

    @property
    def sources_with_old_files(self) -> list[str]:
        """Those that may have held such rows before: the recipe's own, too."""
        target = self.recipe.publish.table
        return self._sources(
            lambda run, place: (
                run.entry["target"] == target or bool(of_place(self.trace.marks, place))
            )
        )

    def _sources(self, wanted: Callable[[Published, Place], bool]) -> list[str]:
        """The names of tables that runs read and that no run wrote."""
        written = [place for run in self.trace.runs for place in run.places.values()]
        names: dict[Place, str] = {}  # each once, whatever recipes call it
        for run in self.trace.runs:
            for spec in run.recipe.sources:
                place = run.sources.get(spec.name)
                if place is None or spec.format != "delta":
                    continue
                ours = any(place.is_one_with(other) for other in written)
                if not ours and wanted(run, place):
                    names.setdefault(place, spec.table)
        return list(names.values())

    @cached_property
    def leftovers(self) -> list[Leftover]:
        """The tables beside those in which such rows may be."""
        former = [run for run in self.former if self._read_marked(run)]
        return leftovers(self.spark, [*self._near, *former], self.trace.marks, self.keys)

    def left(self) -> dict[str, int]:
        """How many rows are to be forgotten in each of them."""
        counts = each(self.spark, self.leftovers, lambda own: own.count())
        return {own.table.name: n for own, n in zip(self.leftovers, counts, strict=True)}

    def _by_reason(self) -> dict[str, int]:
        """How many rows of tables that no run wrote are to be forgotten, for which reason."""
        named = [own for name in self.source_tables for own in self.marks_of(name)]
        if not named:
            return {}
        once = as_entries(named)
        return {row[REASON]: row["count"] for row in once.groupBy(REASON).count().collect()}

    def counts(self, tables: Sequence[str]) -> dict[str, dict[str, int]]:
        """What ``count`` says of several tables, by their names."""
        names = list(dict.fromkeys(tables))
        return dict(zip(names, each(self.spark, names, self.count), strict=True))

    def count(self, table: str) -> dict[str, int]:
        """A table's newest version, its rows, and how many of them are to be forgotten."""
        version = newest_version(self.spark, Table(table))
        assert version is not None
        rows = read_delta(self.spark, Table(table), version)
        total, marked = count_found(rows, sought(rows, self.marks_of(table), table))
        return {"version": version, "rows": total, "marked": marked}

    def marks_of(self, table: str) -> list[Marks]:
        """The marks on rows of a table."""
        place = self.places.of(table)
        return [] if place is None else of_place(self.trace.marks, place)

    @property
    def _near(self) -> list[Published]:
        """The runs that may have read such rows in another version than the newest run did."""
        concerned = self.concerned
        return [
            run
            for run in self.trace.runs
            if any(run is own for own in concerned) or self._read_marked(run)
        ]

    def _read_marked(self, run: Published) -> bool:
        """Whether a run read a table in which rows are marked."""
        return any(of_place(self.trace.marks, place) for place in run.sources.values())

    @property
    def with_old_files(self) -> list[str]:
        """The tables of runs that may have had such rows before: theirs, and what was made of them.

        The recipe's own in any case, as rows may have gone from its sources since.
        """
        found: list[Published] = []
        near = self._near
        for run in self.trace.runs:  # each after those that it reads
            own = run.entry["target"] == self.recipe.publish.table
            if own or any(run is o for o in near) or any(run.reads(o) for o in found):
                found.append(run)
        return list(dict.fromkeys(name for run in found for name in run.tables.values()))

    @property
    def concerned(self) -> list[Published]:
        """The runs that read such rows, or whose tables an earlier try has marked."""
        return [
            run
            for run in self.trace.runs
            if run.counts or any(of_place(self.trace.marks, p) for p in run.places.values())
        ]


def _sources_of(roots: Sequence[Published]) -> list[tuple[Source, Place, list[Any]]]:
    """The sources of some runs without their filters, each once, with the versions read of it."""
    found: dict[str, tuple[Source, Place, list[Any]]] = {}
    for root in roots:
        for spec in root.recipe.sources:
            if spec.name not in root.sources:
                continue  # it is not there any more, which the run says of itself
            whole = spec.model_copy(update={"where": None, "version": None, "timestamp": None})
            own = found.setdefault(whole.model_dump_json(), (whole, root.sources[spec.name], []))
            own[2].append(root.versions[spec.name])
    return list(found.values())
