"""Tables of how imbalanced labels are, before and after something is done about it."""

from __future__ import annotations

import math
from collections.abc import Sequence

from lakebalance.core.diagnostics import Cell, Diagnostic
from lakebalance.core.labels import Flags, LabelSets

LINES = 40


def imbalance(before: LabelSets, after: LabelSets | None = None) -> list[Diagnostic]:
    """How imbalanced labels are, singly and in all.

    Parameters
    ----------
    before : the label sets with their rows.
    after : the same labels, where anything changes.
    """
    both = [before] if after is None else [before, after]
    return [_singly(both), _in_all(both)]


def _singly(both: Sequence[LabelSets]) -> Diagnostic:
    first = both[0]
    order = sorted(range(len(first.names)), key=lambda i: (-first.counts[i], i))
    shown, note = order, _said(first)
    if len(order) > LINES:
        shown = order[: LINES // 2] + order[-LINES // 2 :]
        note += f" Of {len(order):,} labels, the most and the least frequent are shown."
    columns = ["label", "known", *_titles("rows", both), *_titles("IRLbl", both)]
    rows: list[list[Cell]] = [
        [
            first.names[i],
            int(first.known[i]),
            *[int(sets.counts[i]) for sets in both],
            *[_number(sets.irlbl[i]) for sets in both],
        ]
        for i in shown
    ]
    return Diagnostic("labels", columns, rows, note)


def _said(sets: LabelSets) -> str:
    rare = [name for name, is_rare in zip(sets.names, sets.minority, strict=True) if is_rare]
    return (
        "IRLbl is the rows of the most frequent label / a label's own, of rows that are known to "
        f"have it. {len(rare):,} labels are over its mean, and in the minority."
    )


def _in_all(both: Sequence[LabelSets]) -> Diagnostic:
    measures: dict[str, list[Cell]] = {
        "MeanIR": [_number(sets.mean_ir) for sets in both],
        "CVIR": [_number(sets.cvir) for sets in both],
        "SCUMBLE": [_number(sets.scumble) for sets in both],
        "labels per row": [_number(_per_row(sets)) for sets in both],
        "rows": [int(sets.rows.sum()) for sets in both],
        "rows without a label": [int(sets.rows[_bare(sets)].sum()) for sets in both],
        "rows of which nothing is known": [int(s.rows[s.in_the_dark].sum()) for s in both],
    }
    note = (
        "MeanIR: mean of IRLbl; CVIR: its coefficient of variation; SCUMBLE: how far frequent and "
        "rare labels meet in one row, 0 to 1."
    )
    rows: list[list[Cell]] = [[name, *values] for name, values in measures.items()]
    return Diagnostic("imbalance of labels", ["measure", *_titles("", both)], rows, note)


def _titles(what: str, both: Sequence[LabelSets]) -> list[str]:
    names = ["before", "after"] if len(both) > 1 else [""]
    return [f"{what} {name}".strip() or "value" for name in names]


def _per_row(sets: LabelSets) -> float:
    rows = int(sets.rows.sum())
    return float(sets.counts.sum()) / rows if rows else math.nan


def _bare(sets: LabelSets) -> Flags:
    return ~sets.labelled & ~sets.in_the_dark


def _number(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
