"""Releases rows from quarantine once they are repaired: later runs read them in their place."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from typing import Any

import pyarrow as pa
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakebalance.core.columns import column
from lakebalance.core.errors import LakebalanceError, RecipeError, TableError, first_line
from lakebalance.core.hashing import key_text_of
from lakebalance.core.identity import Identity
from lakebalance.core.progress import Progress
from lakebalance.core.sources import KEY, ROW_ID, Pinned
from lakebalance.core.tables import newest_version
from lakebalance.erasure.marks import own_identity
from lakebalance.expect.gate import REASONS
from lakebalance.forgotten import Places
from lakebalance.frames import Frames
from lakebalance.ledger import Ledger, state_of
from lakebalance.quarantine import MOST_REASONS
from lakebalance.recipe.models import Recipe
from lakebalance.released import CONTENT, HASH, RELEASED, Release, Released
from lakebalance.repair import KEY_TEXT, Repair, Repairer, as_source
from lakebalance.scratch import ScratchTables
from lakebalance.state_tables import QUARANTINE

INDEX = pa.schema(
    [("location", pa.string()), ("table_id", pa.string()), ("identity", pa.string()),
     ("content", pa.string()), ("rows", pa.int64()), ("released", pa.timestamp("us", "UTC"))]
)  # fmt: skip


def release(
    recipe: Recipe,
    spark: SparkSession,
    *,
    sets: Sequence[str] = (),
    where: str | None = None,
    table: str | None = None,
    run: str | None = None,
    dry_run: bool = True,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Put repaired rows in the place of those that a run set aside, for all runs to come.

    The sources stay as they are. Later runs of all recipes that share the state read the repaired
    row where the source has the original as it was; gates see it like any other row.

    Parameters
    ----------
    recipe : whose run set the rows aside.
    spark : the session.
    sets : texts ``column = SQL expression``, of the row alone.
    where : which rows are repaired: a condition over the quarantine's columns; all if left out.
    table : instead of ``sets``, a Delta table of rows that were repaired: ``lb_key`` as the
        quarantine has it, and the columns that are to change.
    run : the run, by its id or the beginning of it; the newest if left out.
    dry_run : say what would come of it, and change nothing.
    progress : called with the name of each stage.

    Returns
    -------
    ``request`` (its id), ``run_id``, ``rows``, ``sources`` (``source``, ``table``, ``rows``, and of
    these those ``corrected``, which the source itself has otherwise by now, and which count then),
    ``failing`` (rows that would be set aside again), ``expectations`` (which, and how many rows),
    ``dry_run``.

    Raises
    ------
    RecipeError : what is asked for cannot be read, or is not of the row.
    TableError : no such row is in quarantine.

    Examples
    --------
    >>> release(Recipe.load("r.yaml"), spark, sets=["x = abs(x)"])["failing"]  # doctest: +SKIP
    0
    """
    repair = Repair(tuple(sets), where, table)
    work = _Work(recipe, spark, repair, run, progress or (lambda _: None))
    try:
        said = work.found()
        if not dry_run:
            work.remember()
    except LakebalanceError:
        work.scratch.clear()
        raise
    except PySparkException as error:
        raise RecipeError(f"the rows cannot be repaired so: {first_line(error)}") from error
    work.scratch.clear()
    return {**said, "dry_run": dry_run}


