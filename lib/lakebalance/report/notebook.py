"""What a notebook shows of a plan or a result: the headline, small tables, and the warnings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lakebalance.report.charts import bar_chart
from lakebalance.report.checks import comparison
from lakebalance.report.clusters import cluster_views
from lakebalance.report.facts import facts
from lakebalance.report.html import environment
from lakebalance.report.outputs import output_lines
from lakebalance.report.parts import per_both, per_group, per_source, recorded

MOST_GROUPS = 200
MOST_WARNINGS = 20
MOST_ROWS = 50


def plan_html(plan: Mapping[str, Any]) -> str:
    """A plan for a notebook's cell.

    Parameters
    ----------
    plan : as ``plan --json`` prints it.

    Returns
    -------
    Escaped HTML with its own style, to be put into a page.
    """
    return _fragment(plan, "plan")


def result_html(result: Mapping[str, Any]) -> str:
    """A finished run for a notebook's cell.

    Parameters
    ----------
    result : as ``run --json`` prints it.

    Returns
    -------
    Escaped HTML with its own style, to be put into a page.
    """
    return _fragment(result, "run")


def _fragment(data: Mapping[str, Any], kind: str) -> str:
    data = recorded(data)
    entries = data.get("groups", [])
    groups = per_group(entries)
    view = {
        "kind": kind,
        "name": data.get("name") or kind,
        "run_id": data.get("run_id"),
        "output": data.get("output"),
        "repeated": bool(data.get("repeated")),
        "warnings": list(data.get("warnings") or []),
        "most_warnings": MOST_WARNINGS,
        "outputs": output_lines(data),
        "duplicates": cluster_views(data),
        "diagnostics": list(data.get("diagnostics") or []),
        "most_rows": MOST_ROWS,
        "comparison": comparison(data.get("published")),
        "facts": facts(data, groups, per_both(entries)),
        "sources_chart": bar_chart(per_source(entries), MOST_GROUPS),
        "groups_chart": bar_chart(groups, MOST_GROUPS),
    }
    return environment().get_template("notebook.html.j2").render(view)
