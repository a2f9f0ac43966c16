"""The HTML report: one file that needs nothing else, made from what ``run --json`` prints."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader

MOST_BARS = 60


def render(result: Mapping[str, Any]) -> str:
    """The report's HTML; every value is escaped.

    Parameters
    ----------
    result : a run as ``run --json`` prints it, with ``name`` and, if wanted, ``recipe``.

    Examples
    --------
    >>> "<h1>t</h1>" in render({"name": "t", "groups": [], "rows": 0})
    True
    """
    environment = Environment(loader=PackageLoader("lakebalance.report", "."), autoescape=True)
    groups = result["groups"]
    charts = [
        _chart("Sources", [([_part(g["source"])], g["available"], g["target"]) for g in groups]),
        _chart(
            "Groups",
            [
                (
                    [_part(v) for v in g["group"].values()] or [_part("all rows")],
                    g["available"],
                    g["target"],
                )
                for g in groups
            ],
        ),
    ]
    published = [{**p, "same": p["planned"] == p["found"]} for p in result.get("published", [])]
    template = environment.get_template("template.html.j2")
    return template.render(**{**result, "published": published, "charts": charts})


def write(result: Mapping[str, Any], path: Path) -> Path:
    """Write the report to a file and return its path."""
    path.write_text(render(result), encoding="utf-8")
    return path


def _part(value: Any) -> dict[str, Any]:
    return {"null": value is None, "text": value if isinstance(value, str) else json.dumps(value)}


def _chart(title: str, counts: list[tuple[list[dict[str, Any]], int, int]]) -> dict[str, Any]:
    merged: dict[str, list[Any]] = {}
    for label, before, after in counts:
        entry = merged.setdefault(json.dumps(label), [label, 0, 0])
        entry[1] += before
        entry[2] += after
    ordered = sorted(merged.values(), key=lambda e: -e[1])
    shown, rest = ordered[:MOST_BARS], ordered[MOST_BARS:]
    if rest:
        other = [_part(f"other ({len(rest):,} groups)")]
        shown.append([other, sum(e[1] for e in rest), sum(e[2] for e in rest)])
    sizes = [n for _, before, after in shown for n in (before, after) if n]
    log = bool(sizes) and max(sizes) / min(sizes) > 100
    largest = max(sizes, default=1)

    def width(n: int) -> float:
        return 100 * (math.log1p(n) / math.log1p(largest) if log else n / largest)

    rows = [
        {
            "label": label,
            "before": b,
            "after": a,
            "epochs": a / b if b else 0.0,
            "before_width": round(width(b), 2),
            "after_width": round(width(a), 2),
        }
        for label, b, a in shown
    ]
    return {"title": title, "log": log, "rows": rows}
