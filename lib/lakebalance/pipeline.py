"""Strings the stages together; the only module that knows all of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakebalance import __version__
from lakebalance.allocate.nest import Available, allocate
from lakebalance.core.columns import column, require
from lakebalance.core.counts import count_groups, group_id
from lakebalance.core.errors import AuditError, GateError, RecipeError, TableError
from lakebalance.core.hashing import hash64
from lakebalance.core.registry import function_of
from lakebalance.core.sources import KEY, SOURCE, Pinned, pin, unite
from lakebalance.core.tables import Table
from lakebalance.expect.gate import REASONS, Gate
from lakebalance.plan import Plan, PlannedGroup, PlannedSource, json_value, run_id
from lakebalance.prune.matches import remove
from lakebalance.publish.state import State
from lakebalance.publish.transaction import Layout, published_version, restore, write
from lakebalance.recipe.models import Recipe
from lakebalance.sample.thresholds import GROUP, HASH

Progress = Callable[[str], None]


@dataclass
class Stages:
    """A recipe's frames over pinned sources, each lazy, each from the one before."""

    recipe: Recipe
    spark: SparkSession
    versions: Mapping[str, int | str] | None = None
    timings: list[dict[str, Any]] = field(default_factory=list)

    @cached_property
    def pinned(self) -> list[Pinned]:
        """The sources at their versions."""
        return pin(self.spark, self.recipe.sources, dict(self.versions or {}))

    @cached_property
    def run_id(self) -> str:
        """The id of the run that these sources and this recipe make."""
        versions = {source.name: source.version for source in self.pinned}
        return run_id(self.recipe.hash, versions, __version__)

    @cached_property
    def all_rows(self) -> DataFrame:
        """All sources as one frame."""
        return unite(self.pinned)

    @cached_property
    def gate(self) -> Gate:
        """The recipe's expectations bound to the rows."""
        return Gate(self.all_rows, self.recipe.expect.expectations)

    def pruned(self, rows: DataFrame, found: Callable[[int, DataFrame], DataFrame]) -> DataFrame:
        """The rows that no pruning method drops; ``found`` may keep the matches of each."""
        unique = all(source.key is not None for source in self.pinned)
        for i, options in enumerate(self.recipe.prune):
            matches = function_of("prune", options)(rows, options, [KEY], f"prune.{i}")
            rows = remove(rows, found(i, matches), unique)
        return rows

    def counted(self, rows: DataFrame, source_rows: Mapping[str, int]) -> Plan:
        """The plan for the rows that are left after gates and pruning."""
        recipe = self.recipe
        counts = count_groups(rows, recipe.allocate.by, [s.name for s in recipe.sources])
        if not counts:
            raise TableError("no rows are left to balance after filters, gates and pruning")
        available = [Available(c.source, c.values, c.rows) for c in counts]
        try:
            allocated = allocate(
                available, recipe.allocate.rows, recipe.allocate.mix, recipe.allocate.balance
            )
        except RecipeError as error:
            raise RecipeError(f"allocate: {error}") from error
        return Plan(
            recipe.name,
            self.run_id,
            recipe.hash,
            [PlannedSource(s.name, s.table, s.version, source_rows[s.name]) for s in self.pinned],
            [
                PlannedGroup(c.id, c.source, c.values, c.rows, a.target)
                for c, a in zip(counts, allocated, strict=True)
            ],
            warnings=self._warnings(source_rows),
        )

    def source_rows(self) -> dict[str, int]:
        """Rows per source after its filter; sources without rows are there with 0."""
        rows = dict.fromkeys((s.name for s in self.pinned), 0)
        rows |= {r[SOURCE]: r["count"] for r in self.all_rows.groupBy(SOURCE).count().collect()}
        if not any(rows.values()):
            raise TableError("sources: none of them has a row" + (
                " after its where" if any(s.where for s in self.recipe.sources) else ""))
        return rows

    def sampled(self, rows: DataFrame, plan: Plan) -> DataFrame:
        """Exactly the planned rows, as they are published."""
        recipe = self.recipe
        layout = recipe.publish
        wanted = {g.id: (g.available, g.target) for g in plan.groups}
        keyed = rows.withColumn(GROUP, group_id(rows, recipe.allocate.by)).withColumn(
            HASH, hash64(rows, [KEY], recipe.seed, "sample")
        )
        output: DataFrame = function_of("sample", recipe.sample)(
            keyed.drop(KEY), wanted, recipe.sample
        )
        if layout.source_column is None:
            return output.drop(SOURCE)
        if layout.source_column in output.columns:
            raise RecipeError(
                f'publish.source_column: the sources have a column "{layout.source_column}"'
            )
        return output.withColumnRenamed(SOURCE, layout.source_column)

    def check_keys(self) -> None:
        """Raise where rows of a source share a key that was said to be unique."""
        for i, source in enumerate(self.pinned):
            if source.key is None:
                continue
            keys = [column(name) for name in source.key]
            repeated = source.df.groupBy(*keys).count().where("count > 1")
            examples = repeated.orderBy(F.col("count").desc(), *keys).limit(3).collect()
            if examples:
                total = repeated.count()
                shown = "; ".join(
                    "/".join(str(v) for v in row[:-1]) + f" ({row[-1]} rows)" for row in examples
                )
                raise TableError(
                    f"sources.{i}.key: {source.key} is not unique: {total:,} values stand in more "
                    f"than one row, such as {shown}; add a column, or leave out key"
                )

    def _warnings(self, source_rows: Mapping[str, int]) -> list[dict[str, str]]:
        return [
            {"code": "empty_source", "message": f'source "{name}" has no rows'}
            for name, rows in source_rows.items() if rows == 0
        ]

    @contextmanager
    def stage(self, name: str, progress: Progress | None) -> Iterator[dict[str, Any]]:
        """Time a stage; the caller fills in its row counts."""
        if progress:
            progress(name)
        start = time.monotonic()
        entry: dict[str, Any] = {"name": name, "rows_in": None, "rows_out": None}
        yield entry
        entry["seconds"] = round(time.monotonic() - start, 3)
        self.timings.append(entry)


