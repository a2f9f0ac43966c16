"""Samplers that keep every row and weigh it so that two groups compare: what they share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakebalance.core.diagnostics import Diagnostic, Prepared
from lakebalance.core.registry import Method
from lakebalance.core.sources import unite
from lakebalance.sample.arm_weights import ArmWeights, score
from lakebalance.sample.comparison import (
    ARM,
    CONTROL,
    NAMES,
    TREATED,
    ComparisonOptions,
    check_columns,
    check_group,
    encoded,
    encoded_rows,
)
from lakebalance.sample.comparison_diagnostics import agreement, weights
from lakebalance.sample.covariates import ARMS, Design, Survey, survey
from lakebalance.sample.exact_sums import Floats
from lakebalance.sample.moments import ArmMoments, Basis, moments, standardised
from lakebalance.sample.thresholds import GROUP, HASH
from lakebalance.sample.weight import every_row

SCORE = "__lb_score"


def comparison_method(
    name: str,
    options: type[ComparisonOptions],
    function: Callable[..., DataFrame],
    prepare: Callable[..., Prepared],
    example: str,
) -> Method:
    """A sampler that keeps every row and weighs it."""
    return Method(
        name,
        options,
        function,
        rows_out=every_row,
        weighs=True,
        example=example,
        check_columns=check_columns,
        check_group=check_group,
        prepare=prepare,
    )


@dataclass(frozen=True)
class Found:
    """What a method knows when it looks for weights.

    ``means`` are the columns' in each arm, ``outside`` counts its rows that have a covariate out of
    the other arm's range.
    """

    rows: DataFrame
    survey: Survey
    means: Mapping[int, Floats]
    outside: Mapping[int, int]


def looked_at(frames: Sequence[DataFrame], options: ComparisonOptions) -> Found:
    """Look at the rows in two passes.

    Raises
    ------
    RecipeError : see ``survey``.
    """
    rows = encoded_rows(frames, options)
    return Found(rows, *standardised(rows, survey(frames, options)))


def scale_factors(
    counts: Mapping[int, int], after: Mapping[int, ArmMoments], options: ComparisonOptions
) -> dict[int, float]:
    """What makes each arm's weights sum to its rows, or to those of whom it stands for."""
    stands_for = {
        "ate": after[TREATED].rows + after[CONTROL].rows,
        "att": after[TREATED].rows,
        "atc": after[CONTROL].rows,
    }[options.estimand]
    totals = {arm: after[arm].rows if options.stabilised else stands_for for arm in ARMS}
    return {arm: totals[arm] / after[arm].total for arm in ARMS}


def prepared(
    found: Found,
    basis: Basis,
    arms: Mapping[int, ArmWeights],
    after: Mapping[int, ArmMoments],
    factors: Mapping[int, float],
    *,
    propensities: bool = False,
    more: Sequence[Diagnostic] = (),
) -> Prepared:
    """The state that ``weighted`` takes, and diagnostics.

    Parameters
    ----------
    found : what was known before.
    basis : what was balanced.
    arms : each arm's weights.
    after : what ``moments`` found with them.
    factors : what makes them sum to what they are to.
    propensities : whether the scores are log odds of being treated.
    more : further diagnostics.
    """
    design, counts = basis.design, found.survey.rows
    scaled = {arm: replace(arms[arm], factor=factors[arm]) for arm in ARMS}
    state = {
        "columns": design.to_state(),
        "weights": {NAMES[arm]: scaled[arm].to_state() for arm in ARMS},
    }
    said = [
        agreement(design, found.means, {arm: after[arm].means for arm in ARMS}),
        weights(counts, after, factors, found.outside, propensities=propensities),
    ]
    return Prepared(state, [*said, *more])


def after_weighting(
    found: Found, basis: Basis, arms: Mapping[int, ArmWeights], largest: float
) -> dict[int, ArmMoments]:
    """Weighted means and spread of the weights, in one pass."""
    return moments(found.rows, basis, basis.bounds(found.survey), arms, largest)


def weighted(
    frames: Sequence[DataFrame],
    options: ComparisonOptions,
    state: Mapping[str, Any],
    basis_of: Callable[[Design], Basis] = Basis,
) -> DataFrame:
    """Every row once, with its weight.

    Parameters
    ----------
    frames : frames of one schema with ``__lb_group`` and ``__lb_hash``.
    options : treatment and covariates; the name of the new column.
    state : what ``prepared`` made.
    basis_of : makes of the design what was balanced.

    Returns
    -------
    One frame without the two columns and with a double column of weights.
    """
    basis = basis_of(Design.from_state(options.covariates, state["columns"]))
    arms = {arm: ArmWeights.from_state(state["weights"][NAMES[arm]]) for arm in ARMS}

    def scores_of(rows: pa.Array) -> pa.Array:
        batch = pa.RecordBatch.from_struct_array(rows)
        matrix, treated = basis.matrix(batch), batch.column(ARM).to_numpy() == TREATED
        of_arm = {arm: score(matrix, arms[arm].coefficients) for arm in ARMS}
        return pa.array(np.where(treated, of_arm[TREATED], of_arm[CONTROL]))

    rows = unite(frames)
    scores = F.arrow_udf(scores_of, "double")  # type: ignore[attr-defined]
    scored = rows.withColumn(SCORE, scores(F.struct(*encoded(rows, options))))
    of_row = {arm: arms[arm].expression(F.col(SCORE)) for arm in ARMS}
    arm = encoded(rows, options)[0]
    weight = F.when(arm == TREATED, of_row[TREATED]).when(arm == CONTROL, of_row[CONTROL])
    return scored.withColumn(options.column, weight).drop(GROUP, HASH, SCORE)
