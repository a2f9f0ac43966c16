"""Prints the measurements as Markdown: seconds, ratios, limits, and whether they hold."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from dataclasses import dataclass
from statistics import median

from pyspark.sql import SparkSession

from measure import MIB, Timings


@dataclass(frozen=True)
class Line:
    """A line of the table: a contestant's part, what it is measured against, and the limit.

    The time of a rival is given over that of lakebalance's sampling and publishing, others'
    over that of ``against``.
    """

    title: str
    contestant: str
    part: str = ""
    against: str = ""
    at_most: float | None = None
    rival: bool = False
    at_least: float | None = None


def lines(text: bool) -> list[Line]:
    """All lines; with a long text column the window has more to carry, so more is asked."""
    return [
        Line("`groupBy(label).count()`", "count"),
        Line("`plan`", "plan", against="count", at_most=1.5),
        Line("`plan` with 3 expectations", "gated plan", against="count"),
        Line("floor: trivial filter, Delta write", "floor"),
        Line("sampling and publishing", "sampling", "sample", "floor", at_most=1.3),
        Line(
            "`run`: whole, with keys, gates, audit, ledger, report", "run", "", "floor", at_most=2.5
        ),
        Line(
            "`row_number` window, Delta write", "window", rival=True, at_least=4.0 if text else 1.8
        ),
        Line("`sampleBy`, Delta write", "sampleBy", rival=True),
        Line("DuckDB window, Parquet write", "duckdb", rival=True),
    ]


def table(timings: dict[str, Timings], text: bool) -> str:
    """The table of all contestants that ran."""
    head = [
        "",
        "seconds",
        "ratio",
        "limit",
        "holds",
        "CPU seconds",
        "rows",
        "shuffled MiB",
        "spilled MiB",
        "largest task MiB",
    ]
    rows = [head, ["---", "---:", "---:", "---", "---", "---:", "---", "---:", "---:", "---:"]]
    rows += [_cells(line, timings) for line in lines(text) if line.contestant in timings]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def _cells(line: Line, timings: dict[str, Timings]) -> list[str]:
    own = timings[line.contestant]
    ratio, limit, holds = _compared(line, timings)
    spread = own.seconds[line.part]
    seconds = f"{own.median(line.part):.2f}"
    if len(spread) > 1:
        seconds += f" ({min(spread):.2f} to {max(spread):.2f})"
    if line.part:
        return [line.title, seconds, ratio, limit, holds, "", "", "", "", ""]
    cpu = f"{median(cost.cpu for cost in own.costs):.1f}"
    spark = [
        max(cost.shuffled for cost in own.costs),
        max(cost.spilled for cost in own.costs),
        max(cost.task_memory for cost in own.costs),
    ]
    spent = [""] * 3 if line.contestant == "duckdb" else [f"{n / MIB:,.0f}" for n in spark]
    return [line.title, seconds, ratio, limit, holds, cpu, "; ".join(sorted(own.proofs)), *spent]


def _compared(line: Line, timings: dict[str, Timings]) -> tuple[str, str, str]:
    own = timings[line.contestant].median(line.part)
    if line.against in timings:
        ratio = own / timings[line.against].median()
        shown = f"{ratio:.2f} × {line.against}"
        if line.at_most is None:
            return shown, "", ""
        return shown, f"≤ {line.at_most} ×", _yes(ratio <= line.at_most)
    if line.rival and "sampling" in timings:
        ratio = own / timings["sampling"].median("sample")
        shown = f"{ratio:.2f} × sampling and publishing"
        if line.at_least is None:
            return shown, "", ""
        return shown, f"≥ {line.at_least} ×", _yes(ratio >= line.at_least)
    return "", "", ""


def _yes(holds: bool) -> str:
    return "yes" if holds else "**no**"


def stages(timings: dict[str, Timings]) -> str:
    """Where the time of ``run`` goes, in medians."""
    parts = timings["run"].seconds if "run" in timings else {}
    shown = [
        f"{name.removeprefix('stage: ')} {median(seconds):.2f}"
        for name, seconds in parts.items()
        if name.startswith("stage: ")
    ]
    beside = ", some of them beside others: "
    return "Stages of `run` in seconds" + beside + ", ".join(shown) + "." if shown else ""


def setting(spark: SparkSession, peak: int | None) -> str:
    """What it was measured on: versions, cores, memory."""
    packages = ("lakebalance", "pyspark", "delta-spark", "duckdb")
    versions = ", ".join(f"{name} {_version(name)}" for name in packages)
    memory = spark.conf.get("spark.driver.memory", "default")
    resident = f", the JVM's peak {peak / MIB:,.0f} MiB" if peak else ""
    return (
        f"{versions}, Python {platform.python_version()}, {platform.system()}, "
        f"{os.cpu_count()} cores; `{spark.conf.get('spark.master')}`, "
        f"driver memory {memory}{resident}."
    )


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