@dataclass
class _Work:
    """One request to release rows."""

    recipe: Recipe
    spark: SparkSession
    repair: Repair
    asked_run: str | None
    show: Progress

    def __post_init__(self) -> None:
        self.state = state_of(self.recipe)
        self.repairer = Repairer(self.spark, self.repair)
        parts = [
            self.run,
            self.recipe.publish.table,
            self.repair.fingerprint(self.repairer.version),
        ]
        self.request = hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]
        self.scratch = ScratchTables(self.state, self.spark, "release", self.request)

    @cached_property
    def entry(self) -> Mapping[str, Any]:
        """The run in the ledger."""
        ledger = Ledger(self.recipe, self.spark)
        return ledger.newest() if self.asked_run is None else ledger.entry(self.asked_run)

    @property
    def run(self) -> str:
        return str(self.entry["run_id"])

    @cached_property
    def frames(self) -> Frames:
        """The sources as they are now, as the run read them otherwise."""
        return Frames(self.recipe, self.spark)

    @cached_property
    def earlier(self) -> Frames:
        """The sources as the run read them."""
        return Frames.of_run(self.recipe, self.spark, self.entry["plan"])

    @cached_property
    def aside(self) -> DataFrame:
        """The rows in quarantine."""
        name = QUARANTINE + str(self.entry["name"])
        if newest_version(self.spark, self.state.table(name)) is None:
            raise TableError(f"run {self.run} set no row aside: there is no {name}")
        rows = self.state.read(self.spark, name, self.run)
        if KEY_TEXT not in rows.columns:
            raise TableError(
                f"the rows that run {self.run} set aside have no {KEY_TEXT}, as an older version "
                "of lakebalance wrote them; run the recipe again"
            )
        return rows

    @cached_property
    def by_source(self) -> list[tuple[Pinned, Release, DataFrame]]:
        """Each source as it is now, and its repaired rows as they are to be remembered."""
        self.show("repairing the rows")
        picked = self.repairer.picked(self.aside)
        if unknown := self.repairer.unknown(self.aside):
            raise TableError(
                f"--table {self.repair.table}: no row in quarantine of run {self.run} has "
                f"{KEY_TEXT} {', '.join(unknown)}"
            )
        places, found = Places(self.spark), []
        for spec, source in zip(self.recipe.sources, self.frames.as_read, strict=True):
            self.repairer.check_columns(source)
            place = places.of(source.table, delta=isinstance(source.version, int))
            assert place is not None
            content = Identity.of(source.df, [field.name for field in source.columns])
            made = Release(self.request, place, own_identity(source), content)
            own = as_source(picked.where(F.col("lb_source") == source.name), source)
            rows = self._repaired(own, source, made, spec.nan_as_null)
            found.append((source, made, self.scratch(rows, f"rows-{source.name}")))
        return found

    @cached_property
    def pending(self) -> dict[Release, DataFrame]:
        """The repaired rows of each table: several sources may be of one."""
        found: dict[Release, DataFrame] = {}
        for _, made, rows in self.by_source:
            found[made] = found[made].unionByName(rows) if made in found else rows
        return found

    def _repaired(
        self, own: DataFrame, source: Pinned, made: Release, nan_as_null: bool
    ) -> DataFrame:
        """Hashes of the originals, and their columns, repaired; each once."""
        names = made.content.names
        rows = self.repairer.with_given(own)
        values = self.repairer.repaired(rows, source, nan_as_null)
        hashes = [
            made.identity.hash(own, source.table).alias(HASH),
            made.content.hash(own, source.table).alias(CONTENT),
        ]
        hashed = rows.select(*hashes, *values)
        if source.key and source.key != [ROW_ID]:
            self._check_keys(hashed, made, source)
        # A row that was repaired before is in the source as it was before that.
        hashed = self._as_first_read(hashed, source, made)
        # Rows of one hash are equal, and repaired alike: any of them is the same.
        once = hashed.groupBy(HASH, CONTENT)
        return once.agg(*[F.first(column(name)).alias(name) for name in names])

    def _check_keys(self, hashed: DataFrame, made: Release, source: Pinned) -> None:
        """Raise where a repaired row has the key of another one."""
        if self.repair.table is None:
            return
        own = made.identity.hash(hashed, source.table)
        moved = hashed.where(own != F.col(HASH)).count()
        if moved:
            raise RecipeError(
                f"--table: {moved:,} rows have other values than the quarantine in the key columns "
                f'of source "{source.name}", {", ".join(source.key or [])}: they would be other '
                "rows; repair these in the source"
            )

    def _as_first_read(self, hashed: DataFrame, source: Pinned, made: Release) -> DataFrame:
        plan = self.entry["plan"]
        before = [
            release
            for release in self.earlier.released.named(source.table, source.version)
            if release.table == made.table
        ]
        if not plan.get("released") or not before:
            return hashed
        rows = self.earlier.released.rows(before)
        known = rows.select(
            made.identity.hash(rows, source.table).alias("__lb_h"),
            made.content.hash(rows, source.table).alias("__lb_c"),
            F.col(HASH).alias("__lb_first_h"),
            F.col(CONTENT).alias("__lb_first_c"),
        )
        same = (F.col(HASH) == F.col("__lb_h")) & (F.col(CONTENT) == F.col("__lb_c"))
        joined = hashed.join(known, same, "left")
        return joined.select(
            F.coalesce("__lb_first_h", HASH).alias(HASH),
            F.coalesce("__lb_first_c", CONTENT).alias(CONTENT),
            *map(column, made.content.names),
        )

    def found(self) -> dict[str, Any]:
        """What the rows become in the next run."""
        # Each as often as it was set aside: those without a key may be there several times.
        times = self.repairer.picked(self.aside).groupBy("lb_source").count().collect()
        rows_of = {row["lb_source"]: row["count"] for row in times}
        counts = [rows_of.get(source.name, 0) for source, *_ in self.by_source]
        if not sum(counts):
            if self.repair.table is not None:
                raise TableError(f"--table {self.repair.table}: it has no row")
            said = f" with: {self.repair.where}" if self.repair.where else ""
            raise TableError(f"run {self.run} has no row in quarantine{said}")
        self.show("asking the gates")
        frames = Frames(self.recipe, self.spark, pending=self.pending)
        sources = []
        for (source, made, rows), count in zip(self.by_source, counts, strict=True):
            if count:
                alone = Released(self.state, self.spark, [], {made: rows})
                named: dict[str, Any] = {"source": source.name, "table": source.table}
                corrected = alone.corrected(source)
                sources.append({**named, "rows": count, "corrected": corrected})
        expectations, failing = self._failing(frames)
        return {
            "request": self.request,
            "run_id": self.run,
            "rows": sum(counts),
            "sources": sources,
            "failing": failing,
            "expectations": expectations,
        }

    def _failing(self, frames: Frames) -> tuple[list[dict[str, Any]], int]:
        """Which expectations the repaired rows fail, among all rows of the next run."""
        if not frames.gate.setting_aside:
            return [], 0
        named = [own for s in frames.as_read if (own := frames.released.asked_by(s)) is not None]
        keys = reduce(DataFrame.union, named).where(F.col("request") == self.request)
        bad = frames.gate.quarantined().select(KEY, REASONS)
        bad = bad.join(keys.select(KEY).distinct(), KEY, "left_semi")
        found = self.scratch(bad.select(key_text_of(F.col(KEY)).alias("key"), REASONS), "failing")
        reasons = found.select(F.explode(REASONS).alias("reason")).groupBy("reason").count()
        rows = reasons.orderBy(F.col("count").desc(), "reason").limit(MOST_REASONS).collect()
        said = [{"expectation": row["reason"], "rows": row["count"]} for row in rows]
        return said, found.count() if said else 0

    def remember(self) -> None:
        """Write down the repaired rows: from now on, runs read them."""
        self.show("remembering the repaired rows")
        now, lines = dt.datetime.now(dt.timezone.utc), []
        for release, rows in self.pending.items():
            if count := rows.count():
                self.state.write(rows, release.table, self.request)
                place, told = release.place, (release.identity.text, release.content.text)
                line = (place.location, place.table_id, *told, count, now)
                lines.append(dict(zip(INDEX.names, line, strict=True)))
        # The index is last: whoever sees a request in it can rely on its rows.
        index = self.spark.createDataFrame(pa.Table.from_pylist(lines, schema=INDEX))
        self.state.write(index, RELEASED, self.request)
