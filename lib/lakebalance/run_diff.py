"""What changed from one run of a recipe to another: recipe, sources, counts, and rows."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import yaml
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakebalance.core.columns import column
from lakebalance.core.errors import RecipeError, first_line
from lakebalance.core.hashing import hash128
from lakebalance.core.tables import Table, read_delta
from lakebalance.ledger import Ledger, Made, tables_of
from lakebalance.publish.allocations import from_frame
from lakebalance.publish.state import State
from lakebalance.recipe.models import Recipe
from lakebalance.result import ALLOCATIONS

CONTENT, BEFORE, AFTER = "__lb_content", "__lb_before", "__lb_after"
COUNTS = ("rows", "available", "target")


def diff(
    recipe: Recipe, spark: SparkSession, one: str | None = None, other: str | None = None
) -> dict[str, Any]:
    """What changed from a run to a later one.

    Parameters
    ----------
    recipe : names the target, and where its ledger is; the runs' own recipes are in the ledger.
    spark : the session.
    one, other : ids of runs, or their beginnings; left out, the newest run and the one before it,
        or the newest one beside ``one``.

    Returns
    -------
    ``runs`` (``run_id``, ``finished``, ``version``, ``rows`` of both), ``recipe`` (``field``,
    ``before``, ``after``), ``sources`` (``name``, and ``before`` and ``after``: ``table``,
    ``version``, ``rows``), ``groups`` (of which counts changed: ``output``, ``source``, ``group``,
    and ``before`` and ``after``: ``rows``, ``available``, ``target``), ``unchanged`` (groups), and
    ``outputs``: by name, rows ``before``, ``after``, ``same``, ``only_before``, ``only_after``, or
    ``note``, why rows cannot be compared. Rows are the same that are equal in all columns that both
    tables have, but for positions. A job for each output.

    Raises
    ------
    TableError : there are no runs to compare.
    RecipeError : a run is not in the ledger.

    Examples
    --------
    >>> diff(Recipe.load("r.yaml"), spark)["outputs"]["balanced"]["same"]  # doctest: +SKIP
    95_310
    """
    ledger = Ledger(recipe, spark)
    if one is None or other is None:
        one, other = _default(ledger, one)
    before, after = ledger.entry(one), ledger.entry(other)
    groups, unchanged = _groups(ledger.state, spark, before["run_id"], after["run_id"])
    return {
        "runs": [
            {name: entry[name] for name in ("run_id", "finished", "version", "rows")}
            for entry in (before, after)
        ],
        "recipe": changes(yaml.safe_load(before["recipe"]), yaml.safe_load(after["recipe"])),
        "sources": _sources(before["plan"], after["plan"]),
        "groups": groups,
        "unchanged": unchanged,
        "outputs": _outputs(spark, before, after),
    }


def _default(ledger: Ledger, one: str | None) -> tuple[str, str]:
    known = ledger.own_ids
    if one is None:
        if len(known) == 1:
            raise RecipeError(f"the ledger has one run, {known[0]}; there is none to compare it to")
        return (known[1], known[0]) if known else ("", "")
    return one, known[0] if known else one


def changes(before: Any, after: Any) -> list[dict[str, Any]]:
    """The fields of two recipes that differ, by path; null for one that is not there.

    Examples
    --------
    >>> changes({"seed": 1, "sources": [{"name": "web"}]},
    ...         {"seed": 2, "sources": [{"name": "web", "where": "x > 1"}]})
    [{'field': 'seed', 'before': 1, 'after': 2}, {'field': 'sources.web.where', 'before': None, \
'after': 'x > 1'}]
    """
    old, new = dict(_fields(before, "")), dict(_fields(after, ""))
    return [
        {"field": path, "before": old.get(path), "after": new.get(path)}
        for path in dict.fromkeys([*old, *new])
        if old.get(path) != new.get(path)
        or isinstance(old.get(path), bool) != isinstance(new.get(path), bool)
    ]


def _fields(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Each value that is no mapping or list, by its path; parts of lists by their names if any."""
    if isinstance(value, Mapping) and value:
        for name, inner in value.items():
            yield from _fields(inner, f"{path}.{name}" if path else str(name))
    elif isinstance(value, list) and value and all(isinstance(v, Mapping) for v in value):
        for i, inner in enumerate(value):
            yield from _fields(inner, f"{path}.{inner.get('name', i)}")
    else:
        yield path, value


