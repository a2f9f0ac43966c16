"""The HTML report: one file that needs nothing else, made from what ``run --json`` prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from lakebalance.report import numbers, pruned, sizes, values
from lakebalance.report.charts import bar_chart
from lakebalance.report.checks import comparison, gate_lines
from lakebalance.report.clusters import cluster_views
from lakebalance.report.curve import size_curve
from lakebalance.report.facts import epoch_classes, facts
from lakebalance.report.flow import flow
from lakebalance.report.mixture import mixture, phase_mixtures
from lakebalance.report.outputs import output_lines
from lakebalance.report.parts import HEAVY_EPOCHS, per_both, per_group, per_source, recorded

MOST_TABLE_ROWS = 100
MOST_REPEATED = 12
MOST_RECIPE_CHARACTERS = 100_000


def render(result: Mapping[str, Any]) -> str:
    """The report's HTML; every value is escaped, and no script is in it.

    Parameters
    ----------
    result : a run as ``run --json`` prints it, with ``name`` and, if wanted, ``recipe`` (its text),
        ``package_version`` and ``finished``. Parts that are missing are left out.

    Examples
    --------
    >>> "<h1>t</h1>" in render({"name": "t", "groups": [], "rows": 0})
    True
    """
    return environment().get_template("template.html.j2").render(_view(result))


def write(result: Mapping[str, Any], path: Path) -> Path:
    """Write the report to a file and return its path."""
    return save(render(result), path)


def save(html: str, path: Path) -> Path:
    """Write HTML to a file and return its path."""
    # A lone half of a surrogate pair is valid in JSON and in Python, but not in UTF-8.
    path.write_text(html, encoding="utf-8", errors="backslashreplace")
    return path


@cache
def environment() -> Environment:
    """The templates beside this file, with the filters that write numbers and values."""
    made = Environment(
        loader=PackageLoader("lakebalance.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "clip": values.clip,
        "count": numbers.count,
        "cell": numbers.cell,
        "epochs": numbers.epochs,
        "fate_of": pruned.fate_of,
        "in_words": pruned.in_words,
        "moment": numbers.moment,
        "money": sizes.money,
        "ratio": numbers.ratio,
        "seconds": numbers.seconds,
        "share": numbers.share,
        "shown": values.shown,
        "size": sizes.size,
        "worth": numbers.worth,
    }
    return made


def _total(stages: Sequence[Mapping[str, Any]]) -> float:
    """Seconds from the start of the first stage to the end of the last; some overlap."""
    seconds = [s.get("seconds") or 0 for s in stages]
    if all("began" in s for s in stages):
        return max((s["began"] + n for s, n in zip(stages, seconds, strict=True)), default=0)
    return sum(seconds)


def _view(result: Mapping[str, Any]) -> dict[str, Any]:
    """What the template shows; a part that was not recorded is empty."""
    result = recorded(result)
    entries = result.get("groups", [])
    both, groups = per_both(entries), per_group(entries)
    curve = size_curve([p.before for p in groups], [p.after for p in groups])
    groups_chart, sources = bar_chart(groups), per_source(entries)
    repeated = sorted((p for p in both if p.epochs > 1), key=lambda p: -p.epochs)
    stages = result.get("stages") or []
    summary = facts(result, groups, both)
    return {
        "name": result.get("name") or "run",
        **{
            part: result.get(part)
            for part in (
                "run_id",
                "recipe_hash",
                "package_version",
                "finished",
                "output",
                "quarantined",
                "matches",
                "repeated",
            )
        },
        **{
            part: list(result.get(part) or [])
            for part in ("sources", "pruned", "warnings", "diagnostics")
        },
        "paths": dict(result.get("paths") or {}),
        "dropped": pruned.dropped_by_fate(result),
        "facts": summary,
        "steps": flow(result, summary.sampler),
        "sources_chart": bar_chart(sources),
        "mixture": mixture(result, sources),
        "phase_mixtures": phase_mixtures(result),
        "groups_chart": groups_chart,
        "curve": curve if groups_chart.rest else None,
        "epoch_classes": epoch_classes(both),
        "most_repeated": repeated[:MOST_REPEATED],
        "repeated_parts": len(repeated),
        "heavy_epochs": HEAVY_EPOCHS,
        "gates": gate_lines(result.get("gates") or []),
        "outputs": output_lines(result),
        "duplicates": cluster_views(result),
        "comparison": comparison(result.get("published")),
        "stages": stages,
        "total_seconds": _total(stages),
        "slowest": max((s.get("seconds") or 0 for s in stages), default=0),
        "recipe": values.clip(result.get("recipe") or "", MOST_RECIPE_CHARACTERS),
        "most_rows": MOST_TABLE_ROWS,
    }
