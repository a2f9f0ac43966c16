"""Weights of least entropy that make an arm's means what they are to be: the dual of the problem.

The weights are exp(l·(x - m)) for the l that makes log mean exp(l·(x - m)) least, m the wanted
means; its gradient is the difference of the weighted means from m. One pass over the rows gives its
value, gradient and second derivatives.

After Hainmueller, "Entropy Balancing for Causal Effects", Political Analysis 2012.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame

from lakebalance.core.errors import RecipeError
from lakebalance.sample.arm_weights import ArmWeights, on_grid, score
from lakebalance.sample.comparison import ARM, NAMES, TREATED, ComparisonOptions
from lakebalance.sample.covariates import ARMS, Survey
from lakebalance.sample.exact_sums import Floats, Sums, Tally, summed
from lakebalance.sample.moments import Basis
from lakebalance.sample.newton import Bowl, minimise

# Sums are made for weights up to MOST; the heaviest is kept over LEAST, as theirs are the bits.
MOST, LEAST = 256.0, 0.125


@dataclass
class Dual:
    """The sum of the duals of all arms that get weights, in the row of their coefficients.

    ``wanted`` are the means that each such arm is to have. ``tops`` are the greatest exponents at
    the last point, ``shifts`` what is taken off exponents before they are raised.
    """

    rows: DataFrame
    basis: Basis
    bounds: Floats
    counts: Mapping[int, int]
    wanted: Mapping[int, Floats]
    tops: dict[int, float] = field(default_factory=dict)
    shifts: dict[int, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # With equal weights the mean is 1, and later it is less.
        self.shifts = dict.fromkeys(self.wanted, 0.0)

    def __call__(self, point: Floats) -> Bowl:
        """Value, gradient and second derivatives at a point; one pass, two after a long step."""
        arms, width = list(self.wanted), len(self.bounds)
        parts = dict(zip(arms, point.reshape(len(arms), width), strict=True))
        found = self._sums(parts)
        self.tops = {arm: (found.span("score", arm) or (0.0, 0.0))[1] for arm in arms}
        far = {arm: top for arm, top in self.tops.items() if not self._in_reach(arm)}
        if far:
            self.shifts |= far
            found = self._sums(parts)
        bowls = [self._bowl(found, arm) for arm in arms]
        curvature = np.zeros((len(point), len(point)))
        for i, bowl in enumerate(bowls):
            here = slice(i * width, (i + 1) * width)
            curvature[here, here] = bowl.curvature
        return Bowl(
            sum(bowl.value for bowl in bowls),
            np.concatenate([bowl.gradient for bowl in bowls]),
            curvature,
        )

    def _in_reach(self, arm: int) -> bool:
        return math.log(LEAST) <= self.tops[arm] - self.shifts[arm] <= math.log(MOST)

    def _bounds(self, arm: int) -> Floats:
        """1, and the greatest distance of each column from what is wanted of it."""
        return np.append(1.0, self.bounds + np.abs(self.wanted[arm]))

    def _sums(self, parts: Mapping[int, Floats]) -> Sums:
        basis, wanted, shifts = self.basis, dict(self.wanted), dict(self.shifts)
        bounds = {arm: self._bounds(arm) for arm in parts}

        def work(tally: Tally, batch: pa.RecordBatch) -> None:
            arm_of_row, matrix = batch.column(ARM).to_numpy(), basis.matrix(batch)
            for arm, part in parts.items():
                from_wanted = matrix[arm_of_row == arm] - wanted[arm]
                scores = score(from_wanted, (0.0, *part.tolist()))
                weights = np.exp(np.minimum(scores - shifts[arm], math.log(MOST)))[:, None]
                with_one = np.hstack([np.ones_like(weights), from_wanted])
                tally.add("mean", arm, weights * with_one, 2 * MOST * bounds[arm])
                # Coarser than the gradient: it only points the way.
                root = np.sqrt(weights) * with_one
                tally.products("curvature", arm, root, 2 * math.sqrt(MOST) * bounds[arm])
                tally.span("score", arm, scores[:, None])

        return summed(self.rows, work)

    def _bowl(self, found: Sums, arm: int) -> Bowl:
        bounds = self._bounds(arm)
        sums = found.numbers("mean", arm, 2 * MOST * bounds)
        products = found.matrix("curvature", arm, 2 * math.sqrt(MOST) * bounds)
        mean = products[0, 1:] / products[0, 0]
        curvature = products[1:, 1:] / products[0, 0] - np.outer(mean, mean)
        value = self.shifts[arm] + float(np.log(sums[0] / self.counts[arm]))
        return Bowl(value, sums[1:] / sums[0], curvature)


def balanced(
    rows: DataFrame,
    survey: Survey,
    basis: Basis,
    means: Mapping[int, Floats],
    options: ComparisonOptions,
    ridge: float,
) -> dict[int, ArmWeights]:
    """Find the weights, 1 at most, that give each arm the means of those that it stands for.

    Parameters
    ----------
    rows : rows as tasks see them.
    survey : what was found in them.
    basis : what is to be balanced.
    means : its means in each arm.
    options : whom the arms stand for.
    ridge : 0 for means that agree; else they differ by ridge times the coefficient.

    Raises
    ------
    RecipeError : there are no such weights; with the covariates, and what to write instead.
    """
    share = survey.rows[TREATED] / survey.all_rows
    overall = share * means[TREATED] + (1 - share) * means[1 - TREATED]
    wanted = {
        arm: means[1 - arm] if options.estimand != "ate" else overall
        for arm in ARMS
        if options.estimand == "ate" or (arm == TREATED) == (options.estimand == "atc")
    }
    bounds = basis.bounds(survey)
    if not ridge:
        for arm, target in wanted.items():
            _check_ranges(survey, arm, target)
    dual = Dual(rows, basis, bounds, survey.rows, wanted)
    width = len(bounds)

    def bowl(point: Floats) -> Bowl:
        found = dual(point)
        # No weights of n rows have more entropy than log n to lose, so that there are none.
        if not ridge and found.value < -sum(np.log(survey.rows[arm]) for arm in wanted) - 1e-6:
            raise _unreachable(survey, basis, wanted, found.gradient, options)
        return found

    found = minimise(bowl, np.zeros(width * len(wanted)), np.full(width * len(wanted), ridge))
    if not found.converged:
        raise _unreachable(survey, basis, wanted, found.gradient, options)
    arms = {arm: ArmWeights.ones(width) for arm in ARMS}
    for arm, part in zip(wanted, found.point.reshape(len(wanted), width), strict=True):
        slopes = on_grid(part)
        # The heaviest row has weight 1, so that no sum of weights overflows.
        intercept = -(np.array(slopes) @ wanted[arm]) - dual.tops[arm]
        arms[arm] = ArmWeights(on_grid(np.append(intercept, slopes)))
    return arms


def _check_ranges(survey: Survey, arm: int, wanted: Floats) -> None:
    """Raise where a mean is wanted that no value of an arm reaches, or that only its ends do."""
    least, most = survey.scaled_span(arm)
    other = NAMES[1 - arm]
    for j, column in enumerate(survey.design.columns):
        target, label = wanted[j], survey.design.labels[j]
        if least[j] < target - 1e-12 and target + 1e-12 < most[j]:
            continue
        if abs(least[j] - target) < 1e-9 and abs(most[j] - target) < 1e-9:
            continue
        if column.kind == "value":
            raw = target * column.scale + column.center
            ends = survey.spans[arm][:, j]
            said = (
                f'the mean of "{label}" is to be {raw:.6g}, but in the {NAMES[arm]} group it is '
                f"from {ends[0]:.6g} to {ends[1]:.6g}"
            )
        else:
            has_all, has_any = survey.spans[arm][:, j] == [1.0, 1.0]
            lacking = NAMES[arm] if not has_any else other
            said = (
                f"all rows of the {NAMES[arm]} group have {label}, and not all of the {other} group"
                if has_all
                else f"no row of the {lacking} group has {label}, which some of the "
                f"{NAMES[arm] if lacking == other else other} group have"
            )
        raise RecipeError(
            f"sample.covariates: no overlap: {said}; no weights make the two comparable: leave out "
            "such rows with where in sources, take the covariate out, or write sample.ridge: 0.01, "
            "which balances as far as rows go"
        )


def _unreachable(
    survey: Survey,
    basis: Basis,
    wanted: Mapping[int, Floats],
    gradient: Floats,
    options: ComparisonOptions,
) -> RecipeError:
    width = len(survey.design.columns)
    off = np.abs(gradient.reshape(len(wanted), -1))[:, :width].max(axis=0)
    worst = [survey.design.labels[j] for j in np.argsort(-off, kind="stable")[:3] if off[j] > 1e-6]
    which = " and ".join(NAMES[arm] for arm in wanted)
    return RecipeError(
        f"sample.covariates: no weights of the {which} group give it the wanted means of all "
        f"covariates at once; farthest off are {', '.join(worst) or 'combinations of them'}; "
        "take covariates out, leave out rows that have no counterpart with where in sources, or "
        "write a larger sample.ridge, such as 0.01, which balances as far as rows go"
    )
