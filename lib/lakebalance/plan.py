"""The plan: what a run will make, per source and group, and from which versions."""

from __future__ import annotations

import hashlib
import html
import json
import math
from dataclasses import dataclass, field
from typing import Any

from lakebalance.expect.gate import Verdict


@dataclass(frozen=True)
class PlannedSource:
    """A source at its pinned version, and the rows in it after its filter."""

    name: str
    table: str
    version: int | str
    rows: int


@dataclass(frozen=True)
class PlannedGroup:
    """One group of one source: what there is and what will be."""

    id: int
    source: str
    group: dict[str, Any]
    available: int
    target: int

    @property
    def epochs(self) -> float:
        """How often a row is seen on average."""
        return self.target / self.available if self.available else 0.0


@dataclass(frozen=True)
class Plan:
    """All that is needed to make the output again; see ``to_dict`` for its JSON form."""

    name: str
    run_id: str
    recipe_hash: str
    sources: list[PlannedSource]
    groups: list[PlannedGroup]
    gates: list[Verdict] = field(default_factory=list)
    quarantined: int = 0
    matches: int = 0
    warnings: list[dict[str, str]] = field(default_factory=list)

    @property
    def rows(self) -> int:
        """Rows of the output."""
        return sum(group.target for group in self.groups)

    def to_dict(self) -> dict[str, Any]:
        """The plan as ``plan --json`` prints it."""
        return {
            "run_id": self.run_id,
            "recipe_hash": self.recipe_hash,
            "sources": [vars(source) for source in self.sources],
            "groups": [
                {
                    "source": g.source,
                    "group": {k: json_value(v) for k, v in g.group.items()},
                    "available": g.available,
                    "target": g.target,
                    "epochs": g.epochs,
                    "weight": g.epochs,
                }
                for g in self.groups
            ],
            "rows": self.rows,
            "gates": [vars(verdict) for verdict in self.gates],
            "quarantined": self.quarantined,
            "matches": self.matches,
            "warnings": self.warnings,
        }

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{h}</th>" for h in ("source", "group", "available", "target", "epochs"))
        body = "".join(
            "<tr>"
            + "".join(
                f"<td>{html.escape(str(cell))}</td>"
                for cell in (g.source, json.dumps(g.group), g.available, g.target,
                             f"{g.epochs:.3f}")
            )
            + "</tr>"
            for g in self.groups[:200]
        )
        more = f"<p>{len(self.groups) - 200} more groups</p>" if len(self.groups) > 200 else ""
        return (f"<p><b>{html.escape(self.name)}</b>: {self.rows:,} rows planned</p>"
                f"<table><tr>{head}</tr>{body}</table>{more}")


def json_value(value: Any) -> Any:
    """A group's value in JSON: what JSON has no number for is ``{"float": "NaN"}``."""
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": str(value).replace("nan", "NaN")}
    return value


def run_id(recipe_hash: str, versions: dict[str, int | str], package_version: str) -> str:
    """The id of the run: a hash of all that decides its output."""
    text = json.dumps([recipe_hash, versions, package_version], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
