"""Prints what is found in a lake for people."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lakebalance.console import first_of, out, warn
from lakebalance.core.paths import common_folder
from lakebalance.report.numbers import cell, count, seconds, share
from lakebalance.report.sizes import money, size

REASONS = {
    "rows": "more rows than the parent",
    "nulls": "more nulls in a column",
    "values": "more values that are not null in a column",
    "min": "a smaller value than the parent's least",
    "max": "a larger value than the parent's greatest",
}


def _day(millis: int | None) -> str:
    when = None if millis is None else dt.datetime.fromtimestamp(millis / 1000, dt.timezone.utc)
    return "" if when is None else when.date().isoformat()


# What is known of some lakes only.
OF_CATALOGS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "names": lambda table: ", ".join(table["names"]),
    "owner": lambda table: table["owner"] or "",
    "last read": lambda table: _day(table["last_read"]),
    "reads/month": lambda table: "" if table["reads"] is None else cell(table["reads"]),
}


def show_inventory(data: Mapping[str, Any]) -> None:
    """The tables that are known, and why others are not."""
    tables = data["tables"]
    name = _shortened([t["table"] for t in tables])
    more = [title for title, cells in OF_CATALOGS.items() if any(map(cells, tables))]
    first_of(
        "table", "version", "rows", "size", "files", "columns", *more,
        rows=[
            (
                name(t["table"]), "Parquet" if t["format"] == "parquet" else str(t["version"]),
                count(t["rows"]), size(t["bytes"]), count(t["files"]), count(t["columns"]),
                *(OF_CATALOGS[title](t) for title in more),
            )
            for t in tables
        ],
    )  # fmt: skip
    total, read = sum(t["bytes"] for t in tables), count(data["read"])
    _say(f"{count(len(tables))} tables, {size(total)}; logs read now: {read}.")
    for path, problem in data["problems"].items():
        warn(f"{path}: {problem}")
    blind = [t["table"] for t in tables if t["files_without_statistics"]]
    if blind:
        warn(f"{len(blind)} tables have files without statistics, the first {blind[0]}")


def show_graph(data: Mapping[str, Any]) -> None:
    """The funnel, what the logs ruled out, and the edges that are left."""
    first_of(
        "step",
        "pairs left",
        "time",
        rows=[(s["step"], count(s["pairs"]), seconds(s["seconds"])) for s in data["funnel"]],
    )
    if data["cut"]:
        said = (f"{REASONS[reason]}: {count(n)}" for reason, n in data["cut"].items())
        _say("ruled out by the logs: " + "; ".join(said))
    edges = data["edges"]
    name_of = _shortened([e[end] for e in [*edges, *data["near"]] for end in ("child", "parent")])
    first_of(
        "table", "is held by", "rows compared", "risk",
        rows=[
            (
                name_of(e["child"]), name_of(e["parent"]), count(e["rows_compared"]),
                "all compared" if e["verified"] else cell(e["risk"]),
            )
            for e in edges
        ],
    )  # fmt: skip
    for e in edges:
        if other := {own: name for own, name in e["columns"].items() if own != name}:
            listed = ", ".join(f"{own} is {name}" for own, name in other.items())
            _say(f"{name_of(e['child'])} in {name_of(e['parent'])}: {listed}")
    if data["near"]:
        first_of(
            "table", "is held but for few rows by", "how far", "rows compared",
            rows=[
                (name_of(n["child"]), name_of(n["parent"]), _between(n), count(n["rows_compared"]))
                for n in data["near"]
            ],
        )  # fmt: skip
        _say("what is missing: lakebalance lake diff TABLE OTHER --state STATE")
    if data["not_tried"]:
        warn(f"{count(data['not_tried'])} pairs whose columns are least alike were not tried")
    if not all(e["verified"] for e in edges):
        _say(
            f"risk: that {share(data['options']['missing'], 1)} or more of a table's different "
            "rows are missing, though none of the sample was; --verify compares all rows."
        )
    for problem in data["problems"]:
        warn(f"{problem['child']} in {problem['parent']}: {problem['problem']}")


def _between(near: Mapping[str, Any]) -> str:
    low, high = near["low"], near["high"]
    if low == high:
        return f"all but {count(near['missing_compared'])} rows"
    return f"{low:.2%} to {high:.2%}"


def show_difference(data: Mapping[str, Any]) -> None:
    """How many of a table's rows another lacks, and what is known of them."""
    name = _shortened([data["table"], data["other"]])
    table, other, missing = name(data["table"]), name(data["other"]), data["missing"]
    if not missing:
        _say(f"All {count(data['rows'])} rows of {table} are in {other}, as often.")
        return
    _say(
        f"{count(missing)} of the {count(data['rows'])} rows of {table} "
        f"({share(missing, data['rows'])}) are not in {other}, or not as often; "
        f"{count(data['looked_at'])} different ones were looked at."
    )
    first_of(
        "there but for this column", "rows",
        rows=[(column, count(n)) for column, n in data["differs"].items()],
    )  # fmt: skip
    if data["conditions"] and data["looked_at"] > 1:
        _say(f"all of them: {' AND '.join(data['conditions'].values())}")
    for row in data["examples"]:
        _say(json.dumps(row, ensure_ascii=False))


