"""Finds in the ledger what a recipe's gates learn from."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

from lakebalance.core.counts import Census
from lakebalance.expect.learned import Line, learned
from lakebalance.expect.verdicts import Measured, Verdict
from lakebalance.ledger import MOST, state_of
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
    plans = _earlier(frames, max(gate.runs for gate in gates))
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


def _earlier(frames: Frames, most: int) -> list[dict[str, Any]]:
    """The plans of the newest runs to the target before this one, newest first, each once.

    A run that is planned again learns from what it learned from before.
    """
    runs = state_of(frames.recipe).runs(frames.spark)
    if runs is None:
        return []
    own = runs.where(F.col("target") == F.lit(frames.recipe.publish.table))
    ids = [row["run_id"] for row in own.select("run_id").limit(MOST).collect()]
    if frames.run_id in ids:
        last = len(ids) - 1 - ids[::-1].index(frames.run_id)
        ids = ids[last + 1 :]
    wanted = list(dict.fromkeys(ids))[:most]
    if not wanted:
        return []
    rows = own.where(F.col("run_id").isin(wanted)).select("run_id", "plan").collect()
    plans = {row["run_id"]: json.loads(row["plan"]) for row in rows}
    return [plans[run] for run in wanted]


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
