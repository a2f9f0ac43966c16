"""The tables of a run besides the balanced one: how many rows, and whether they are as planned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lakebalance.report.checks import Comparison, comparison
from lakebalance.report.parts import Balance, balance, per_group


@dataclass(frozen=True)
class OutputLine:
    """One table: what is in it, how even its groups are, and what was counted there."""

    name: str
    part: str
    table: str
    version: int | None
    rows: int
    balance: Balance
    comparison: Comparison | None


def output_lines(result: Mapping[str, Any]) -> list[OutputLine]:
    """A line for each table besides the balanced one, in the plan's order."""
    return [
        OutputLine(
            output["name"],
            output["part"],
            output["table"],
            output.get("version"),
            output["rows"],
            balance(part.after for part in per_group(output["groups"])),
            comparison(output.get("published")),
        )
        for output in result.get("outputs") or []
    ]
