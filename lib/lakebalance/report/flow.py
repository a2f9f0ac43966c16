"""How many rows each stage let through: read, gates, pruning, sampling, published."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lakebalance.core.split import TRAIN
from lakebalance.report import pruned


@dataclass(frozen=True)
class Change:
    """Rows that a step took out (negative) or added (positive)."""

    rows: int
    what: str


@dataclass(frozen=True)
class Step:
    """Rows after one step, and what made the difference."""

    name: str
    rows: int
    changes: list[Change] = field(default_factory=list)


def rows_read(result: Mapping[str, Any]) -> int:
    """Rows of all sources after their filters."""
    sources = result.get("sources")
    if sources:
        return sum(int(source["rows"]) for source in sources)
    groups = result.get("groups", [])
    return sum(g["available"] if g.get("rows") is None else g["rows"] for g in groups)


def rows_published(result: Mapping[str, Any]) -> int | None:
    """Rows counted in the output, or said to be in it; None for a plan."""
    published = result.get("published")
    if published:
        return sum(int(p["found"]) for p in published)
    output = result.get("output")
    return None if output is None else int(output["rows"])


def flow(result: Mapping[str, Any], sampler: str) -> list[Step]:
    """The steps from sources to output.

    Parameters
    ----------
    result : a run or plan as ``--json`` prints it.
    sampler : the name of the sampling method.
    """
    groups = result.get("groups", [])
    read = rows_read(result)
    available = sum(g["available"] for g in groups)
    steps = [Step("Read", read)]
    quarantined = result.get("quarantined")
    if quarantined is not None:
        steps.append(
            Step("Passed the gates", read - quarantined, _changes([(-quarantined, "quarantined")]))
        )
    dropped = [(-p["dropped"], _dropped_as(p)) for p in pruned.steps(result)]
    held_out = _held_out(result)
    steps.append(Step("Left after pruning", available + held_out, _changes(dropped)))
    if held_out:
        steps.append(Step("For training", available, _changes([(-held_out, "held out")])))
    steps.append(_sampled(groups, result.get("rows"), sampler))
    published = rows_published(result)
    if published is not None:
        more = published - steps[-1].rows
        steps.append(Step("Published", published, _changes([(more, "against the plan")])))
    return steps


def _dropped_as(step: Mapping[str, Any]) -> str:
    words = pruned.in_words(pruned.fate_of(step))
    shorter = f"; {step['edited']:,} rows shortened" if step.get("edited") else ""
    return f"{words} ({step['method']}{shorter})" if step["method"] else words


def _held_out(result: Mapping[str, Any]) -> int:
    parts = [o for o in result.get("outputs") or [] if o["part"] != TRAIN]
    return sum(g["available"] for output in parts for g in output["groups"])


def _sampled(groups: list[Mapping[str, Any]], rows: int | None, sampler: str) -> Step:
    target = sum(g["target"] for g in groups) if rows is None else rows
    if sampler == "weight":
        kept = sum(g["available"] for g in groups if g["target"])
        out = kept - sum(g["available"] for g in groups)
        return Step("Weighted", kept, _changes([(out, "in groups without a target")]))
    out = sum(max(0, g["available"] - g["target"]) for g in groups)
    more = sum(max(0, g["target"] - g["available"]) for g in groups)
    added = "repeats" if sampler == "repeat" else f"added by {sampler}"
    return Step("Sampled", target, _changes([(-out, "not drawn"), (more, added)]))


def _changes(changes: list[tuple[int, str]]) -> list[Change]:
    return [Change(rows, what) for rows, what in changes if rows]
