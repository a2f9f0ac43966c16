"""A result whose every text tries to leave its place in the page."""

from typing import Any

from examples import duplicates, group, result

TEXT = "\"'><script>alert(1)</script></style></title></pre><img src=x onerror=a()>{{ 7*7 }}&lt;"


def hostile() -> dict[str, Any]:
    """The result."""
    groups = [group({TEXT: f"{TEXT}{i}"}, target=900 if i else 0, source=TEXT) for i in range(3)]
    made = result(groups)
    for name in ("name", "run_id", "recipe_hash", "package_version", "recipe", "finished"):
        made[name] = TEXT
    for gate in made["gates"]:
        gate |= {"source": TEXT, "expectation": TEXT, "on_fail": TEXT, "worst": TEXT}
    made["sources"] = [{"name": TEXT, "table": TEXT, "version": TEXT, "rows": 300}]
    made["pruned"] = [{"method": TEXT, "dropped": 1}]
    made["duplicates"] = [duplicates(TEXT, f"{TEXT}1", text=TEXT, method=TEXT)]
    made["warnings"] = [{"code": TEXT, "message": TEXT}]
    made["output"] |= {"table": TEXT, "version": TEXT, "replace_where": TEXT}
    made["stages"] = [{"name": TEXT, "rows_in": 1, "rows_out": 1, "seconds": 1.0}]
    made["paths"] = {TEXT: TEXT}
    made["published"][1]["found"] += 1
    return made
