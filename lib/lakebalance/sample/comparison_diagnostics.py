"""What there is to say about two groups before and after weighting: agreement, weights, overlap."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from lakebalance.core.diagnostics import Cell, Diagnostic
from lakebalance.sample.comparison import CONTROL, NAMES, TREATED
from lakebalance.sample.covariates import ARMS, Design
from lakebalance.sample.exact_sums import Floats
from lakebalance.sample.moments import ArmMoments, bin_middle, bins

GOOD, FEW, TOP = 0.1, 0.1, 0.01


def agreement(
    design: Design, before: Mapping[int, Floats], after: Mapping[int, Floats]
) -> Diagnostic:
    """Each covariate's means and standardised mean difference, before and after.

    The difference is (mean of treated - mean of controls) / sqrt((s1² + s0²) / 2), with the
    deviations before weighting in both, as those after depend on the weights.

    Parameters
    ----------
    design : the columns, in pooled deviations.
    before : the columns' means in each arm.
    after : the weighted ones.
    """
    rows: list[list[Cell]] = []
    for j, label in enumerate(design.labels):
        cells: list[Cell] = [label]
        for means in (before, after):
            raw = [design.centers[j] + design.scales[j] * means[arm][j] for arm in ARMS]
            cells += [float(f"{value:.12g}") for value in raw]
            cells.append(_difference(means, j))
        rows.append(cells)
    worst = max(rows, key=lambda row: abs(float(row[6] or 0)))
    difference = abs(float(worst[6] or 0))
    note = (
        f"The largest standardised mean difference (SMD) after weighting is {difference:.2g}, of "
        f"{worst[0]}; under {GOOD} is held to be good."
    )
    columns = [
        "covariate",
        "mean treated",
        "mean control",
        "SMD",
        "weighted mean treated",
        "weighted mean control",
        "SMD after",
    ]
    return Diagnostic("Agreement of covariates", columns, rows, note)


def _difference(means: Mapping[int, Floats], j: int) -> float:
    """The difference of means, 0 where it is but what Newton's method leaves."""
    return round(float(means[TREATED][j] - means[CONTROL][j]), 9) + 0.0


def weights(
    counts: Mapping[int, int],
    after: Mapping[int, ArmMoments],
    factors: Mapping[int, float],
    outside: Mapping[int, int],
    *,
    propensities: bool,
) -> Diagnostic:
    """Each arm's weights: their sum, effective sample size, and how much the heaviest have.

    Parameters
    ----------
    counts : rows of each arm.
    after : the weights before they are scaled.
    factors : what they are scaled by.
    outside : rows of each arm with a covariate out of the other arm's range.
    propensities : whether scores are log odds of being treated, of treated rows less these.
    """
    columns = ["group", "rows", "weights over 0", "sum of weights", "effective sample size"]
    columns += ["largest weight", "share of heaviest 1 %", "share out of the other's ranges"]
    if propensities:
        columns += ["least propensity", "greatest propensity", "share out of common support"]
    rows: list[list[Cell]] = []
    for arm in ARMS:
        found, factor = after[arm], factors[arm]
        row: list[Cell] = [NAMES[arm], counts[arm], found.rows, found.total * factor]
        row += [found.effective, found.largest * factor, heaviest_share(found)]
        row.append(outside[arm] / counts[arm])
        if propensities:
            row += [expit(end) for end in found.scores]
            row.append(out_of_support(after, arm) / counts[arm])
        rows.append(row)
    return Diagnostic("Weights of the groups", columns, rows, _note(counts, after))


def _note(counts: Mapping[int, int], after: Mapping[int, ArmMoments]) -> str:
    few = [
        f"the {counts[arm]:,} rows of the {NAMES[arm]} group say no more than "
        f"{after[arm].effective:,.1f} would"
        for arm in ARMS
        if after[arm].effective < FEW * counts[arm]
    ]
    said = "Effective sample size: (sum of weights)² / sum of their squares."
    if not few:
        return said
    return (
        f"{said} Warning: {' and '.join(few)}, as few of them have most of the weight; take "
        "covariates out, leave out rows without counterpart, or write sample.ridge."
    )


def heaviest_share(found: ArmMoments) -> float:
    """The share that the heaviest 1 % of rows have in the sum of weights, to 0.4 %."""
    left = TOP * sum(found.weights.values())
    heavy = whole = 0.0
    for number in sorted(found.weights, reverse=True):
        value, count = bin_middle(number), found.weights[number]
        heavy += value * min(count, left)
        left -= min(count, left)
        whole += value * count
    return heavy / whole if whole else 0.0


def quantile(found: ArmMoments, share: float) -> float:
    """The weight that a share of an arm's rows do not exceed, to 0.4 %."""
    upto, rows = 0, sum(found.weights.values())
    for number in sorted(found.weights):
        upto += found.weights[number]
        if upto >= share * rows:
            return min(bin_middle(number), found.largest)
    return found.largest


def out_of_support(after: Mapping[int, ArmMoments], arm: int) -> int:
    """Rows of an arm whose score no row of the other arm reaches, to one bin of their odds."""
    other = after[1 - arm].scores
    low, high = bins(np.exp(np.clip(np.array(other), -700, 700)))
    return sum(n for number, n in after[arm].odds.items() if not low <= number <= high)


def expit(log_odds: float) -> float:
    """The probability of log odds.

    Examples
    --------
    >>> expit(0.0), expit(-1000.0)
    (0.5, 0.0)
    """
    if log_odds < -700:
        return 0.0
    return 1 / (1 + math.exp(-log_odds))
