"""Plans and results as a notebook shows them: a headline and two small tables with bars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jinja2 import Template

from lakebalance.report.charts import Scale, bar_chart
from lakebalance.report.html import environment
from lakebalance.report.parts import Part, per_group, per_source

MOST_GROUPS = 200


def plan_html(plan: Mapping[str, Any]) -> str:
    """A plan, as ``plan --json`` prints it, as a piece of HTML; every value is escaped.

    Parameters
    ----------
    plan : the plan; of its groups at most 200 are shown.

    Examples
    --------
    >>> "<b>t</b>" in plan_html({"name": "t", "groups": [], "rows": 0})
    True
    """
    rows = int(plan.get("rows", 0))
    return _view(plan, f"{rows:,} rows planned; nothing was written")


def result_html(result: Mapping[str, Any]) -> str:
    """A finished run, as ``run --json`` prints it, as a piece of HTML; every value is escaped.

    Parameters
    ----------
    result : the run; of its groups at most 200 are shown.
    """
    output = result["output"]
    headline = f"{output['rows']:,} rows in {output['table']}, version {output['version']}"
    if result.get("repeated"):
        headline += "; this run was finished before, nothing was changed"
    return _view(result, headline)


def _view(data: Mapping[str, Any], headline: str) -> str:
    groups = data.get("groups") or []
    tables = [("source", per_source(groups)), ("group", per_group(groups))]
    template: Template = environment().get_template("notebook.html.j2")
    return template.render(
        name=data.get("name", ""),
        headline=headline,
        warnings=data.get("warnings") or [],
        tables=[_table(title, parts) for title, parts in tables if parts],
    )


def _table(title: str, parts: Sequence[Part]) -> dict[str, Any]:
    chart = bar_chart(parts, MOST_GROUPS)
    scale: Scale = chart.scale
    lines = [{"part": p, "before": scale(p.before), "after": scale(p.after)} for p in chart.bars]
    return {"title": title, "lines": lines, "rest": chart.rest, "log": scale.log}
