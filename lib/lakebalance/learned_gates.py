"""Finds in the ledger what a recipe's gates learn from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lakebalance.core.counts import Census
from lakebalance.expect.learned import Line, learned
from lakebalance.expect.verdicts import Measured, Verdict
from lakebalance.ledger import Ledger
from lakebalance.recipe.learned import Learned

if TYPE_CHECKING:
    from lakebalance.frames import Frames


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
    rows = census.rows_of([source.name for source in frames.recipe.sources])
    left = sum(group.left for group in census.groups)
    now = {
        "sources": [{"name": name, "rows": n} for name, n in rows.items()],
        "quarantined": sum(rows.values()) - left,
        "gates": [vars(verdict) for verdict in verdicts],
    }
    found = []
    for i, gate in enumerate(gates):
        before = [_numbers(gate, plan) for plan in plans[: gate.runs]]
        lines = [
            Line(what, number, [own[what] for own in before if what in own])
            for what, number in _numbers(gate, now).items()
        ]
        found.append(learned(gate, lines, f"expect.learned.{i}"))
    return found


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