def show_plan(data: Mapping[str, Any], state: str) -> None:
    """The tables that could go, from what each would be rebuilt, and what that saves."""
    dropped = [t for t in data["tables"] if t["action"] == "drop"]
    name = _shortened([t["table"] for t in data["tables"]])
    first_of(
        "could go", "rebuilt from", "size", "storage/month", "rebuilds/month", "rebuild takes",
        rows=[
            (
                name(t["table"]), name(t["rebuild_from"]), size(t["bytes"]), money(t["storage"]),
                money(t["rebuild"]),
                seconds(t["seconds"]) + ("" if t["verified"] else " (not verified)"),
            )
            for t in dropped
        ],
    )  # fmt: skip
    cost = data["cost"]
    _say(
        f"{count(len(dropped))} of {count(len(data['tables']))} tables could go: "
        f"{money(cost['before'])} a month becomes {money(cost['after'])}, "
        f"{money(cost['saved'])} ({share(cost['saved'], cost['before'])}) saved; "
        + _how_good(cost)
        + " Nothing was dropped."
    )
    if dropped:
        plan = data["plan"]
        _say(f"plan {plan}; what it would do: lakebalance lake apply {plan} --state {state}")
    prices = data["prices"]
    _say(
        f"prices: {prices['storage']:g} for a gigabyte a month, {prices['read']:g} for a gigabyte "
        f"read, {prices['rebuild']:g} for a rebuild; {prices['reads']:g} reads of a table a month "
        f"unless --access or --read-log says otherwise; {prices['throughput']:g} MB/s."
    )
    for t in data["tables"]:
        if t["views"]:
            _say(f"kept, as views read it: {t['table']} ({', '.join(t['views'])})")
    for pair in data["refuted"]:
        warn(f"{pair['child']} is not wholly in {pair['parent']}, as comparing all rows showed")
    for problem in data["problems"]:
        warn(f"{problem['child']} in {problem['parent']}: {problem['problem']}")
    if data["stale"]:
        warn(f"{data['stale']} pairs of tables that were written since are left out: graph again")


def show_applied(data: Mapping[str, Any], state: str) -> None:
    """What was, or would be, done to each table, and what to write to have it done or undone."""
    tables = [t for t in data["tables"] if t["action"] in ("archive", "delete")]
    name = _shortened([t[end] for t in data["tables"] for end in ("table", "rebuild_from")])
    done = "would be emptied" if data["dry_run"] else "emptied"
    first_of(
        done, "rows", "size", "rebuilt from", "which of its rows",
        rows=[
            (
                name(t["table"]), count(t["rows"]), size(t["bytes"]), name(t["rebuild_from"]),
                _selected(t),
            )
            for t in tables
        ],
    )  # fmt: skip
    deleted = sum(t["action"] == "delete" for t in tables)
    before = sum(bool(t["why"]) for t in tables)
    said = f"{count(len(tables))} tables, {size(sum(t['bytes'] for t in tables))}"
    said += f"; with the files of {count(deleted)} of them" if deleted else ""
    _say(said + (f"; {count(before)} were emptied before." if before else "."))
    for t in data["tables"]:
        if t["action"] == "by_hand":
            _say(
                f"{t['table']} is Parquet, which has no versions to go back to, and stays. Of "
                f"{t['rebuild_from']}, {_selected(t)} are its {count(t['rows'])} rows, which "
                f"{'would be' if data['dry_run'] else 'is'} written down in {t['script']}: delete "
                "the folder when nobody reads or writes it."
            )
    for t in data["tables"]:
        if t["action"] == "skip":
            warn(f"left alone: {t['why']}")
    plan = data["plan"]
    if data["dry_run"]:
        _say(
            "Nothing was done. To empty the tables, with their files left until VACUUM: "
            f"lakebalance lake apply {plan} --state {state} --confirm {plan}; --delete takes the "
            "files too."
        )
    elif tables:
        _say(f"To have all rows again: lakebalance lake restore --plan {plan} --state {state}")


def _selected(table: Mapping[str, Any]) -> str:
    if table["kind"] == "condition":
        return str(table["condition"])
    if table["kind"] == "whole":
        return "all"
    return f"by hashes that take {size(table['kept_bytes'])}"


def show_restored(found: Sequence[Mapping[str, Any]]) -> None:
    """Where the rows of each table came from, or why it has none."""
    name = _shortened([t["table"] for t in found])
    first_of(
        "restored", "rows", "from",
        rows=[(name(t["table"]), count(t["rows"]), _from(t)) for t in found if t["how"]],
    )  # fmt: skip
    for t in found:
        if t["why"]:
            warn(t["why"])


def _from(table: Mapping[str, Any]) -> str:
    if table["how"] == "rebuilt":
        return f"{table['parent']}, version {table['parent_version']}"
    return {"version": "its own older version", "there": "it had them already"}[table["how"]]


def _how_good(cost: Mapping[str, float]) -> str:
    if cost["bound"] >= cost["after"] * (1 - 1e-6):
        return "no choice costs less."
    return f"no choice costs less than {money(cost['bound'])}."


def _shortened(paths: Sequence[str]) -> Any:
    """Names of tables without the folder that all have in common."""
    common = common_folder(paths)
    return lambda path: str(path).removeprefix(common)


def _say(text: str) -> None:
    out.print(text, markup=False, soft_wrap=True, highlight=False)
