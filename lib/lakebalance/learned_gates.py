"""Finds in the ledger what a recipe's gates learn from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lakebalance.core.counts import Census
from lakebalance.core.labels import group_text
from lakebalance.core.split import TRAIN
from lakebalance.expect.learned import Line, learned
from lakebalance.expect.verdicts import Measured, Verdict
from lakebalance.ledger import Ledger, state_of
from lakebalance.plans import json_group
from lakebalance.publish.allocations import rows_of_groups
from lakebalance.publish.state import RUN
from lakebalance.recipe.learned import Learned
from lakebalance.recipe.outputs import BALANCED
from lakebalance.result import ALLOCATIONS

if TYPE_CHECKING:
    from lakebalance.frames import Frames

Shares = Mapping[str, float]


def measured_learned(frames: Frames, census: Census, verdicts: Sequence[Verdict]) -> list[Measured]:
    """What gates find that learn from earlier runs; one look into the ledger for all of them.

    Parameters
    ----------
    frames : the recipe and its sources.
    census : the rows of this run as counted.
    verdicts : what its expectations found.
    """
    gates = frames.recipe.expect.learned
    if not gates:
        return []
    ledger = Ledger(frames.recipe, frames.spark)
    # A run that is planned again learns from what it learned from before.
    plans = ledger.plans(ledger.before(frames.run_id)[: max(gate.runs for gate in gates)])
    by_groups = [gate.runs for gate in gates if gate.metric == "groups"]
    counted = _counted_before(frames, plans[: max(by_groups, default=0)])
    now_by_groups = _shares_now(census, frames.recipe.by)
    rows = census.rows_of([source.name for source in frames.recipe.sources])
    left = sum(group.left for group in census.groups)
    now = {
        "sources": [{"name": name, "rows": n} for name, n in rows.items()],
        "quarantined": sum(rows.values()) - left,
        "gates": [vars(verdict) for verdict in verdicts],
    }
    found = []
    for i, gate in enumerate(gates):
        if gate.metric == "groups":
            lines = _lines_of_groups(now_by_groups, counted[: gate.runs])
        else:
            before = [_numbers(gate, plan) for plan in plans[: gate.runs]]
            lines = [
                Line(what, number, [own[what] for own in before if what in own])
                for what, number in _numbers(gate, now).items()
            ]
        found.append(learned(gate, lines, f"expect.learned.{i}"))
    return found


def _lines_of_groups(now: Shares, before: Sequence[Shares]) -> list[Line]:
    """A line for each group that is there or was; where it is not, it has no rows."""
    every = dict.fromkeys(what for shares in (now, *before) for what in shares)
    return [Line(w, now.get(w, 0.0), [shares.get(w, 0.0) for shares in before]) for w in every]


def _shares_now(census: Census, by: Sequence[str]) -> Shares:
    return _shares([(json_group(group.values), group.rows) for group in census.groups], by)


def _counted_before(frames: Frames, plans: Sequence[Mapping[str, Any]]) -> list[Shares]:
    """The groups' shares in each of some runs that had the same columns; one read of them all."""
    if not plans:
        return []
    by, runs = frames.recipe.by, [plan["run_id"] for plan in plans]
    rows = state_of(frames.recipe).read_runs(frames.spark, ALLOCATIONS, runs)
    counted = rows_of_groups(rows, RUN)
    found = []
    for plan in plans:
        # Parts that were held out are of the rows read; phases repeat those of the balanced table.
        apart = [output["name"] for output in plan["outputs"] if output["part"] != TRAIN]
        own = [
            group
            for name in [BALANCED, *apart]
            for group in counted.get((plan["run_id"], name), [])
        ]
        if own and all(name in values for values, _ in own for name in by):
            found.append(_shares(own, by))
    return found


def _shares(groups: Sequence[tuple[Mapping[str, Any], int]], by: Sequence[str]) -> Shares:
    rows: Counter[str] = Counter()
    for values, n in groups:
        # Neither parts that are held out nor what classes are divided into.
        rows[group_text({name: values[name] for name in by})] += n
    total = rows.total()
    return {what: n / total for what, n in rows.items()} if total else {}


def _numbers(gate: Learned, plan: Mapping[str, Any]) -> dict[str, float]:
    """What a gate looks at in a plan, by name."""
    rows = {source["name"]: source["rows"] for source in plan["sources"]}
    if gate.metric == "rows":
        if gate.source is None:
            return {"rows": sum(rows.values())}
        return {f"rows of {gate.source}": rows[gate.source]} if gate.source in rows else {}
    if gate.metric == "quarantined":
        total = sum(rows.values())
        return {"rows set aside": plan["quarantined"] / total} if total else {}
    shares: dict[str, float] = {}
    for own in plan["gates"]:
        if own.get("unexpected") is not None and own.get("rows"):
            of = f" of {own['source']}" if own.get("source") else ""
            shares[f"{own['expectation']}{of}"] = own["unexpected"] / own["rows"]
    return shares
