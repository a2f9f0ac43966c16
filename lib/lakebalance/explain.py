"""Says why a row is in or out, from its key, the plan and the matches; reads no per-row log."""

from __future__ import annotations

from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakebalance.core.columns import require
from lakebalance.core.counts import group_id
from lakebalance.core.errors import RecipeError, TableError
from lakebalance.core.hashing import hash64
from lakebalance.core.sources import KEY, SOURCE
from lakebalance.expect.gate import REASONS
from lakebalance.pipeline import Stages
from lakebalance.publish.state import State
from lakebalance.recipe.models import Recipe
from lakebalance.sample.thresholds import GROUP, HASH, find_thresholds


def explain(recipe: Recipe, spark: SparkSession, where: str, limit: int = 20) -> list[dict[str, Any]]:
    """The fate of the rows that a condition picks, in the newest run of a recipe.

    Parameters
    ----------
    recipe : the recipe that ran.
    spark : the session.
    where : Spark SQL condition over the sources' columns, such as a key.
    limit : at most so many rows.

    Returns
    -------
    Per row: ``source``, ``key`` (hash), ``row`` (its key columns), ``fate`` (``quarantined``,
    ``duplicate``, ``sampled out``, ``kept``) and the numbers that decided it.

    Raises
    ------
    TableError : the recipe has no run in its ledger, or no row is picked.
    """
    stages = Stages(recipe, spark)
    entry = _ledger_entry(recipe, spark)
    import json

    plan = json.loads(entry["plan"])
    stages.versions = {s["name"]: s["version"] for s in plan["sources"]}
    picked = _picked(stages.all_rows, where, limit)
    if not picked:
        raise TableError(f"no row of the sources (after their where) has: {where}")
    _, quarantined = stages.gate.split()
    reasons = {
        r[KEY]: r[REASONS] for r in _of(quarantined, picked).select(KEY, REASONS).collect()
    }
    state = State.beside(recipe.publish.table, recipe.publish.state)
    passed, _ = stages.gate.split()
    kept_instead: dict[int, int] = {}

    def remembered(i: int, _: DataFrame) -> DataFrame:
        matches = state.read(spark, f"matches-{recipe.name}-{i}", entry["run_id"])
        for r in matches.where(F.col("dropped").isin(list(picked))).collect():
            if r["dropped"] != r["kept"]:
                kept_instead.setdefault(r["dropped"], r["kept"])
        return matches

    left = stages.pruned(passed, remembered)
    sampled = _sampled(stages, left, picked)
    fates = []
    for key, row in picked.items():
        fate: dict[str, Any] = {"source": row.pop(SOURCE), "key": key, "row": row}
        if key in reasons:
            fate |= {"fate": "quarantined", "by": reasons[key]}
        elif key in kept_instead:
            fate |= {"fate": "duplicate", "of": kept_instead[key]}
        else:
            fate |= sampled[key]
        fates.append(fate)
    return fates


def _ledger_entry(recipe: Recipe, spark: SparkSession) -> Any:
    state = State.beside(recipe.publish.table, recipe.publish.state)
    runs = state.runs(spark)
    found = [] if runs is None else runs.where(
        (F.col("name") == recipe.name) & (F.col("target") == recipe.publish.table)
    ).limit(1).collect()
    if not found:
        raise TableError(
            f'no run of "{recipe.name}" to {recipe.publish.table} is in the ledger '
            f"{state.table('ledger').name}; run the recipe first"
        )
    return found[0]


def key_condition(recipe: Recipe, key: str) -> str:
    """A condition for a key written ``a/b/c`` in the order of the recipe's key columns.

    Raises
    ------
    RecipeError : the sources have no key, different ones, or another number of columns.
    """
    keys = {tuple(source.key or ()) for source in recipe.sources}
    if len(keys) != 1 or not (names := next(iter(keys))):
        raise RecipeError("the sources have no key in common; use --where with a condition")
    values = key.split("/", len(names) - 1)
    if len(values) != len(names):
        raise RecipeError(f"the key has {len(names)} columns: write {'/'.join(names)}")
    quoted = [value.replace("\\", "\\\\").replace("'", "\\'") for value in values]
    return " AND ".join(
        f"cast(`{n.replace('`', '``')}` AS string) = '{v}'"
        for n, v in zip(names, quoted, strict=True)
    )


def _picked(df: DataFrame, where: str, limit: int) -> dict[int, dict[str, Any]]:
    rows = df.where(where).orderBy(KEY).limit(limit).collect()
    return {
        row[KEY]: {k: v if isinstance(v, (str, int, float, bool, type(None))) else str(v)
                   for k, v in row.asDict().items() if k != KEY}
        for row in rows
    }


def _of(df: DataFrame, picked: dict[int, dict[str, Any]]) -> DataFrame:
    return df.where(F.col(KEY).isin(list(picked)))


def _sampled(
    stages: Stages, left: DataFrame, picked: dict[int, dict[str, Any]]
) -> dict[int, dict[str, Any]]:
    recipe = stages.recipe
    by = recipe.allocate.by
    require(left, by, "allocate.balance.by")
    hashed = left.withColumn(GROUP, group_id(left, by)).withColumn(
        HASH, hash64(left, [KEY], recipe.seed, "sample")
    )
    mine = {r[KEY]: (r[GROUP], r[HASH]) for r in _of(hashed, picked).select(KEY, GROUP, HASH)
            .collect()}
    plan = stages.counted(left, stages.source_rows())
    groups = {g.id: g for g in plan.groups if g.id in {group for group, _ in mine.values()}}
    wanted = {g.id: (g.available, g.target) for g in groups.values()}
    some = hashed.where(F.col(GROUP).isin(list(groups))).select(GROUP, HASH)
    thresholds = find_thresholds(some, wanted)
    fates: dict[int, dict[str, Any]] = {}
    for key, (group, value) in mine.items():
        t, g = thresholds[group], groups[group]
        extra = t.last is not None and (value < t.last or (value == t.last and t.whole))
        copies = t.base + extra
        fates[key] = {
            "fate": "kept" if copies else "sampled out", "copies": copies, "hash": value,
            "threshold": t.last, "every_row": t.base, "group": g.group,
            "available": g.available, "target": g.target,
        }
    return fates


