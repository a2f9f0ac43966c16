"""Prints what is to be forgotten, and what was, for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os.path import commonprefix
from typing import Any

from lakebalance.console import first_of, out, table_of, warn
from lakebalance.core.labels import group_text


def show_forget(data: Mapping[str, Any]) -> None:
    """The rows of each table that are to be forgotten, or what is left of them."""
    done = not data["dry_run"]
    if data["suspects"]:
        _show_suspects(data["suspects"])
    every = [*data["sources"], *data["tables"], *data["leftovers"]]
    folder = _common([line["table"] for line in every])
    lines = [
        (
            line["table"].removeprefix(folder),
            _what(line),
            f"{line['rows']:,}",
            f"{line['marked']:,}",
            *_after(line, done),
        )
        for line in [*data["sources"], *data["tables"]]
    ]
    lines += [
        (
            line["table"].removeprefix(folder),
            "beside them",
            "",
            f"{line['marked']:,}",
            *_after(line, done),
        )
        for line in data["leftovers"]
    ]
    after = ("rows after", "found after") if done else ()
    if lines:
        at = f"table in {folder}" if folder else "table"
        first_of(at, "what", "rows", "to forget", *after, rows=lines)
    if data["models"]:
        seen = [
            (str(m["model"]), m["table"], str(m["version"]), _count(m["rows"]))
            for m in data["models"]
        ]
        table_of("model that saw them", "table", "version", "rows", rows=seen)
    for note in data["notes"]:
        warn(note)
    out.print(_summary(data), highlight=False, soft_wrap=True, markup=False)


def _common(tables: Sequence[str]) -> str:
    """The folder that all tables lie below, with a slash at its end; empty where there is none.

    Examples
    --------
    >>> _common(["/lake/a/b", "/lake/c"]), _common(["/lake/a", "catalog.name"])
    ('/lake/', '')
    """
    if len(tables) < 2 or not all("/" in table for table in tables):
        return ""
    folders = [table.rpartition("/")[0] + "/" for table in tables]
    # By characters, as tables may be URIs; what is left after the last slash is no folder.
    return commonprefix(folders).rpartition("/")[0] + "/"  # noqa: RUF071


def _summary(data: Mapping[str, Any]) -> str:
    reasons = ", ".join(f"{n:,} {reason}" for reason, n in sorted(data["rows"].items()))
    if data["dry_run"]:
        rows = f"{reasons} rows would be forgotten" if reasons else "no run read such a row"
        return f"{rows}; nothing was done: write --confirm to do it."
    if not data["complete"]:
        return f"request {data['request']}: rows are left; run it again, or see the notes"
    files = sum(line["files"] for line in data["old_files"])
    kept = "" if data["vacuum_hours"] is not None else " Old versions hold them until --vacuum."
    if data["vacuum_hours"]:
        kept = f" {files:,} files of old versions are younger, and stay."
    return (
        f"{reasons or 'no'} rows are forgotten: none is found any more.{kept} Request "
        f"{data['request']}, proof {data['proof'][:16]}: {data['report']}"
    )


def _what(line: Mapping[str, Any]) -> str:
    return f"{line['recipe']}: {line['output']}" if "recipe" in line else "source"


def _after(line: Mapping[str, Any], done: bool) -> tuple[str, ...]:
    if not done:
        return ()
    after = line["after"]
    return (f"{after['rows']:,}" if "rows" in after else "", f"{after['marked']:,}")


def _count(rows: int | None) -> str:
    return "its files are gone" if rows is None else f"{rows:,}"


def _show_suspects(suspects: Sequence[Mapping[str, Any]]) -> None:
    lines = [
        (
            f"{s['source']}: {group_text(s['values'])}",
            f"{s['listed']:,}",
            f"{s['rows']:,}",
            "all" if s["meant"] else "those listed",
        )
        for s in suspects
    ]
    table_of("rows with", "listed", "rows", "to forget", rows=lines)


def show_requests(proofs: Sequence[Mapping[str, Any]]) -> None:
    """Earlier requests, the newest first."""
    lines = [
        (
            p["request"],
            p["reference"],
            p["finished"],
            ", ".join(f"{n:,} {reason}" for reason, n in sorted(p["rows"].items())),
            "yes" if p["complete"] else "no",
            p["signed_off_by"],
        )
        for p in proofs
    ]
    table_of("request", "reference", "done", "rows", "complete", "signed off by", rows=lines)
