"""What was checked: the gates' verdicts, and the plan against what was found in the output."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lakebalance.report.numbers import cell
from lakebalance.report.parts import Label
from lakebalance.report.values import Shown, group_label, shown

MOST_ROWS = 100


@dataclass(frozen=True)
class Mismatch:
    """A group whose rows in the output are not those planned."""

    source: Shown | None
    label: Label
    planned: int
    found: int


@dataclass(frozen=True)
class Comparison:
    """The plan against the result; ``listed`` holds the first mismatches only."""

    groups: int
    wrong: int
    listed: list[Mismatch]


@dataclass(frozen=True)
class GateLine:
    """One expectation and what its verdict meant for the rows."""

    source: str
    expectation: str
    on_fail: str
    unexpected: int | None
    rows: int | None
    met: bool
    consequence: str
    measured: str


def comparison(published: Sequence[Mapping[str, Any]] | None) -> Comparison | None:
    """Count the groups that hold exactly the planned rows; None where none were counted."""
    # A repeated run has an empty list: "0 of 0 groups exact" would claim a check never made.
    if not published:
        return None
    wrong = [p for p in published if p["planned"] != p["found"]]
    wrong.sort(key=lambda p: -abs(p["planned"] - p["found"]))
    listed = [
        Mismatch(
            None if p.get("source") is None else shown(p["source"]),
            group_label(p["group"]),
            p["planned"],
            p["found"],
        )
        for p in wrong[:MOST_ROWS]
    ]
    return Comparison(len(published), len(wrong), listed)


def gate_lines(gates: Iterable[Mapping[str, Any]]) -> list[GateLine]:
    """The verdicts as lines of a table."""
    return [
        GateLine(
            "all" if g.get("source") is None else str(g["source"]),
            str(g["expectation"]),
            str(g["on_fail"]),
            g.get("unexpected"),
            g.get("rows") if g.get("unexpected") is not None else None,
            bool(g["success"]),
            _consequence(g),
            measured_text(g),
        )
        for g in gates
    ]


def measured_text(gate: Mapping[str, Any]) -> str:
    """What a gate measured, the number and its limit, or observed; empty where nothing.

    Examples
    --------
    >>> measured_text({"number": 0.31234, "limit": 0.25, "worst": "dep_delay"})
    'dep_delay: 0.3123, limit 0.25'
    """
    if gate.get("number") is None:
        return gate.get("worst") or ""
    return f"{gate['worst']}: {cell(gate['number'])}, limit {cell(gate['limit'])}"


def _consequence(gate: Mapping[str, Any]) -> str:
    # `mostly` can be met by rows of which some failed: those are set aside all the same.
    if gate["on_fail"] == "quarantine":
        return "rows quarantined" if gate.get("unexpected") else ""
    if gate["success"]:
        return ""
    return {"warn": "warned", "stop": "run stopped"}.get(gate["on_fail"], "")
