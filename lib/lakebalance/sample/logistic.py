"""Logistic regression by Newton's method: one pass over the rows a step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame

from lakebalance.core.errors import RecipeError
from lakebalance.sample.arm_weights import on_grid, score
from lakebalance.sample.comparison import ARM, CONTROL, NAMES, TREATED
from lakebalance.sample.covariates import ARMS, Survey
from lakebalance.sample.exact_sums import Floats, Tally, summed
from lakebalance.sample.moments import Basis
from lakebalance.sample.newton import Bowl, minimise

# A mean loss is never more than that of the start, log 2, where the steps shrink as they ought.
MOST_SCORE = 1000.0


@dataclass(frozen=True)
class Propensity:
    """Coefficients of the log odds of being treated, intercept first; least and greatest by arm."""

    coefficients: tuple[float, ...]
    scores: Mapping[int, tuple[float, float]]


def fitted(rows: DataFrame, survey: Survey, basis: Basis, ridge: float) -> Propensity:
    """Find the log odds of being treated by the covariates.

    Parameters
    ----------
    rows : rows as tasks see them.
    survey : what was found in them.
    basis : its columns are in standard deviations.
    ridge : penalty ridge / 2 · the sum of squared coefficients, without the intercept, on the mean
        log loss; 0 for none.

    Raises
    ------
    RecipeError : covariates tell the arms apart, so that without a ridge there is no maximum.
    """
    if not ridge:
        _check_ranges(survey)
    counts, bounds = survey.rows, np.append(1.0, basis.bounds(survey))
    total = survey.all_rows
    seen: dict[int, tuple[float, float]] = {}

    def evaluate(point: Floats) -> Bowl:
        coefficients = tuple(point.tolist())

        def work(tally: Tally, batch: pa.RecordBatch) -> None:
            arms, matrix = batch.column(ARM).to_numpy(), basis.matrix(batch)
            scores = np.clip(score(matrix, coefficients), -MOST_SCORE, MOST_SCORE)
            chance = 1 / (1 + np.exp(-scores))
            loss = np.logaddexp(0.0, scores) - arms * scores
            with_one = np.hstack([np.ones((len(matrix), 1)), matrix])
            tally.add("loss", 0, loss[:, None], [MOST_SCORE + 1])
            tally.add("gradient", 0, (chance - arms)[:, None] * with_one, bounds)
            root = np.sqrt(chance * (1 - chance))[:, None]
            tally.products("curvature", 0, root * with_one, bounds / 2)
            for arm in ARMS:
                tally.span("score", arm, scores[arms == arm][:, None])

        found = summed(rows, work)
        for arm in ARMS:
            seen[arm] = found.span("score", arm) or (0.0, 0.0)
        if not ridge and seen[TREATED][0] > seen[CONTROL][1]:
            raise _separated(survey, point)
        return Bowl(
            float(found.numbers("loss", 0, [MOST_SCORE + 1])[0]) / total,
            found.numbers("gradient", 0, bounds) / total,
            found.matrix("curvature", 0, bounds / 2) / total,
        )

    start, penalty = np.zeros(len(bounds)), np.full(len(bounds), ridge)
    start[0], penalty[0] = np.log(counts[TREATED] / counts[CONTROL]), 0.0
    found = minimise(evaluate, start, penalty)
    if not found.converged:
        raise _separated(survey, found.point)
    return Propensity(on_grid(found.point), dict(seen))


def _check_ranges(survey: Survey) -> None:
    """Raise where one covariate alone, or being of one category, says what arm a row is of."""
    (least, most), (low, high) = survey.scaled_span(TREATED), survey.scaled_span(CONTROL)
    for j, column in enumerate(survey.design.columns):
        label = survey.design.labels[j]
        if least[j] == most[j] == low[j] == high[j]:
            continue
        if column.kind != "value":
            if least[j] == most[j] or low[j] == high[j]:
                arm = TREATED if least[j] == most[j] else CONTROL
                share = "all rows" if survey.spans[arm][0, j] else "no row"
                other = "not all" if survey.spans[arm][0, j] else "some"
                raise _no_overlap(
                    f"{share} of the {NAMES[arm]} group and {other} of the {NAMES[1 - arm]} group "
                    f"have {label}"
                )
        elif least[j] >= high[j] or low[j] >= most[j]:
            spans = [
                f"from {a:.6g} to {b:.6g} in the {NAMES[arm]} group"
                for arm, (a, b) in ((arm, survey.spans[arm][:, j]) for arm in ARMS)
            ]
            raise _no_overlap(f'"{label}" is {" and ".join(spans)}')


def _no_overlap(said: str) -> RecipeError:
    return RecipeError(
        f"sample.covariates: no overlap: {said}, so that propensities would be 0 or 1; leave out "
        "such rows with where in sources, take the covariate out, or write sample.ridge: 0.001 and "
        "sample.bounds: [0.01, 0.99]"
    )


def _separated(survey: Survey, point: Floats) -> RecipeError:
    labels = survey.design.labels
    order = np.argsort(-np.abs(point[1 : len(labels) + 1]), kind="stable")
    return RecipeError(
        "sample.covariates: together they tell the two groups apart (perfect separation), so that "
        "propensities would be 0 or 1; most of all do "
        f"{', '.join(labels[j] for j in order[:3])}; take such covariates out, leave out rows "
        "without counterpart with where in sources, or write sample.ridge: 0.001 and "
        "sample.bounds: [0.01, 0.99]"
    )
