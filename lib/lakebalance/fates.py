"""Says why rows are in or out, from their keys, the plan and the matches; no per-row log exists."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pyspark.errors import ArithmeticException, DateTimeException, NumberFormatException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakebalance.core.columns import column, filtered, quoted
from lakebalance.core.conditions import check_of_the_row
from lakebalance.core.errors import RecipeError, TableError, first_line
from lakebalance.core.hashing import is_one_of, key_text
from lakebalance.core.readable import readable_rows
from lakebalance.core.registry import method_of
from lakebalance.core.sources import KEY, SOURCE, unite
from lakebalance.expect.gate import REASONS
from lakebalance.frames import Frames
from lakebalance.ledger import Ledger, state_of
from lakebalance.plans import PlannedGroup, json_group
from lakebalance.positions import CONTENT, contents_of, positions_of
from lakebalance.pruned_rows import MOST, Key, PrunedRows, key_of
from lakebalance.publish.state import State
from lakebalance.recipe.models import Recipe
from lakebalance.recipe.outputs import BALANCED, Output
from lakebalance.result import remembered_groups
from lakebalance.sample.thresholds import GROUP, HASH, Share, Threshold


def explain(
    recipe: Recipe, spark: SparkSession, where: str, limit: int = 20
) -> list[dict[str, Any]]:
    """The fate of the rows that a condition picks, in the newest run of a recipe.

    Parameters
    ----------
    recipe : the recipe that ran.
    spark : the session.
    where : Spark SQL condition over the sources' columns, such as a key.
    limit : at most so many rows, 1 to 1,000.

    Returns
    -------
    Per row: ``source``, ``key`` (its hash), ``row``, ``fate`` (``forgotten``, ``filtered``,
    ``quarantined``, ``duplicate``, ``near-duplicate``, ``semantic duplicate``, ``quoted``,
    ``contaminated``, ``leaked``, ``cleaned``, ``undersampled``, ``beyond the horizon``,
    ``not selected``, ``held out``, ``sampled out``, ``kept``), ``copies``, ``positions`` (of the
    copies in an ordered table, the first 100; null where the version that the run wrote is not
    there any more),
    ``children`` (synthetic rows of which it is the first parent, where there can be any),
    ``weight`` (where rows get one), the numbers that decided it, and the same for each phase in
    ``outputs``. A row that pruning dropped for another has that one in ``of``, a key hash, and
    ``of_row``; a duplicate or near-duplicate has its ``similarity`` to it, what made that one stay
    (``stayed_by``), of how many ``members`` of the cluster, and its source (``kept_source``). A
    contaminated one has the ``evaluation`` table, the ``test`` row's key hash, ``test_row``, and an
    ``ngram`` of both. A row that parts were taken out of has them in ``edited``; one that was
    repaired after a gate had set it aside has the request in ``released``, and ``row`` is as it was
    repaired.

    Raises
    ------
    TableError : the recipe has no run in its ledger, or no row is picked.
    RecipeError : the condition cannot be read.
    """
    if not 1 <= limit <= MOST:
        raise RecipeError(f"limit must be 1 to {MOST:,}; there was {limit}")
    inquiry = Inquiry(recipe, spark, where, limit)
    if not inquiry.picked:
        said = f"no row of the sources has: {where}"
        if inquiry.frames.requests:
            said += "; rows were forgotten, and may be deleted, by request " + ", ".join(
                inquiry.frames.requests
            )
        raise TableError(said)
    return [
        {"source": row.pop(SOURCE), "key": key_text(key), "row": row, **inquiry.fate(key)}
        for key, row in ((key, dict(row)) for key, row in inquiry.picked.items())
    ]


def key_condition(recipe: Recipe, key: str) -> str:
    """A condition for a key written ``a/b/c`` in the order of the recipe's key columns.

    Raises
    ------
    RecipeError : the sources have no key, different ones, or another number of columns.

    Examples
    --------
    >>> r = Recipe.model_validate({"name": "n", "publish": {"table": "a/b"},
    ...                            "sources": [{"name": "s", "table": "a/s", "key": ["id"]}]})
    >>> key_condition(r, "7")
    "`id` = '7'"
    """
    keys = {tuple(s.key) if isinstance(s.key, list) else () for s in recipe.sources}
    if len(keys) != 1 or not (names := next(iter(keys))):
        raise RecipeError("the sources have no key columns in common; use --where with a condition")
    values = key.split("/", len(names) - 1)
    if len(values) != len(names):
        raise RecipeError(f"the key has {len(names)} columns: write {'/'.join(names)}")
    texts = [value.replace("\\", "\\\\").replace("'", "\\'") for value in values]
    # Spark casts the text to the column's type, so that the scan can skip files by it.
    return " AND ".join(
        f"{quoted(name)} = '{text}'" for name, text in zip(names, texts, strict=True)
    )


@dataclass
class Inquiry:
    """The stages of one run, asked about a few rows."""

    recipe: Recipe
    spark: SparkSession
    where: str
    limit: int

    @cached_property
    def state(self) -> State:
        """Where the run is remembered."""
        return state_of(self.recipe)

    @cached_property
    def entry(self) -> Mapping[str, Any]:
        """The newest run in the ledger."""
        recipe, entry = self.recipe, Ledger(self.recipe, self.spark).newest()
        if entry["plan"]["recipe_hash"] != recipe.hash:
            raise TableError(
                f'the newest run of "{recipe.name}" ({entry["run_id"]}) was made by another text '
                "of this recipe; run it, or explain with the recipe that the ledger holds"
            )
        return entry

    @cached_property
    def frames(self) -> Frames:
        """The stages at the versions of that run."""
        return Frames.of_run(self.recipe, self.spark, self.entry["plan"])

    @cached_property
    def unfiltered(self) -> Frames:
        """The sources with rows that their filters take out, and those that are forgotten."""
        sources = [s.model_copy(update={"where": None}) for s in self.recipe.sources]
        recipe = self.recipe.model_copy(update={"sources": sources})
        repaired = self.frames.releasing
        read = self.frames
        return Frames(
            recipe,
            self.spark,
            read.versions,
            forgetting=[],
            releasing=repaired,
            table_ids=read.table_ids,
        )

    @cached_property
    def forgotten(self) -> dict[Key, list[str]]:
        """The requests by which picked rows are forgotten."""
        asked = self.frames.forgotten
        named = [own for s in self.unfiltered.pinned if (own := asked.asked_by(s)) is not None]
        return self._requests_of(named)

    @cached_property
    def released(self) -> dict[Key, list[str]]:
        """The requests by which picked rows were repaired."""
        asked = self.unfiltered.released
        named = [own for s in self.unfiltered.as_read if (own := asked.asked_by(s)) is not None]
        return self._requests_of(named)

    def _requests_of(self, named: Sequence[DataFrame]) -> dict[Key, list[str]]:
        found: dict[Key, list[str]] = {}
        for rows in named:
            of_picked = rows.where(is_one_of(KEY, self.picked)).distinct()
            for row in of_picked.orderBy("request").collect():
                found.setdefault(key_of(row[KEY]), []).append(row["request"])
        return found

    @cached_property
    def picked(self) -> dict[Key, dict[str, Any]]:
        """The rows asked about, filtered and forgotten ones too, in order of their keys."""
        said = "the condition cannot be used"
        check_of_the_row(self.where, said)
        rows = filtered(self.unfiltered.all_rows, self.where, said)
        try:
            found = readable_rows(rows.orderBy(KEY).limit(self.limit))
        except (ArithmeticException, NumberFormatException, DateTimeException) as error:
            raise RecipeError(f"{said}: {first_line(error)}") from error
        return {key_of(row[KEY]): {k: v for k, v in row.items() if k != KEY} for row in found}

    @cached_property
    def pruned(self) -> PrunedRows:
        """What pruning did to the picked rows."""
        if self.entry["result"].get("rolled_back"):
            self._has_matches()
        return PrunedRows(self.frames, self.state, self.entry["run_id"], self.picked)

    def _has_matches(self) -> None:
        """Raise where matches of a run that was taken back to were cleaned before."""
        name, run = self.recipe.name, self.entry["run_id"]
        for step, pruned in enumerate(self.entry["plan"]["pruned"]):
            found = self.state.read(self.spark, f"matches-{name}-{step}", run)
            if pruned["dropped"] and found.isEmpty():
                raise TableError(
                    f"what prune.{step} dropped in run {run} was cleaned before the tables were "
                    "taken back to it, so that nobody can say why rows went; run another recipe, "
                    "or this one with another seed"
                )

    def fate(self, key: Key) -> dict[str, Any]:
        """What became of one of the picked rows, and by which request it was repaired."""
        released = {"released": self.released[key]} if key in self.released else {}
        return self._fate(key) | released

    def _fate(self, key: Key) -> dict[str, Any]:
        if key in self.forgotten:
            return {"fate": "forgotten", "by": self.forgotten[key], "copies": 0}
        if key not in self.after_filter:
            where = {s.name: s.where for s in self.recipe.sources}
            return {"fate": "filtered", "by": where[self.picked[key][SOURCE]], "copies": 0}
        if key in self.reasons:
            return {"fate": "quarantined", "by": self.reasons[key], "copies": 0}
        if key in self.pruned.dropped_for:
            return {**self.pruned.fate(key), "copies": 0}
        return self._sampled(key)

    def _sampled(self, key: Key) -> dict[str, Any]:
        (first, *others) = [o for o in self.frames.outputs if o.name in self.after_filter[key]]
        fate = self._in_output(key, first)
        if first.held_out:
            fate |= {"fate": "held out", "part": first.part, "table": first.table}
        if others:
            fate["outputs"] = {output.name: self._in_output(key, output) for output in others}
        if key in self.pruned.edited:
            fate["edited"] = self.pruned.edited[key]
        return fate

    def _in_output(self, key: Key, output: Output) -> dict[str, Any]:
        """What became of a row in one of the tables."""
        group_id, value = self.after_filter[key][output.name]
        group = self.groups[output.name, group_id]
        assert group.threshold is not None
        method = method_of("sample", output.sample)
        fewest, most, deciding = (method.decided or _by_hash)(group.threshold, value)
        if output.phase:
            # A phase's threshold says what became of a row in it and in those before it.
            earlier = self.groups[self.frames.outputs[output.phase - 1].name, group_id].threshold
            assert earlier is not None
            least, before = earlier.copies(value)
            deciding |= {"seen_before": before}
            fewest, most = max(fewest - before, 0), most - least
        numbers: dict[str, Any] = {
            "hash": value,
            **deciding,
            "group": group.json_group,
            "available": group.available,
            "target": group.target,
        }
        if group.units is not None:
            numbers["units"] = group.units.to_dict()
        if most > fewest and output.phase is None:
            # Equal rows share a key: which of them are kept has no meaning, only how many.
            numbers["equal_rows_kept"] = group.threshold.at_last
        if not method.rows_out(group.available, group.target):
            fewest = most = 0
        if method.children_of is not None:
            state = self.entry["plan"]["prepared"]
            made = method.children_of(group.group, output.sample, state) if most else 0
            numbers["children"] = made
        elif group.synthetic:
            numbers["children"] = most - 1
            most = 1
        if most and method.put_out_as is not None:
            (rows,) = method.put_out_as(
                [group.group], output.sample, self.entry["plan"]["prepared"]
            )
            if len(rows) > 1:
                numbers["put_out_as"] = [json_group(values) for values in rows]
        if output.name == BALANCED and key in self.weighed:
            numbers |= self.weighed[key]
            most = numbers.pop("copies", most)
        if output.phase is not None:
            numbers["positions"] = self._positions_in(output, key) if most else []
        return {"fate": "kept" if most else "sampled out", "copies": most, **numbers}

    def _positions_in(self, output: Output, key: Key) -> list[int] | None:
        if self.positions is None:
            return None
        return self.positions.get((output.name, self.contents[key]), [])

    @cached_property
    def contents(self) -> dict[Key, Key]:
        """A hash of all that each picked row is published with."""
        rows = self.pruned.edit(self._of_picked(self.frames.all_rows))
        hashed = contents_of(rows, self.recipe).distinct()
        return {key_of(r[KEY]): key_of(r[CONTENT]) for r in hashed.collect()}

    @cached_property
    def positions(self) -> dict[tuple[str, Key], list[int]] | None:
        """Where the picked rows stand in the tables of an ordered run, by output and content."""
        ordered = [output for output in self.frames.outputs if output.phase is not None]
        wanted = set(self.contents.values())
        rows = self.frames.branches[0]
        return positions_of(self.spark, self.recipe, ordered, self.entry, self.where, rows, wanted)

    def _of_picked(self, df: DataFrame) -> DataFrame:
        # The condition stands beside the keys so that the scan can use it.
        return df.where(self.where).where(is_one_of(KEY, self.picked))

    @cached_property
    def after_filter(self) -> dict[Key, dict[str, tuple[int, int]]]:
        """Group and hash in each output, of the picked rows that the sources' filters let by."""
        rows = [
            self._of_picked(self.frames.hashed(self.frames.all_rows, output)).select(
                F.lit(output.name).alias("output"), KEY, GROUP, HASH
            )
            for output in self.frames.outputs
        ]
        found: dict[Key, dict[str, tuple[int, int]]] = {}
        # Equal rows share a key where it is their content: one line for each key is enough.
        for row in unite(rows).distinct().collect():
            found.setdefault(key_of(row[KEY]), {})[row["output"]] = (row[GROUP], row[HASH])
        return found

    @cached_property
    def reasons(self) -> dict[Key, list[str]]:
        """The expectations that each quarantined row failed."""
        if not self.entry["plan"]["quarantined"]:
            return {}
        bad = self._of_picked(self.frames.gate.quarantined())
        return {key_of(r[KEY]): r[REASONS] for r in bad.select(KEY, REASONS).distinct().collect()}

    @cached_property
    def weighed(self) -> dict[Key, dict[str, Any]]:
        """The weight, or the copies, that a sampler which weighs gives each kept row picked."""
        options = self.recipe.sample
        method = method_of("sample", options)
        kept = {
            key
            for key in self.after_filter.keys()
            - self.reasons.keys()
            - self.pruned.dropped_for.keys()
            if BALANCED in self.after_filter[key]
        }
        if not method.weighs or not kept:
            return {}
        hashed = self._of_picked(self.frames.hashed(self.frames.all_rows, self.frames.outputs[0]))
        shares = {
            id_: Share(*g.shared, Threshold(1))
            for (name, id_), g in self.groups.items()
            if name == BALANCED
        }
        given = hashed.where(is_one_of(KEY, kept))
        found = [self.entry["plan"]["prepared"]] if method.prepare else []
        made = method.function([given], shares, options, *found)
        name = options.column  # type: ignore[attr-defined]
        if name in made.columns and name not in given.columns:
            weights = made.select(KEY, column(name).alias("w")).distinct()
            return {key_of(r[KEY]): {"weight": r["w"]} for r in weights.collect()}
        # Equal rows may share a key: of some of them there can be a copy more than of others.
        equal = {key_of(r[KEY]): r["count"] for r in given.groupBy(KEY).count().collect()}
        copies = {key_of(r[KEY]): r["count"] for r in made.groupBy(KEY).count().collect()}
        return {key: {"copies": -(-copies.get(key, 0) // equal[key])} for key in kept}

    @cached_property
    def groups(self) -> dict[tuple[str, int], PlannedGroup]:
        """The plan's groups that the picked rows belong to, by output and id."""
        ids = {group for chances in self.after_filter.values() for group, _ in chances.values()}
        run = self.entry["run_id"]
        groups = remembered_groups(self.state, self.spark, self.recipe, run, ids)
        return {(output, group.id): group for output, own in groups.items() for group in own}


def _by_hash(threshold: Threshold, value: int) -> tuple[int, int, dict[str, Any]]:
    """What is decided about a row of a hash, and by which numbers."""
    numbers = {"threshold": threshold.last, "every_row": threshold.base}
    return *threshold.copies(value), numbers
