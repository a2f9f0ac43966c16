"""What ``qqt`` has to say: the loss of every pool, the best one by budget, and how a fit fits."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from lakebalance.allocate.pool_switches import reach, stretches
from lakebalance.allocate.pools import Bucket, Law, best, pools_of
from lakebalance.allocate.utility_fit import Fit
from lakebalance.core.diagnostics import Cell, Diagnostic

LINES = 40


def choice_table(
    law: Law, buckets: Sequence[Bucket], budget: int, planned: Mapping[str, int]
) -> Diagnostic:
    """The loss of the pool of the k best buckets for every k, at one budget.

    Parameters
    ----------
    law, buckets : as the rule knows them.
    budget : samples seen.
    planned : rows that the plan has of each bucket.
    """
    pools = pools_of(law, buckets, budget)
    told = [pool for pool in pools if pool.rows >= law.start]
    least = told[int(best(told, np.array([budget]))[0])]
    rows: list[list[Cell]] = []
    for k, pool in enumerate(pools, 1):
        last = pool.buckets[-1]
        loss = pool.loss(budget) if pool.rows >= law.start else None
        about: list[Cell] = [k, last.name, last.utility, last.half_life]
        rows.append([*about, pool.rows, budget / pool.rows, loss, planned[last.name]])
    k = len(least.buckets)
    note = f"Samples seen: {budget:,}. The loss is least with {_counted(k)}."
    used = sum(planned[bucket.name] > 0 for bucket in pools[-1].buckets)
    if used != k:
        note += f" The plan has {_counted(used)}, as caps, or budgets of parts, ask for."
    if len(told) < len(pools):
        note += f" Of pools of under unit / a = {law.start:,} rows the law says nothing."
    if len(rows) > LINES:
        start = min(max(k - LINES // 2, 0), len(rows) - LINES)
        rows = rows[start : start + LINES]
        note += f" Of {len(pools):,} pools, {LINES} around it are shown."
    columns = ["best buckets", "the last", "its utility", "its half-life", "rows", "epochs"]
    columns += ["loss", "planned of the last"]
    return Diagnostic("quality buckets", columns, rows, note)


def curve_table(law: Law, buckets: Sequence[Bucket], budget: int) -> Diagnostic:
    """The best pool for every budget, and the budgets where that switches.

    Parameters
    ----------
    law, buckets : as the rule knows them.
    budget : samples seen; the curve reaches at least as far.
    """
    total, epochs = sum(bucket.rows for bucket in buckets), reach(buckets)
    last = max(budget, epochs * total)
    pools = [p for p in pools_of(law, buckets, last) if p.rows >= law.start]
    found = stretches(pools, law.start, last)
    rows: list[list[Cell]] = []
    for stretch in found[:LINES]:
        pool = pools[stretch.pool]
        about: list[Cell] = [stretch.first, stretch.last, len(pool.buckets), pool.buckets[-1].name]
        rows.append([*about, pool.loss(stretch.first), pool.loss(stretch.last)])
    note = (
        f"Exact for every budget from {law.start:,} samples, where the law starts, to {last:,}, "
        f"{last / total:,.4g} epochs of all rows; caps do not count here. This budget: {budget:,}."
    )
    if len(found) > LINES:
        note += f" Of {len(found):,} stretches, the first {LINES} are shown."
    columns = ["from", "to", "best buckets", "the last", "loss from", "loss to"]
    return Diagnostic("best quality buckets by samples seen", columns, rows, note)


def fit_tables(fit: Fit) -> list[Diagnostic]:
    """The fitted numbers with their standard errors, and what the fit leaves of each loss."""
    numbers: list[list[Cell]] = [[p.bucket, p.name, p.value, p.error] for p in fit.parameters]
    off = math.sqrt(math.fsum(r * r for _, r in fit.residuals) / len(fit.residuals))
    note = (
        f"Fitted to {len(fit.residuals):,} losses, off by {off:.3g} (root mean square). A standard "
        "error is missing where the losses do not tell a number, or it is at its limit."
    )
    worst = sorted(fit.residuals, key=lambda each: -abs(each[1]))[:LINES]
    said = "A residual is the loss measured less the fitted one; the largest are first."
    if len(fit.residuals) > LINES:
        said += f" Of {len(fit.residuals):,}, {LINES} are shown."
    rows_of = {bucket.name: bucket.measured_rows for bucket in fit.buckets}
    residuals: list[list[Cell]] = [
        [p.bucket, p.samples_seen, p.samples_seen / rows_of[p.bucket], p.loss, p.loss - r, r]
        for p, r in worst
    ]
    columns = ["bucket", "samples seen", "epochs", "loss", "fitted", "residual"]
    return [
        Diagnostic("fitted utilities", ["bucket", "number", "value", "std. error"], numbers, note),
        Diagnostic("residuals of the fit", columns, residuals, said),
    ]


def _counted(buckets: int) -> str:
    return "1 bucket" if buckets == 1 else f"{buckets:,} buckets"
