"""Repeat rows or weigh them: what either costs a plan, both in rows that are lost by it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lakebalance.core.diagnostics import Cell, Diagnostic
from lakebalance.core.repetition import R_STAR

Floats = NDArray[np.float64]
DIGITS = 6
ALIKE = 0.99  # costs that differ by less are the same: rounding to whole rows makes as much
SOURCE = (
    "Worth of repeats: Muennighoff et al., NeurIPS 2023, whose R* was fitted to language models on "
    "text; variance: Li et al., NAACL 2025, for gradients that are as large in all groups."
)


@dataclass(frozen=True)
class Advice:
    """What it costs to repeat the rows of some groups, and to weigh them instead.

    ``variance`` is how many times the gradient's variance weights make. ``kept_repeated`` is the
    part of its rows' worth that repetition leaves of a plan, ``kept_most`` of the group repeated
    most, which has ``most_epochs`` and is ``most_repeated`` by its place; ``kept_weighed`` is the
    part that weights leave.
    """

    repeated: int
    most_repeated: int
    most_epochs: float
    rows: int
    variance: float
    kept_repeated: float
    kept_most: float
    kept_weighed: float
    r_star: float

    @property
    def better(self) -> str:
        """``repeat``, ``repeat less`` or ``weigh``."""
        if self.kept_most < self.kept_weighed * ALIKE:
            return "weigh"
        return "repeat less" if self.most_epochs > 1 + self.r_star else "repeat"

    def sentence(self, over: str, name: str) -> str:
        """The advice in one line, with its numbers; ``name`` is the most repeated group's."""
        repeats = (
            f'seen {self.most_epochs:.3g} times, the rows of "{name}" keep {self.kept_most:.3g} of '
            f"their worth (all rows {self.kept_repeated:.3g})"
        )
        weights = f"weights make the gradient's variance {self.variance:.3g} times"
        weights += f", which keeps {self.kept_weighed:.3g}"
        if self.better == "weigh":
            return f"{over}: weigh, by sample: {{method: weight}}: {weights}; {repeats}"
        if self.better == "repeat":
            return f"{over}: repeat: {repeats}; {weights}"
        return (
            f"{over}: repeat, but less, by max_epochs: {1 + int(self.r_star)} or fewer, over which "
            f"a row is worth under 1/e of a new one: {repeats}; {weights}"
        )


def variance_ratio(available: Sequence[int], shares: Sequence[float]) -> float:
    """How many times the gradient's variance weights make, against rows drawn by their shares.

    V = Σ p² / q, where p are the mixture's shares and q those of the rows that there are, which
    weights p / q are put on. Groups that get nothing are left out: nobody reads them. It takes the
    gradients of all groups to be as large; then it is what importance sampling gives, and n rows
    with weights are as good as n / V without.

    Parameters
    ----------
    available : rows per group.
    shares : what the groups get, in shares or rows.

    References
    ----------
    Li et al., "Upsample or Upweight? Balanced Training on Heavily Imbalanced Datasets", NAACL 2025:
    sampling by temperature has the lower variance, faster convergence, and overfits sooner.

    Examples
    --------
    >>> counts = [9000, 900, 100]
    >>> [round(variance_ratio(counts, [n ** (1 / t) for n in counts]), 3) for t in (1, 2, 5)]
    [1.0, 1.649, 5.315]
    """
    rows, wanted = np.array(available, dtype=float), np.array(shares, dtype=float)
    used = (wanted > 0) & (rows > 0)
    if not used.any():
        return 1.0
    rows, wanted = rows[used], wanted[used]
    p, q = wanted / math.fsum(wanted), rows / math.fsum(rows)
    return math.fsum(p * p / q)


def advise(available: Sequence[int], rows: Sequence[int], r_star: float = R_STAR) -> Advice | None:
    """Whether to repeat rows or to weigh them; None where no row is seen twice.

    Either way a model sees as many rows. Repeated, those of a group are worth D' of equation 5:
    what is lost is lost in the group repeated most, which is what a model overfits to. Weighed, all
    rows are seen equally often, and the whole batch loses: so many rows without weights as are left
    after a division by V have the variance that these have with them. Whichever keeps more is
    advised; and to repeat less, where a group's next row is worth under 1/e of a new one (over
    1 + R* epochs). That the two are compared is ours; each of them is the papers'.

    Parameters
    ----------
    available : rows per group.
    rows : how many of each are seen, repeats counted.
    r_star : R* of the law of repetition.

    Examples
    --------
    >>> advise([9000, 900, 100], [4908, 3097, 1995]).better
    'repeat less'
    >>> advise([9000, 1000], [4000, 900]) is None
    True
    """
    n, seen = np.array(available, dtype=float), np.array(rows, dtype=float)
    over = seen > n
    if not (over & (n > 0)).any():
        return None
    epochs = np.divide(seen, n, out=np.zeros_like(seen), where=n > 0)
    most = int(epochs.argmax())
    total, used = math.fsum(seen), float(n[seen > 0].sum())
    variance = variance_ratio(available, rows)
    worth = _worth(n, seen, r_star)
    alike = math.fsum(_worth(np.array([used]), np.array([total]), r_star))
    return Advice(
        repeated=int(over.sum()),
        most_repeated=most,
        most_epochs=float(epochs[most]),
        rows=int(total),
        variance=variance,
        kept_repeated=math.fsum(worth) / total,
        kept_most=float(worth[most] / seen[most]),
        kept_weighed=alike / total / variance,
        r_star=r_star,
    )


def _worth(available: Floats, rows: Floats, r_star: float) -> Floats:
    """``effective_rows`` of many groups."""
    repeats = np.divide(rows, available, out=np.ones_like(rows), where=available > 0) - 1
    worth = available * (1 - r_star * np.expm1(-np.maximum(repeats, 0.0) / r_star))
    return np.where(repeats > 0, worth, rows)


def diagnose_advice(found: Sequence[tuple[str, str, Advice]]) -> Diagnostic:
    """The advice as a table, and in a sentence with its source.

    Parameters
    ----------
    found : what was advised over, the name of its most repeated group, and the advice.

    Returns
    -------
    Columns ``over``, ``groups repeated``, ``most epochs``, ``rows``, ``kept if repeated`` of all
    rows and ``of most repeated``, ``variance if weighed``, ``kept if weighed``, ``better``.
    """
    columns = ["over", "groups repeated", "most epochs", "rows", "kept if repeated"]
    columns += ["of most repeated", "variance if weighed", "kept if weighed", "better"]
    rows: list[list[Cell]] = [
        [
            over,
            a.repeated,
            round(a.most_epochs, DIGITS),
            a.rows,
            round(a.kept_repeated, DIGITS),
            round(a.kept_most, DIGITS),
            round(a.variance, DIGITS),
            round(a.kept_weighed, DIGITS),
            a.better,
        ]
        for over, _, a in found
    ]
    said = ". ".join(a.sentence(over, name) for over, name, a in found)
    return Diagnostic("repeat or weigh", columns, rows, f"{said}. {SOURCE}")
