"""A recipe's frames over pinned sources, each lazy, each from the one before."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from lakebalance import __version__
from lakebalance.core.amounts import Measure, measure
from lakebalance.core.beside import Beside, each
from lakebalance.core.bins import Bins, find_bins
from lakebalance.core.clusters import Clusters, find_clusters
from lakebalance.core.components import Scratch
from lakebalance.core.confident_arrays import ConfidentLabels
from lakebalance.core.confident_labels import ConfidentLabel, said_of
from lakebalance.core.counts import Census, count_groups, group_id
from lakebalance.core.diagnostics import Diagnostic
from lakebalance.core.errors import TableError
from lakebalance.core.evaluation import EvaluationTable
from lakebalance.core.hashing import rehash
from lakebalance.core.registry import method_of
from lakebalance.core.sources import KEY, ROW_ID, SOURCE, Pinned, branches, pin, pin_one, unite
from lakebalance.core.split import PART, TRAIN, part_of
from lakebalance.expect.gate import Gate
from lakebalance.forgotten import Forgotten, Place, place_of
from lakebalance.indexes import Indexes
from lakebalance.ledger import state_of
from lakebalance.plans import Plan, PlannedGroup, run_id, with_new_rows
from lakebalance.recipe.embedded import embedded_rules
from lakebalance.recipe.models import Recipe
from lakebalance.recipe.outputs import BALANCED, Output, outputs_of
from lakebalance.released import Release, Released
from lakebalance.sample.cuts import find_cuts
from lakebalance.sample.order import FILE, PHASE, Cuts, Phase, Schedule, in_files, in_order
from lakebalance.sample.thresholds import GROUP, HASH, Share, Threshold, for_output


def shares_of(groups: Iterable[PlannedGroup], weighs: bool = False) -> dict[int, Share]:
    """What a sampler knows of each group; before thresholds are found, that it keeps no row.

    One that ``weighs`` knows what there is and what is wanted in the unit of the budget.
    """
    return {
        g.id: Share(
            *(g.shared if weighs else (g.available, g.target)),
            g.threshold or Threshold(0),
            g.group,
            g.source,
        )
        for g in groups
    }


@dataclass
class Frames:
    """What each stage works on.

    ``versions`` are those of an earlier plan, to read them again. ``clusters`` are the parts of
    classes that an earlier plan has, or that ``find_clusters`` found; ``said`` is what pruning had
    to say, ``said_of_gates`` what gates that measure had. ``scratch`` is where pruning may write
    what it needs on the way, a table for each name. ``forgetting`` are the requests whose rows an
    earlier run left out, ``releasing`` those whose repaired rows it read, in order; all that there
    are, if None. ``pending`` are repaired rows that no state knows yet. ``table_ids`` are those
    that the tables of an earlier plan had.
    """

    recipe: Recipe
    spark: SparkSession
    versions: Mapping[str, int | str] | None = None
    clusters: list[Clusters] = field(default_factory=list)
    said: list[Diagnostic] = field(default_factory=list)
    cuts: Cuts | None = None
    scratch: Scratch | None = None
    indexes: Indexes | None = None
    forgetting: Collection[str] | None = None
    said_of_gates: list[Diagnostic] = field(default_factory=list)
    releasing: Sequence[str] | None = None
    pending: Mapping[Release, DataFrame] = field(default_factory=dict)
    table_ids: Mapping[str, str | None] = field(default_factory=dict)

    @classmethod
    def of_run(
        cls, recipe: Recipe, spark: SparkSession, plan: Mapping[str, Any], besides: str = ""
    ) -> Frames:
        """What a run worked on, by its plan in the ledger.

        Parameters
        ----------
        recipe : the recipe that it had.
        spark : the session.
        plan : as ``Plan.summary`` makes it.
        besides : a request whose rows are not left out, though the run did so.
        """
        tables = [*plan["sources"], *plan.get("evaluation", [])]
        versions = {table["name"]: table["version"] for table in tables}
        clusters = [Clusters.from_dict(found) for found in plan.get("clusters", [])]
        left_out = [request for request in plan.get("forgotten", []) if request != besides]
        repaired = plan.get("released", [])
        return cls(
            recipe,
            spark,
            versions,
            clusters,
            forgetting=left_out,
            releasing=repaired,
            table_ids={table["name"]: table.get("table_id") for table in tables},
        )

    @cached_property
    def forgotten(self) -> Forgotten:
        """What is to be left out of the sources."""
        return Forgotten(state_of(self.recipe), self.spark, self.forgetting)

    @cached_property
    def released(self) -> Released:
        """What was repaired of the sources."""
        return Released(state_of(self.recipe), self.spark, self.releasing, self.pending)

    @cached_property
    def as_read(self) -> list[Pinned]:
        """The sources at their versions, without rows that are forgotten, and nothing repaired."""
        with Beside(self.spark) as beside:
            beside.start(lambda: self.forgotten.entries)
            beside.start(lambda: self.released.entries)
            found = pin(self.spark, self.recipe.sources, self.versions)
        return [self.forgotten.left_out(source) for source in found]

    @cached_property
    def pinned(self) -> list[Pinned]:
        """The sources at their versions, with rows that were repaired in their place.

        Raises
        ------
        TableError : a table was made anew since an earlier plan read it.
        """
        for name, table_id in self.table_ids.items():
            if (table_id or None) not in (None, self.places[name].table_id):
                raise TableError(
                    f"{name}: its table was made anew since that run read it, so that what it read "
                    "is not there any more; run the recipe again"
                )
        return [self.released.replaced(source) for source in self.as_read]

    @cached_property
    def places(self) -> dict[str, Place]:
        """Where the tables that are read lie, and the ids that Delta gave them, by their names."""
        read = {source.name: source for source in self.as_read}
        read |= {f"{place}.embeddings": target for place, target in self.targets.items()}
        read |= {table.name: table.pinned for table in self.evaluation}
        found = each(
            self.spark,
            read.values(),
            lambda own: place_of(self.spark, own.table, delta=isinstance(own.version, int)),
        )
        return dict(zip(read, found, strict=True))

    @cached_property
    def repairs(self) -> list[str]:
        """The requests that repaired rows of the sources, in order."""
        return self.released.requests(self._read)

    @cached_property
    def requests(self) -> list[str]:
        """The requests that rows are left out for."""
        return self.forgotten.requests(self._read)

    @property
    def _read(self) -> list[tuple[str, int | str]]:
        return [(source.table, source.version) for source in self.as_read]

    @cached_property
    def run_id(self) -> str:
        """The id of the run that these sources and this recipe make."""
        versions = {source.name: source.version for source in self.pinned}
        versions |= {f"{place}.embeddings": t.version for place, t in self.targets.items()}
        versions |= {table.name: table.pinned.version for table in self.evaluation}
        # A table that was made anew begins with version 0 again.
        versions |= {f"id of {name}": place.table_id for name, place in self.places.items()}
        versions |= {f"without {request}": 0 for request in self.requests}
        versions |= {f"repaired {request}": i for i, request in enumerate(self.repairs)}
        return run_id(self.recipe.hash, versions, __version__)

    def check_forgotten(self) -> None:
        """Raise where more is to be forgotten of the sources than when they were read.

        Raises
        ------
        TableError : it is; what was made of them must not stay.
        """
        now = Forgotten(self.forgotten.state, self.spark, self.forgetting)
        if now.version == self.forgotten.version:
            return
        if more := sorted(set(now.requests(self._read)) - set(self.requests)):
            raise TableError(
                f"rows of the sources were forgotten during this run (request {more[0]}), which "
                "had read them: run it again"
            )

    @cached_property
    def targets(self) -> dict[str, Pinned]:
        """The targets that rules compare embeddings with, pinned, by the rules' paths."""
        return {
            place: pin_one(self.spark, spec.target, f"{place}.embeddings.target")
            for place, spec in embedded_rules(self.recipe).items()
        }

    @cached_property
    def evaluation(self) -> list[EvaluationTable]:
        """The tables that a model is evaluated on, at their versions."""
        earlier = self.versions or {}
        specs = [(f"evaluation.{i}", spec) for i, spec in enumerate(self.recipe.evaluation)]
        return [
            EvaluationTable(
                place,
                pin_one(self.spark, spec, place, earlier.get(spec.name)),
                spec.columns,
                spec.contamination,
            )
            for place, spec in specs
        ]

    @cached_property
    def branches(self) -> list[DataFrame]:
        """Each source as a frame, with ``__lb_source`` and ``__lb_key``."""
        return branches(self.pinned)

    @cached_property
    def all_rows(self) -> DataFrame:
        """All sources as one frame."""
        return unite(self.branches)

    @cached_property
    def gate(self) -> Gate:
        """The recipe's expectations bound to the rows."""
        return Gate(self.branches, self.recipe.expectations("before"))

    @property
    def unique_keys(self) -> bool:
        """Whether every row has a key of its own, not one that equal rows share."""
        return all(source.key is not None for source in self.pinned)

    @cached_property
    def bins(self) -> list[Bins | ConfidentLabel | ConfidentLabels]:
        """The groups that the recipe makes of columns which have none of their own."""
        return [
            find_bins(self.branches, name, spec, f"allocate.bins.{name}")
            for name, spec in self.recipe.allocate.bins.items()
        ]

    @property
    def said_of_bins(self) -> list[Diagnostic]:
        """What there is to say of the groups that are made."""
        return said_of(bins for bins in self.bins if not isinstance(bins, Bins))

    @cached_property
    def measures(self) -> dict[str, Measure]:
        """How the units of budgets are counted, by their names."""
        return {
            b.unit: measure(self.branches[0], b.column, b.what, b.per_unit, f"{place}.budget.of")
            for place, own in self.recipe.rules.items()
            if (b := own.budget) is not None
        }

    @cached_property
    def outputs(self) -> list[Output]:
        """The tables that the recipe makes, the balanced one first."""
        return outputs_of(self.recipe)

    @property
    def by(self) -> list[str]:
        """The columns that rows are counted by: those of all rules, and the part."""
        return [*self.known_of(self.recipe.by), *([PART] if self.recipe.parts else [])]

    def known_of(self, by: Iterable[str]) -> list[str]:
        """The columns without those of clusters that are not found yet."""
        known = {clusters.name for clusters in self.clusters}
        return [n for n in by if n in known or n not in self.recipe.allocate.clusters]

    def binned(self, rows: DataFrame) -> DataFrame:
        """The rows with a column for each of ``bins`` and of the ``clusters`` that are found."""
        groups = {bins.name: bins.group(rows) for bins in self.bins}
        rows = rows.withColumns(groups) if groups else rows
        parts = {clusters.name: clusters.group(rows) for clusters in self.clusters}
        return rows.withColumns(parts) if parts else rows

    def find_clusters(self, rows: Sequence[DataFrame]) -> None:
        """Divide the classes of the rows that are not held out; ``clusters`` are what is found."""
        given, recipe = [self.for_training(frame) for frame in rows], self.recipe
        self.clusters = [
            find_clusters(given, name, spec, recipe.within(name), f"allocate.clusters.{name}")
            for name, spec in recipe.allocate.clusters.items()
        ]

    def grouped(self, rows: DataFrame) -> DataFrame:
        """The rows with all columns that they are counted by."""
        split = self.recipe.split
        if split is not None and split.parts:
            rows = rows.withColumn(PART, part_of(rows, split))
        return self.binned(rows)

    def for_training(self, rows: DataFrame) -> DataFrame:
        """The rows that are not held out, with a column for each of ``bins``."""
        if not self.recipe.parts:
            return self.binned(rows)
        return self.grouped(rows).where(F.col(PART) == TRAIN).drop(PART)

    def census(
        self,
        rows: Sequence[DataFrame],
        left: Column | None = None,
        sums: Mapping[str, Column] | None = None,
        span_of: Column | None = None,
    ) -> Census:
        """Rows per source and group of the recipe; see ``count_groups``."""
        names = [source.name for source in self.recipe.sources]
        grouped = [self.grouped(frame) for frame in rows]
        amounts = {unit: measured.steps for unit, measured in self.measures.items()}
        return count_groups(grouped, self.by, names, left, sums, span_of, amounts)

    def hashed(self, rows: DataFrame, output: Output) -> DataFrame:
        """The rows of an output's part with ``__lb_group`` and ``__lb_hash``.

        The hash decides about each row; another one for each output, so that one does not repeat
        what another has.
        """
        grouped = self.grouped(rows)
        if self.recipe.parts:
            grouped = grouped.where(F.col(PART) == output.part)
        group = group_id(grouped, self.by)
        hashed = grouped.select("*", group.alias(GROUP), self._chance(output).alias(HASH))
        made = [*[bins.name for bins in self.bins], *[found.name for found in self.clusters]]
        made += [PART] if self.recipe.parts else []
        return hashed.drop(*made) if made else hashed

    def hashed_for(self, rows: DataFrame, outputs: Sequence[Output]) -> DataFrame:
        """What thresholds of outputs of one part are found in: each row once for each of them.

        Columns ``__lb_group``, as ``for_output`` makes it, and ``__lb_hash``.
        """
        grouped = self.grouped(rows)
        if self.recipe.parts:
            grouped = grouped.where(F.col(PART) == outputs[0].part)
        numbered = grouped.select(KEY, group_id(grouped, self.by).alias(GROUP))
        entries = [
            F.struct(for_output(F.col(GROUP), i).alias(GROUP), self._chance(output).alias(HASH))
            for i, output in enumerate(outputs)
        ]
        return numbered.select(F.inline(F.array(*entries)))

    def _chance(self, output: Output) -> Column:
        """The hash that decides about each row of an output."""
        # Phases of one order share a hash: each goes on where the one before it stopped.
        alone = output.name != BALANCED and output.phase is None
        stage = f"sample {output.name}" if alone else "sample"
        return rehash(F.col(KEY), self.recipe.seed, stage)

    def sampled(self, rows: Sequence[DataFrame], plan: Plan, output: Output) -> DataFrame:
        """Exactly the planned rows of an output, as they are published."""
        return self.filed(rows, plan, output).drop(FILE)

    def filed(self, rows: Sequence[DataFrame], plan: Plan, output: Output) -> DataFrame:
        """The rows that ``sampled`` gives, those of an ordered output with their files' numbers."""
        if output.phase is not None:
            return self._ordered(rows, plan, output.phase)
        sampler = method_of("sample", output.sample)
        hashed = [self.hashed(frame, output) for frame in rows]
        shares = shares_of(plan.groups_of(output.name), sampler.weighs)
        given = [hashed, shares, output.sample]
        made: DataFrame = sampler.function(*given, *([plan.prepared] if sampler.prepare else []))
        return self.named(made)

    def again_in_files(self, rows: DataFrame, plan: Plan, output: Output) -> DataFrame:
        """What ``filed`` made, written and read again, in the order in which it was."""
        order = self.recipe.order
        if order is None or output.phase is None:
            return rows
        only = None if order.into == "one" else output.phase
        return in_files(rows, self.schedule(plan), order.position, only).drop(FILE)

    def schedule(self, plan: Plan) -> Schedule:
        """The phases of an ordered recipe, as planned."""
        order = self.recipe.order
        assert order is not None
        phases = []
        for output in self.outputs:
            if output.phase is not None:
                score = order.scores.get(output.name)
                phases.append(
                    Phase(
                        {g.id: g.target for g in plan.groups_of(output.name)},
                        None if score is None else score.column,
                        score is not None and score.direction == "descending",
                    )
                )
        return Schedule({g.id: g.available for g in plan.groups}, phases, order.rows_per_file)

    def find_cuts(self, rows: Sequence[DataFrame], plan: Plan) -> dict[str, dict[int, Threshold]]:
        """What becomes of each group's rows by the end of each phase, by its name."""
        schedule = self.schedule(plan)
        self.cuts = find_cuts(
            [self.hashed(frame, self.outputs[0]) for frame in rows], schedule.wanted()
        )
        names = [output.name for output in self.outputs if output.phase is not None]
        return dict(zip(names, schedule.thresholds(self.cuts), strict=True))

    def _ordered(self, rows: Sequence[DataFrame], plan: Plan, phase: int) -> DataFrame:
        order = self.recipe.order
        assert order is not None
        hashed = [self.hashed(frame, self.outputs[0]) for frame in rows]
        only = None if order.into == "one" else phase
        made = in_order(hashed, self.schedule(plan), order.position, self.cuts, only)
        if order.into == "each":
            return self.named(made.drop(PHASE))
        return self.named(made.withColumnRenamed(PHASE, order.phase))

    def prepared(self, rows: Sequence[DataFrame], plan: Plan) -> Plan:
        """The plan with what its sampler must find out in the rows before it samples."""
        sampler = method_of("sample", self.recipe.sample)
        if sampler.prepare is None:
            return plan
        hashed = [self.hashed(frame, self.outputs[0]) for frame in rows]
        found = sampler.prepare(hashed, shares_of(plan.groups), self.recipe.sample)
        said = [diagnostic.to_dict() for diagnostic in found.diagnostics]
        groups = plan.groups
        if (targets := found.targets) is not None:
            groups = [replace(group, target=targets.get(group.id, 0)) for group in groups]
        groups = with_new_rows(groups, found.made) if found.made else groups
        diagnostics = [*plan.diagnostics, *said]
        return replace(plan, groups=groups, prepared=found.state, diagnostics=diagnostics)

    def named(self, rows: DataFrame) -> DataFrame:
        """The rows with the source's name where the recipe wants it, and no column of ours."""
        rows = rows.drop(KEY, ROW_ID)
        if self.recipe.publish.source_column is None:
            return rows.drop(SOURCE)
        return rows.withColumnRenamed(SOURCE, self.recipe.publish.source_column)