def plan(recipe: Recipe, spark: SparkSession, progress: Progress | None = None) -> Plan:
    """Say what a run would make, per source and group; writes nothing.

    Parameters
    ----------
    recipe : what to make.
    spark : a session, classic or Connect; used as it is.
    progress : called with the name of each stage as it starts.

    Returns
    -------
    The plan: sources at their versions, rows available and targeted per group.

    Raises
    ------
    LakebalanceError : see its subclasses; the message says what to change.
    """
    return _planned(Stages(recipe, spark), progress, lambda _, matches: matches)[0]


def _planned(
    stages: Stages, progress: Progress | None, found: Callable[[int, DataFrame], DataFrame]
) -> tuple[Plan, DataFrame]:
    with stages.stage("read", progress) as entry:
        source_rows = stages.source_rows()
        entry["rows_out"] = sum(source_rows.values())
        _check_columns(stages)
    with stages.stage("expect", progress) as entry:
        verdicts = stages.gate.verdicts()
        passed, _ = stages.gate.split()
        entry["rows_in"] = sum(source_rows.values())
        entry["rows_out"] = entry["rows_in"] - stages.gate.quarantined
        stopping = [v for v in verdicts if v.on_fail == "stop" and not v.success]
        if stopping:
            raise GateError("; ".join(
                f"{v.expectation} failed" + (f" on {v.unexpected:,} rows" if v.unexpected else "")
                for v in stopping))
    with stages.stage("prune and count", progress) as counting:
        left = stages.pruned(passed, found)
        counted = stages.counted(left, source_rows)
        counting["rows_in"] = entry["rows_out"]
        counting["rows_out"] = sum(g.available for g in counted.groups)
    warned = [
        {"code": "expectation", "message": f"{v.expectation} failed on {v.unexpected} rows"}
        for v in verdicts if v.on_fail == "warn" and not v.success
    ]
    return Plan(
        counted.name, counted.run_id, counted.recipe_hash, counted.sources, counted.groups,
        verdicts, stages.gate.quarantined, counting["rows_in"] - counting["rows_out"],
        counted.warnings + warned,
    ), left


def _check_columns(stages: Stages) -> None:
    publish = stages.recipe.publish
    require(stages.all_rows, stages.recipe.allocate.by, "allocate.balance.by")
    output = stages.all_rows
    if publish.source_column:
        output = output.withColumn(publish.source_column, F.lit(""))
    require(output, publish.partition_by, "publish.partition_by")
    require(output, publish.cluster_by, "publish.cluster_by")


@dataclass(frozen=True)
class Result:
    """A finished run: its plan, what was published and found there, and what each stage took."""

    plan: Plan
    table: str
    version: int
    published: list[dict[str, Any]]
    stages: list[dict[str, Any]]
    paths: dict[str, str]
    repeated: bool = False

    def to_dict(self) -> dict[str, Any]:
        """The result as ``run --json`` prints it."""
        return {
            **self.plan.to_dict(),
            "output": {"table": self.table, "version": self.version, "rows": self.plan.rows},
            "published": self.published,
            "stages": self.stages,
            "paths": self.paths,
            "repeated": self.repeated,
        }

    def _repr_html_(self) -> str:
        return self.plan._repr_html_()


