"""A table of what the rows of groups are worth, repeated or not."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lakebalance.allocate.rules import Group
from lakebalance.core.diagnostics import Cell, Diagnostic
from lakebalance.core.labels import readable
from lakebalance.core.repetition import R_STAR, effective_rows, next_value

TITLE = "value of repetition"
LINES = 40
DIGITS = 6


def diagnose_repetition(
    groups: Sequence[Group],
    targets: Sequence[int],
    r_star: float = R_STAR,
    values: Sequence[float] | None = None,
) -> Diagnostic:
    """What the rows of each group are worth, and what its next epoch would be.

    Parameters
    ----------
    groups : the groups.
    targets : rows per group.
    r_star : R* of the law.
    values : what a row of each group is worth that was not seen before; 1 if left out.

    Returns
    -------
    Columns ``group``, ``available``, ``rows``, ``epochs``, ``worth`` (in rows not seen before),
    ``kept`` (the part of the rows that this is) and ``next epoch`` (what a row of it is worth).
    """
    worth = [1.0] * len(groups) if values is None else values
    filled = [i for i, group in enumerate(groups) if group.available]
    epochs = np.array([targets[i] / groups[i].available for i in filled], dtype=float)
    order = [filled[i] for i in np.argsort(-epochs, kind="stable").tolist()]
    shown = order if len(order) <= LINES else order[: LINES // 2] + order[-LINES // 2 :]
    note = (
        f"worth: rows not seen before that would be worth as much, by D' = U + U · R* · "
        f"(1 - exp(-R / R*)), R* = {r_star:g}; next epoch: what a row of it is worth. "
        f"{R_STAR} was fitted to language models on text: elsewhere it is a guide at most."
    )
    if len(order) > LINES:
        note += f" Of {len(order):,} groups, the most and the least repeated are shown."
    columns = ["group", "available", "rows", "epochs", "worth", "kept", "next epoch"]
    rows = [_line(groups[i], targets[i], r_star, worth[i]) for i in shown]
    return Diagnostic(TITLE, columns, rows, note)


def shown_name(group: Group) -> str:
    """The group's name, with arrays as people write them.

    Examples
    --------
    >>> shown_name(Group({"labels": '{"v":["a",null]}', "c": None}, 5))
    '["a", null]/null'
    """
    return Group({n: readable(v) or v for n, v in group.values.items()}, group.available).name


def _line(group: Group, rows: int, r_star: float, value: float) -> list[Cell]:
    effective = effective_rows(group.available, rows, r_star)
    return [
        shown_name(group),
        group.available,
        rows,
        round(rows / group.available, DIGITS),
        round(effective),
        round(effective / rows, DIGITS) if rows else None,
        round(value * next_value(group.available, rows, r_star), DIGITS),
    ]
