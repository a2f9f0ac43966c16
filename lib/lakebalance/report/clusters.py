"""Clusters of duplicates: how large, between which sources, and texts of the largest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lakebalance.report.pruned import fate_of, in_words

MOST_SOURCES = 20


@dataclass(frozen=True)
class SizeClass:
    """Clusters of about the same size; ``width`` is in percent of the largest class's rows."""

    least: int
    most: int
    clusters: int
    rows: int
    width: float


@dataclass(frozen=True)
class SourceLine:
    """Rows dropped of a source, by the source of the row that stays in their place."""

    source: str
    rows: list[int]
    total: int


@dataclass(frozen=True)
class ClusterView:
    """What there is to show of a pruning step."""

    title: str
    words: str
    clusters: int
    rows: int
    across: int
    sizes: list[SizeClass]
    kept: list[str]
    lines: list[SourceLine]
    others: int
    largest: list[Mapping[str, Any]]

    @property
    def has_texts(self) -> bool:
        """Whether the largest clusters have excerpts."""
        return any("kept" in cluster for cluster in self.largest)


def cluster_views(result: Mapping[str, Any]) -> list[ClusterView]:
    """A view of each step that dropped rows for others, in order.

    Parameters
    ----------
    result : a run as ``run --json`` prints it.
    """
    return [_view(step) for step in result.get("duplicates") or [] if step["clusters"]]


def _view(step: Mapping[str, Any]) -> ClusterView:
    between = step["between"]
    kept, lines, others = source_matrix(between)
    return ClusterView(
        f"prune.{step['step']} ({step['method']})",
        in_words(fate_of(step)),
        step["clusters"],
        step["rows"],
        sum(pair["rows"] for pair in between if pair["dropped"] != pair["kept"]),
        size_classes(step["sizes"]),
        kept,
        lines,
        others,
        step["largest"],
    )


def size_classes(sizes: Sequence[Mapping[str, Any]]) -> list[SizeClass]:
    """The classes of sizes with the lengths of their bars.

    Examples
    --------
    >>> size_classes([{"from": 2, "to": 3, "clusters": 4, "rows": 10}])
    [SizeClass(least=2, most=3, clusters=4, rows=10, width=100.0)]
    """
    most = max((size["rows"] for size in sizes), default=1)
    return [
        SizeClass(
            size["from"], size["to"], size["clusters"], size["rows"],
            round(100 * size["rows"] / most, 2),
        )
        for size in sizes
    ]  # fmt: skip


def source_matrix(
    between: Sequence[Mapping[str, Any]], most: int = MOST_SOURCES
) -> tuple[list[str], list[SourceLine], int]:
    """Rows dropped by source and by the source of what stays; nothing where there is one source.

    Parameters
    ----------
    between : pairs of sources with rows.
    most : so many sources are shown at most, those with the most rows.

    Returns
    -------
    The sources of the columns, a line for each of them, and how many dropped rows are of others.

    Examples
    --------
    >>> source_matrix([{"dropped": "a", "kept": "b", "rows": 3}])
    (['a', 'b'], [SourceLine(source='a', rows=[0, 3], total=3)], 0)
    """
    rows_of: Counter[str] = Counter()
    cells: Counter[tuple[str, str]] = Counter()
    for pair in between:
        cells[pair["dropped"], pair["kept"]] += pair["rows"]
        for name in {pair["dropped"], pair["kept"]}:
            rows_of[name] += pair["rows"]
    if len(rows_of) < 2:
        return [], [], 0
    names = sorted(sorted(rows_of, key=lambda name: (-rows_of[name], name))[:most])
    found = [(name, [cells[name, other] for other in names]) for name in names]
    lines = [SourceLine(name, rows, sum(rows)) for name, rows in found if any(rows)]
    return names, lines, sum(cells.values()) - sum(line.total for line in lines)
