"""What repeated rows are worth: the law of data-constrained scaling, by groups."""

from __future__ import annotations

import math
from collections.abc import Sequence

from lakebalance.allocate.rules import Group
from lakebalance.core.diagnostics import Cell, Diagnostic

# R*, as fitted to language models of 7 million to 9 billion parameters on text (appendix A).
R_STAR = 15.387756
LINES = 40
DIGITS = 6


def effective_rows(available: int, rows: float, r_star: float = R_STAR) -> float:
    """Rows never seen before that would be worth as much as these, some of them repeats.

    D' = U + U · R* · (1 - e^(-R / R*)), where the U rows available are repeated R = rows / U - 1
    times; within the first epoch, the rows themselves.

    Parameters
    ----------
    available : U, the rows there are.
    rows : how many are seen, repeats counted.
    r_star : R* > 0, the repeats after which a row is worth 1/e of a new one.

    References
    ----------
    Muennighoff et al., "Scaling Data-Constrained Language Models", NeurIPS 2023, equation 5.

    Examples
    --------
    >>> [round(effective_rows(100, 100 * e) / (100 * e), 3) for e in (1, 2, 4, 8, 16, 40)]
    [1.0, 0.984, 0.931, 0.828, 0.661, 0.379]
    """
    if rows <= available:
        return float(rows)
    repeats = rows / available - 1
    return available * (1 - r_star * math.expm1(-repeats / r_star))


def next_value(available: int, rows: float, r_star: float = R_STAR) -> float:
    """What the next row is worth, in rows never seen before: e^(-R / R*), 1 in the first epoch.

    Examples
    --------
    >>> [round(next_value(100, 100 * e), 3) for e in (0.5, 1, 4, 16)]
    [1.0, 1.0, 0.823, 0.377]
    """
    return math.exp(-(rows / available - 1) / r_star) if rows > available else 1.0


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
    order = sorted(filled, key=lambda i: (-targets[i] / groups[i].available, i))
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
    return Diagnostic("value of repetition", columns, rows, note)


def _line(group: Group, rows: int, r_star: float, value: float) -> list[Cell]:
    effective = effective_rows(group.available, rows, r_star)
    return [
        group.name,
        group.available,
        rows,
        round(rows / group.available, DIGITS),
        round(effective),
        round(effective / rows, DIGITS) if rows else None,
        round(value * next_value(group.available, rows, r_star), DIGITS),
    ]
