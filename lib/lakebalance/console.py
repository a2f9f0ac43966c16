"""Prints plans, results and fates for people; the command line's ``--json`` passes it by."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from lakebalance.core.labels import group_text
from lakebalance.core.progress import Progress
from lakebalance.core.secrets import hide
from lakebalance.report.checks import measured_text
from lakebalance.report.numbers import cell
from lakebalance.report.pruned import dropped_by_fate


class Discreet(Console):
    """A console that shows no secret in texts; ``table_of`` sees to those of tables."""

    def print(self, *objects: Any, **options: Any) -> None:
        """Print as rich does."""
        super().print(*[hide(object) for object in objects], **options)


out, err = Discreet(), Discreet(stderr=True)
MOST_COLUMNS = 8
MOST_LINES = 60


@contextmanager
def progress(quiet: bool) -> Iterator[Progress]:
    """Show the stage that is under way on standard error; a line each where that is a file."""
    if quiet:
        yield lambda stage: None
    elif err.is_terminal:
        with err.status("starting") as status:
            yield lambda stage: status.update(f"{stage} …")
    else:
        yield lambda stage: err.print(f"… {stage}", markup=False, highlight=False)


def table_of(*columns: str, rows: Sequence[tuple[str, ...]]) -> None:
    """Print a table; columns after the first that hold numbers are set to the right."""
    table = Table()
    for i, name in enumerate(columns):
        numeric = i > 0 and all(row[i][:1].isdigit() for row in rows)
        table.add_column(name, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*[Text(hide(cell)) for cell in row])
    out.print(table)


def first_of(*columns: str, rows: Sequence[tuple[str, ...]], of: int | None = None) -> None:
    """Print a table of the first rows, and how many there are besides.

    Parameters
    ----------
    columns, rows : as of ``table_of``; all rows, or the first ``MOST_LINES`` of them.
    of : how many there are in all, where only those were made.
    """
    table_of(*columns, rows=rows[:MOST_LINES])
    more = (len(rows) if of is None else of) - MOST_LINES
    if more > 0:
        out.print(f"and {more:,} more; --json has them all")


def warn(text: str) -> None:
    """Print a warning."""
    out.print(f"warning: {text}", style="yellow", markup=False, soft_wrap=True, highlight=False)


def show_groups(data: Mapping[str, Any]) -> None:
    """Before and after per source, and per group over all sources."""
    titles: dict[str, Callable[[Mapping[str, Any]], str]] = {
        "source": lambda g: str(g["source"]),
        "group": lambda g: group_text(g["group"]),
    }
    for title, label_of in titles.items():
        sums: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
        for group in data["groups"]:
            for i, name in enumerate(("rows", "available", "target", "synthetic")):
                sums[label_of(group)][i] += group.get(name) or 0
        if title == "group" and list(sums) == ["all rows"]:
            continue
        labels = sorted(sums, key=lambda label: -sums[label][0])
        new = ["new"] if any(counts[3] for counts in sums.values()) else []
        first_of(
            title, "before", "available", "after", *new, "epochs",
            rows=[_line(label, sums[label], bool(new)) for label in labels[:MOST_LINES]],
            of=len(labels),
        )  # fmt: skip
    show_outputs(data.get("outputs", []))
    for diagnostic in data.get("diagnostics", []):
        show_diagnostic(diagnostic)
    for warning in data["warnings"]:
        warn(warning["message"])


def show_outputs(outputs: Sequence[Mapping[str, Any]]) -> None:
    """The tables besides the balanced one."""
    if outputs:
        lines = [(o["name"], f"{o['rows']:,}", o["part"]) for o in outputs]
        table_of("also", "rows", "part", rows=lines)


def show_diagnostic(diagnostic: Mapping[str, Any]) -> None:
    """A table that a method has to show, with what it says about it."""
    out.print(diagnostic["title"], style="bold", markup=False)
    rows = [tuple(map(cell, row)) for row in diagnostic["rows"]]
    # In more columns than a terminal has room for, nobody reads what the note says in a sentence.
    if len(diagnostic["columns"]) <= MOST_COLUMNS or not diagnostic["note"]:
        first_of(*diagnostic["columns"], rows=rows)
    if diagnostic["note"]:
        out.print(diagnostic["note"], markup=False, soft_wrap=True)


def _line(label: str, counts: Sequence[int], with_new: bool) -> tuple[str, ...]:
    _, available, target, synthetic = counts
    epochs = (target - synthetic) / available if available else 0.0
    shown = counts if with_new else counts[:3]
    return label, *[f"{count:,}" for count in shown], f"{epochs:.2f}"


def show_gates(data: Mapping[str, Any]) -> None:
    """What each expectation found."""
    gates = data["gates"]
    if not gates:
        return
    measured = ["measured"] if any(g.get("worst") for g in gates) else []
    table_of(
        "expectation", "unexpected", *measured, "on fail", "met",
        rows=[
            (
                g["expectation"],
                "" if g["unexpected"] is None else f"{g['unexpected']:,}",
                *[measured_text(g) for _ in measured],
                g["on_fail"],
                "yes" if g["success"] else "no",
            )
            for g in gates
        ],
    )  # fmt: skip


def show_run(data: Mapping[str, Any]) -> None:
    """A finished run: gates, before and after, what was published, and where each file is."""
    show_gates(data)
    show_groups(data)
    output = data["output"]
    where = ""
    if "replace_where" in output:
        where = f" in place of those where {output['replace_where']}"
    out.print(
        f"{data['quarantined']:,} rows quarantined, {pruned_text(data)}, {output['rows']:,} rows "
        f"published{where} as version {output['version']} and counted there.",
        soft_wrap=True,
        markup=False,
    )
    for step in data.get("duplicates") or []:
        if step["clusters"]:
            out.print(clusters_text(step), soft_wrap=True, markup=False, highlight=False)
    if data["repeated"]:
        out.print("This run was finished before: nothing was changed.")
    for name, path in data["paths"].items():
        out.print(f"  {name}: {path}", soft_wrap=True, markup=False, highlight=False)


def pruned_text(data: Mapping[str, Any]) -> str:
    """How many rows pruning dropped as what."""
    duplicates, *others = dropped_by_fate(data).items()
    more = [f", {rows:,} rows {fate}" for fate, rows in others]
    if shorter := sum(step.get("edited", 0) for step in data.get("pruned") or []):
        more.append(f", {shorter:,} rows shortened")
    return f"{duplicates[1]:,} duplicates dropped{''.join(more)}"


def clusters_text(step: Mapping[str, Any]) -> str:
    """The clusters of a pruning step, and how many rows went for one of another source."""
    across = sum(pair["rows"] for pair in step["between"] if pair["dropped"] != pair["kept"])
    most = max(cluster["rows"] for cluster in step["largest"])
    return (
        f"prune.{step['step']} ({step['method']}): {step['clusters']:,} clusters, the largest of "
        f"{most:,} rows; {across:,} of {step['rows']:,} rows went for one of another source."
    )


def show_quality(step: Mapping[str, Any]) -> None:
    """How many of the near-duplicates planted for a pruning step it finds."""
    table_of(
        "Jaccard", "planted", "found", "recall", "found by chance", "dropped",
        rows=[
            (
                f"{b['from']:.2f} to {b['to']:.2f}", f"{b['planted']:,}", f"{b['found']:,}",
                cell(b["recall"]), cell(b["expected"]), f"{b['dropped']:,}",
            )
            for b in step["bands"]
        ],
    )  # fmt: skip
    out.print(
        f"prune.{step['step']}: {step['rows']:,} rows sampled, {step['planted']:,} copies planted. "
        f"At {step['threshold']:g} or above, recall {cell(step['recall'])}, precision "
        f"{cell(step['precision'])}. Found by chance: that signatures agree in a band. Dropped: "
        "rows so similar to the one that stays, planted or not. Nothing was published.",
        soft_wrap=True,
        markup=False,
        highlight=False,
    )


def show_fates(fates: list[dict[str, Any]]) -> None:
    """Each row's fate with the numbers that decided it."""
    for fate in fates:
        out.print(Text(fate["fate"], style="bold"))
        rest = {name: value for name, value in fate.items() if name != "fate"}
        out.print_json(json.dumps(hide(rest), default=str))


