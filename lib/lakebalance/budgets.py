"""Budgets in units other than rows: from each group's part of them to its rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from pyspark.sql import DataFrame

from lakebalance.allocate.nest import Available, allocate
from lakebalance.allocate.rounding import InfeasibleBudget
from lakebalance.core.amounts import MOST_IN_ALL, MOST_STEPS, Measure, in_steps, in_units
from lakebalance.core.columns import column
from lakebalance.core.counts import GroupCount
from lakebalance.core.diagnostics import Diagnostic
from lakebalance.core.errors import RecipeError, TableError
from lakebalance.core.hashing import key_text
from lakebalance.core.registry import method_of
from lakebalance.core.sources import KEY
from lakebalance.frames import Frames
from lakebalance.plans import PlannedGroup
from lakebalance.recipe.budgets import Budget
from lakebalance.recipe.models import Recipe
from lakebalance.recipe.outputs import Output
from lakebalance.recipe.rules import Rules
from lakebalance.sample.amounts import STEPS, find_cuts
from lakebalance.sample.thresholds import GROUP, HASH
from lakebalance.unit_rows import Seen, Unit, rows_of_parts, weighed

EXAMPLES = 3
MOST_SHOWN = 60


def in_rows(
    frames: Frames,
    output: Output,
    rules: Rules,
    groups: Sequence[GroupCount],
    left: Sequence[DataFrame],
    place: str,
    seen: Mapping[int, Seen] | None = None,
) -> list[PlannedGroup]:
    """The groups of an output, each with the rows that make its part of a budget in units.

    See ``rows_of_parts``; where rows are weighed, all are kept, and weights make the parts exact.

    Parameters
    ----------
    frames : the recipe and its sources.
    output : the table.
    rules : with ``budget``.
    groups : what was counted of the output's part.
    left : the rows to sample; one job reads their keys, groups and units.
    place : path of the rules in the recipe.
    seen : of a phase in order, what those before it have shown of each group.

    Raises
    ------
    TableError : a row has no units, or fewer than 0.
    RecipeError : the rules cannot be met.
    """
    budget = rules.budget
    assert budget is not None
    measured = frames.measures[budget.unit]
    hashed = [frames.hashed(rows, output) for rows in left]
    _all_known(frames, budget, measured, groups, hashed, f"{place}.budget.of")
    sources = [source.name for source in frames.recipe.sources]
    parts = _parts(rules, budget, measured, groups, sources, place)
    shares, unit = list(zip(groups, parts, strict=True)), Unit(budget.unit, measured.size)
    method = method_of("sample", output.sample)
    if method.weighs:
        return weighed(shares, unit)
    rows = [frame.select(GROUP, HASH, measured.steps.alias(STEPS)) for frame in hashed]
    find = partial(method.find_cuts or find_cuts, rows)
    return rows_of_parts(shares, unit, find, draws=method.find_cuts is not None, seen=seen)


def _parts(
    rules: Rules,
    budget: Budget,
    measured: Measure,
    groups: Sequence[GroupCount],
    sources: Sequence[str],
    place: str,
) -> list[int]:
    """What the rules give each group, in steps."""
    available = [Available(g.source, g.values, g.amounts[budget.unit].total) for g in groups]
    steps = in_steps(budget.amount, measured.size)
    try:
        allocated = allocate(available, steps, rules.mix, rules.balance, rules.within, sources)
    except InfeasibleBudget as error:
        amounts = [in_units(int(amount), measured.size) for amount in error.amounts]
        raise InfeasibleBudget(f"{place}: {error.said}", amounts, budget.unit) from error
    except RecipeError as error:
        raise type(error)(f"{place}: {error}") from error
    return [a.target for a in allocated]


def _all_known(
    frames: Frames,
    budget: Budget,
    measured: Measure,
    groups: Sequence[GroupCount],
    hashed: Sequence[DataFrame],
    place: str,
) -> None:
    """Raise where rows have no units, with some of their keys."""
    amounts = [group.amounts[budget.unit] for group in groups]
    if sum(amount.total for amount in amounts) > MOST_IN_ALL:
        raise TableError(
            f"{place}: all rows have over {MOST_IN_ALL:,} steps of {budget.unit} together; write "
            "a column of larger units"
        )
    unknown = sum(amount.unknown for amount in amounts)
    if not unknown:
        return
    counted = "null" if budget.what != "value" else "null, NaN, negative or too large"
    name = budget.column
    between = (
        ""
        if budget.what != "value"
        else (
            f", {{expectation: ExpectColumnValuesToBeBetween, args: {{column: {name}, "
            f"min_value: 0, max_value: {MOST_STEPS // measured.size - 1}}}}}"
        )
    )
    not_nan = ", and nan_as_null: true at the sources" if between else ""
    raise TableError(
        f"{place}: {name} is {counted} in {unknown:,} rows, such as those of "
        f"{'; '.join(_keys(frames, measured, hashed))}; set them aside, by expect: {{expectations: "
        f"[{{expectation: ExpectColumnValuesToNotBeNull, args: {{column: {name}}}}}{between}]}}"
        f"{not_nan}, or filter them by the sources' where"
    )


def _keys(frames: Frames, measured: Measure, hashed: Sequence[DataFrame]) -> list[str]:
    """The keys of some rows without units, by their columns where all sources have the same."""
    keys = {tuple(source.key or ()) for source in frames.pinned}
    names = next(iter(keys)) if len(keys) == 1 else ()
    found: list[Any] = []
    for rows in hashed:
        bad = rows.where(measured.steps.isNull()).orderBy(KEY).limit(EXAMPLES)
        found += bad.select(KEY, *[column(name) for name in names]).collect()
    found.sort(key=lambda row: tuple(row[0]))
    if not names:
        return [f"key {key_text((row[0]['hi'], row[0]['lo']))}" for row in found[:EXAMPLES]]
    return [
        ", ".join(f"{name}={row[i + 1]}" for i, name in enumerate(names))
        for row in found[:EXAMPLES]
    ]


def units_said(
    recipe: Recipe, outputs: Sequence[Output], groups_of: Sequence[Sequence[PlannedGroup]]
) -> list[dict[str, Any]]:
    """For each budget in units that has rows, what there is of each group and what is planned."""
    return [
        _said(output, output.rules.budget, groups).to_dict()
        for output, groups in zip(outputs, groups_of, strict=True)
        if output.rules is not None
        and output.rules.budget is not None
        and any(group.units is not None for group in groups)
    ]


def _said(output: Output, budget: Budget, groups: Sequence[PlannedGroup]) -> Diagnostic:
    known = [(group, group.units) for group in groups if group.units is not None]
    size = known[0][1].size
    planned = in_units(sum(units.planned for _, units in known), size)
    largest = sorted(known, key=lambda pair: -pair[1].available)[:MOST_SHOWN]
    empty = sum(1 for group, units in known if group.available and not units.available)
    how = (
        "all rows are kept, and their weights make it"
        if method_of("sample", output.sample).weighs
        else "as many as whole rows make, less by less than one row"
    )
    more = f" {len(known) - MOST_SHOWN:,} smaller groups are not shown." * (len(known) > MOST_SHOWN)
    more += f" {empty:,} groups have rows and no {budget.unit}: they get none." * bool(empty)
    return Diagnostic(
        f"{output.name}: budget in {budget.unit}",
        ["source", "group", *[f"{budget.unit} {what}" for what in ("available", "planned")],
         "epochs", "rows planned"],
        [
            [
                group.source,
                ", ".join(f"{n}={v}" for n, v in group.group.items()) or "all rows",
                in_units(units.available, size),
                in_units(units.planned, size),
                float(units.to_dict()["epochs"]),
                group.target,
            ]
            for group, units in largest
        ],
        f"{planned:,} of {budget.amount:,} {budget.unit} are planned: {how}.{more}",
    )  # fmt: skip