def _sources(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[dict[str, Any]]:
    old, new = (
        {s["name"]: {n: v for n, v in s.items() if n != "name"} for s in plan["sources"]}
        for plan in (before, after)
    )
    return [
        {"name": name, "before": old.get(name), "after": new.get(name)}
        for name in dict.fromkeys([*old, *new])
        if old.get(name) != new.get(name)
    ]


def _groups(
    state: State, spark: SparkSession, before: str, after: str
) -> tuple[list[dict[str, Any]], int]:
    """The groups whose counts changed, those most whose targets did first; how many did not."""
    runs = []
    for run in (before, after):
        found = from_frame(state.read(spark, ALLOCATIONS, run))
        runs.append(
            {
                (a.output, a.source, json.dumps(a.group, sort_keys=True)): {
                    name: getattr(a, name) for name in COUNTS
                }
                for a in found
            }
        )
    old, new = runs
    keys = list(dict.fromkeys([*old, *new]))
    changed = [
        {
            "output": key[0],
            "source": key[1],
            "group": json.loads(key[2]),
            "before": old.get(key),
            "after": new.get(key),
        }
        for key in keys
        if old.get(key) != new.get(key)
    ]
    return sorted(changed, key=lambda g: -abs(_target(g["after"]) - _target(g["before"]))), (
        len(keys) - len(changed)
    )


def _target(counts: Mapping[str, int] | None) -> int:
    return counts["target"] if counts else 0


def _outputs(
    spark: SparkSession, before: Mapping[str, Any], after: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    old, new = tables_of(before), tables_of(after)
    positions = {
        (yaml.safe_load(entry["recipe"]).get("order") or {}).get("position", "")
        for entry in (before, after)
    }
    found: dict[str, dict[str, Any]] = {}
    for name in dict.fromkeys([*old, *new]):
        if name not in old or name not in new:
            found[name] = {"note": f"only the {'later' if name in new else 'earlier'} run has it"}
            continue
        try:
            found[name] = _rows(*(_read(spark, made, positions) for made in (old[name], new[name])))
        except Exception as error:  # a version's files may be gone
            found[name] = {"note": f"rows cannot be compared: {first_line(error)}"}
    return found


def _read(spark: SparkSession, made: Made, without: set[str]) -> DataFrame:
    rows = read_delta(spark, Table(made.table), made.version, made.replace_where)
    return rows.select(*[column(name) for name in rows.columns if name not in without])


def _rows(before: DataFrame, after: DataFrame) -> dict[str, Any]:
    """How many rows are equal in the columns that both have, each as often as it is there."""
    names = [name for name in before.columns if name in after.columns]
    there = [
        df.select(hash128(df, names, "diff").alias(CONTENT), F.lit(a).alias(BEFORE),
                  F.lit(b).alias(AFTER))
        for df, a, b in ((before, 1, 0), (after, 0, 1))
    ]  # fmt: skip
    ends = [F.sum(end).alias(end) for end in (BEFORE, AFTER)]
    counted = there[0].union(there[1]).groupBy(CONTENT).agg(*ends)
    names_of = {"before": F.col(BEFORE), "after": F.col(AFTER), "same": F.least(BEFORE, AFTER)}
    row = counted.agg(*[F.sum(c).alias(name) for name, c in names_of.items()]).collect()[0]
    sums = {name: row[name] or 0 for name in names_of}
    only = {f"only_{end}": sums[end] - sums["same"] for end in ("before", "after")}
    differ = sorted({*before.columns} ^ {*after.columns})
    return sums | only | ({"columns_of_one": differ} if differ else {})