def show_diff(data: Mapping[str, Any]) -> None:
    """What changed from a run to another."""
    runs = [
        (str(r["run_id"]), str(r["finished"]), str(r["version"]), f"{r['rows']:,}")
        for r in data["runs"]
    ]
    table_of("run", "finished", "version", "rows", rows=runs)
    if data["recipe"]:
        changes = [
            (c["field"], json.dumps(c["before"]), json.dumps(c["after"])) for c in data["recipe"]
        ]
        table_of("recipe", "before", "after", rows=changes)
    if data["sources"]:
        ends = [[_source_text(s[end]) for end in ("before", "after")] for s in data["sources"]]
        lines = [(s["name"], *both) for s, both in zip(data["sources"], ends, strict=True)]
        table_of("source", "before", "after", rows=lines)
    groups = [
        (
            f"{g['source']}: {group_text(g['group'])}",
            g["output"],
            *[f"{(g[end] or {}).get(n, 0):,}" for n in ("available", "target")
              for end in ("before", "after")],
        )
        for g in data["groups"][:MOST_LINES]
    ]  # fmt: skip
    if groups:
        titles = ("available before", "after", "planned before", "after")
        first_of("group", "output", *titles, rows=groups, of=len(data["groups"]))
    out.print(f"{data['unchanged']:,} groups have the same counts in both.")
    names = ("before", "after", "same", "only_before", "only_after")
    rows = [
        (name, *[f"{found[n]:,}" for n in names])
        for name, found in data["outputs"].items()
        if "note" not in found
    ]
    if rows:
        table_of("rows of", *[name.replace("_", " ") for name in names], rows=rows)
    for name, found in data["outputs"].items():
        if "note" in found:
            out.print(f"{name}: {found['note']}", markup=False, soft_wrap=True)
        if "columns_of_one" in found:
            only = ", ".join(found["columns_of_one"])
            out.print(f"{name}: only one has {only}", markup=False, soft_wrap=True)


def _source_text(source: Mapping[str, Any] | None) -> str:
    if source is None:
        return "not there"
    return f"{source['table']} at {source['version']}, {source['rows']:,} rows"


def show_rollback(data: Mapping[str, Any]) -> None:
    """Which tables were taken back, and which runs are undone."""
    lines = [(t["name"], t["table"], str(t["before"]), str(t["version"])) for t in data["tables"]]
    table_of("output", "table", "version before", "now", rows=lines)
    if data["undone"]:
        out.print(f"undone: {', '.join(data['undone'])}", soft_wrap=True, highlight=False)


def show_clean(data: Mapping[str, Any]) -> None:
    """What goes of the state's tables, or went."""
    lines = [(t["table"], f"{t['rows']:,}", f"{len(t['runs']):,}") for t in data["tables"]]
    if lines:
        table_of("table", "rows", "runs", rows=lines)
    rows = sum(table["rows"] for table in data["tables"])
    if data["dry_run"]:
        said = f"{rows:,} rows would go; nothing was taken out: write --confirm to do it."
    else:
        said = f"{rows:,} rows are gone; VACUUM takes their files."
    out.print(said, highlight=False, soft_wrap=True)
