"""Prints what is to be forgotten, and what was, for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lakebalance.console import first_of, out, table_of, warn
from lakebalance.core.labels import group_text
from lakebalance.core.paths import common_folder


def show_forget(data: Mapping[str, Any]) -> None:
    """The rows of each table that are to be forgotten, or what is left of them."""
    # Templates take a while to load, and the command line should answer at once.
    from lakebalance.report.forget import what_of

    done = not data["dry_run"]
    if data["suspects"]:
        _show_suspects(data["suspects"])
    every = [*data["sources"], *data["tables"], *data["leftovers"]]
    folder = common_folder([line["table"] for line in every])
    lines = [
        (
            line["table"].removeprefix(folder),
            what_of(line),
            f"{line['rows']:,}" if "rows" in line else "",
            f"{line['marked']:,}",
            *_after(line, done),
        )
        for line in every
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


def reasons_text(rows: Mapping[str, int]) -> str:
    """How many rows are forgotten for which reason.

    Examples
    --------
    >>> reasons_text({"tied": 3, "asked": 1200})
    '1,200 asked, 3 tied'
    """
    return ", ".join(f"{n:,} {reason}" for reason, n in sorted(rows.items()))


def _summary(data: Mapping[str, Any]) -> str:
    reasons = reasons_text(data["rows"])
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
            reasons_text(p["rows"]),
            "yes" if p["complete"] else "no",
            p["signed_off_by"],
        )
        for p in proofs
    ]
    table_of("request", "reference", "done", "rows", "complete", "signed off by", rows=lines)