def run(recipe: Recipe, spark: SparkSession, progress: Progress | None = None) -> Result:
    """Make exactly what the plan says and publish it in one Delta transaction.

    Running a finished run again finds its commit and changes nothing.

    Parameters
    ----------
    recipe : what to make.
    spark : a session, classic or Connect; used as it is.
    progress : called with the name of each stage as it starts.

    Raises
    ------
    LakebalanceError : nothing was published; the target is as before.
    """
    stages = Stages(recipe, spark)
    target = Table(recipe.publish.table)
    state = State.beside(target.name, recipe.publish.state)
    done = published_version(spark, target, stages.run_id)
    with stages.stage("check keys", progress):
        stages.check_keys()

    def kept(i: int, matches: DataFrame) -> DataFrame:
        # Written once, so that counting, thresholds and output all see the same matches.
        return state.write(matches, f"matches-{recipe.name}-{i}", stages.run_id)

    def found_before(i: int, matches: DataFrame) -> DataFrame:
        return matches

    planned, left = _planned(stages, progress, kept if done is None else found_before)
    if done is None:
        with stages.stage("sample and publish", progress) as entry:
            if planned.quarantined:
                _, bad = stages.gate.split()
                bad = bad.drop(KEY).withColumnsRenamed({SOURCE: "lb_source", REASONS: "lb_reasons"})
                state.write(bad, f"quarantine-{recipe.name}", stages.run_id)
            layout = Layout(
                recipe.publish.partition_by, recipe.publish.cluster_by, recipe.publish.merge_schema
            )
            output = stages.sampled(left, planned)
            version, before = write(output, target, stages.run_id, layout)
            entry["rows_in"], entry["rows_out"] = sum(g.available for g in planned.groups), None
    else:
        version, before = done, None
    with stages.stage("audit", progress) as audit:
        published = _published(recipe, spark, planned, version)
        audit["rows_in"] = audit["rows_out"] = sum(p["found"] for p in published)
        wrong = [p for p in published if p["planned"] != p["found"]]
        if wrong:
            if done is None:
                restore(spark, target, before)
            raise AuditError(
                f"{len(wrong)} groups differ from the plan, such as {wrong[0]}; {target.name} was "
                "taken back to the version before"
            )
    for entry in stages.timings:
        if entry["name"] == "sample and publish":
            entry["rows_out"] = audit["rows_out"]
    result = Result(
        planned, target.name, version, published, stages.timings,
        {"output": target.name, "ledger": state.table("ledger").name}
        | ({"quarantine": state.table(f"quarantine-{recipe.name}").name}
           if planned.quarantined else {})
        | {f"matches {i}": state.table(f"matches-{recipe.name}-{i}").name
           for i in range(len(recipe.prune))},
        repeated=done is not None,
    )
    state.record(spark, {
        "run_id": planned.run_id, "name": recipe.name, "target": target.name, "version": version,
        "rows": planned.rows, "plan": planned.to_dict(), "recipe": recipe.to_yaml(),
        "result": {"stages": stages.timings, "published": published},
    })
    return result


def _published(
    recipe: Recipe, spark: SparkSession, planned: Plan, version: int
) -> list[dict[str, Any]]:
    """Planned and found rows per group, counted in what was written."""
    from lakebalance.core.tables import read_delta

    by = recipe.allocate.by
    written = read_delta(spark, Table(recipe.publish.table), version)
    name = recipe.publish.source_column
    sources = [s.name for s in recipe.sources] if name else [""]
    tagged = written.withColumn(SOURCE, column(name) if name else F.lit(""))
    found = {
        (c.source, repr(c.values)): c for c in count_groups(tagged, by, sources)
    }
    weighing = recipe.sample.method == "weight"  # type: ignore[attr-defined]
    merged: dict[tuple[str, str], dict[str, Any]] = {}
    for g in planned.groups:
        key = (g.source if name else "", repr(g.group))
        entry = merged.setdefault(key, {
            "source": g.source if name else None,
            "group": {k: json_value(v) for k, v in g.group.items()},
            "planned": 0,
            "found": found[key].rows if key in found else 0,
        })
        entry["planned"] += (g.available if g.target else 0) if weighing else g.target
    for key in found.keys() - merged.keys():
        merged[key] = {"source": key[0], "group": found[key].values, "planned": 0,
                       "found": found[key].rows}
    return list(merged.values())
