"""Samplers that weigh rows so that two groups of them compare: what they share."""

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
    arm_of,
    check_columns,
    check_group,
    encoded,
    encoded_rows,
)
from lakebalance.sample.comparison_diagnostics import agreement, weights
from lakebalance.sample.copies_by_weight import (
    ARM_OF_ROW,
    WEIGHT,
    Copies,
    find_copies,
    put_out,
    with_copies_by_weight,
)
from lakebalance.sample.covariates import ARMS, Design, Survey, survey
from lakebalance.sample.exact_sums import Floats
from lakebalance.sample.moments import ArmMoments, Basis, moments, standardised
from lakebalance.sample.thresholds import COPIES, GROUP, HASH

SCORE = "__lb_score"


def comparison_method(
    name: str,
    options: type[ComparisonOptions],
    function: Callable[..., DataFrame],
    prepare: Callable[..., Prepared],
    example: str,
) -> Method:
    """A sampler that weighs rows; targets are the rows that there are, or those that it settles."""
    return Method(
        name,
        options,
        function,
        weighs=True,
        example=example,
        check_columns=check_columns,
        check_group=check_group,
        prepare=prepare,
    )


@dataclass(frozen=True)
class Found:
    """What a method knows when it looks for weights.

    ``rows`` are those of ``frames`` as tasks see them. ``means`` are the columns' in each arm,
    ``outside`` counts its rows that have a covariate out of the other arm's range.
    """

    frames: Sequence[DataFrame]
    options: ComparisonOptions
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
    return Found(frames, options, rows, *standardised(rows, survey(frames, options)))


def after_weighting(
    found: Found, basis: Basis, arms: Mapping[int, ArmWeights], largest: float = 1.0
) -> dict[int, ArmMoments]:
    """Weighted means and spread of the weights, in one pass; no weight may be over ``largest``."""
    # The exponents of the heaviest rows are rounded, so that they may be a little more.
    return moments(found.rows, basis, basis.bounds(found.survey), arms, 2.0 * largest)


def scale_factors(after: Mapping[int, ArmMoments], options: ComparisonOptions) -> dict[int, float]:
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
    """The state that ``weighted`` takes, diagnostics, and where rows are put out how many.

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
    state: dict[str, Any] = {
        "columns": design.to_state(),
        "weights": {NAMES[arm]: scaled[arm].to_state() for arm in ARMS},
    }
    said = [
        agreement(design, found.means, {arm: after[arm].means for arm in ARMS}),
        weights(counts, after, factors, found.outside, propensities=propensities),
        *more,
    ]
    if found.options.rows is None:
        return Prepared(state, said)
    weighed = with_weights(found.frames, found.options, basis, scaled)
    sums = {arm: after[arm].total * factors[arm] for arm in ARMS}
    wanted = rows_of_arms(found.options.rows, sums)
    copies = find_copies(weighed, wanted, sums)
    state["copies"] = {NAMES[arm]: copies[arm].to_state() for arm in ARMS}
    targets, put_out = _put_out(with_copies_by_weight(weighed, copies))
    return Prepared(state, [*said, put_out], targets)


def rows_of_arms(rows: int, sums: Mapping[int, float]) -> dict[int, int]:
    """Rows shared over the arms as the sums of their weights, of each at least one.

    Examples
    --------
    >>> rows_of_arms(10, {TREATED: 2.0, CONTROL: 1.0})
    {1: 7, 0: 3}
    """
    treated = round(rows * sums[TREATED] / (sums[TREATED] + sums[CONTROL]))
    treated = min(max(treated, 1), rows - 1)
    return {TREATED: treated, CONTROL: rows - treated}


def _put_out(counted: DataFrame) -> tuple[dict[int, int], Diagnostic]:
    """Rows put out of each group, and of each arm how its rows are repeated; one pass."""
    found = counted.groupBy(GROUP, ARM_OF_ROW).agg(
        F.count(F.lit(1)).alias("rows"),
        F.sum(COPIES).alias("put_out"),
        F.count_if(F.col(COPIES) == 0).alias("left_out"),
        F.max(COPIES).alias("most"),
    )
    lines = found.toArrow().to_pylist()
    targets = {line[GROUP]: 0 for line in lines}
    for line in lines:
        targets[line[GROUP]] += line["put_out"]
    rows = []
    for arm in ARMS:
        own = [line for line in lines if line[ARM_OF_ROW] == arm]
        sums = [sum(line[name] for line in own) for name in ("rows", "put_out", "left_out")]
        rows.append([NAMES[arm], *sums, max(line["most"] for line in own)])
    columns = ["group", "rows", "rows put out", "rows left out", "most copies of a row"]
    copies = sum(line["put_out"] - line["rows"] + line["left_out"] for line in lines)
    note = (
        f"{copies:,} of the rows put out are copies of others: a test that is split off afterwards "
        "would hold rows that were trained on; write split, which comes before."
        if copies
        else "No row is put out twice."
    )
    return targets, Diagnostic("Weights as rows", columns, rows, note)


def weighted(
    frames: Sequence[DataFrame],
    options: ComparisonOptions,
    state: Mapping[str, Any],
    basis_of: Callable[[Design], Basis] = Basis,
) -> DataFrame:
    """Every row once with its weight, or as often as its weight asks.

    Parameters
    ----------
    frames : frames of one schema with ``__lb_group`` and ``__lb_hash``.
    options : treatment and covariates; the name of the new column, or how many rows.
    state : what ``prepared`` made.
    basis_of : makes of the design what was balanced.

    Returns
    -------
    One frame without the two columns; where rows are not repeated, with a double column of weights.
    """
    basis = basis_of(Design.from_state(options.covariates, state["columns"]))
    arms = {arm: ArmWeights.from_state(state["weights"][NAMES[arm]]) for arm in ARMS}
    weighed = with_weights(frames, options, basis, arms)
    if options.rows is not None:
        return put_out(weighed, {a: Copies.from_state(state["copies"][NAMES[a]]) for a in ARMS})
    return weighed.withColumnRenamed(WEIGHT, options.column).drop(GROUP, HASH, ARM_OF_ROW)


def with_weights(
    frames: Sequence[DataFrame],
    options: ComparisonOptions,
    basis: Basis,
    arms: Mapping[int, ArmWeights],
) -> DataFrame:
    """All rows, with their arm and weight in ``__lb_arm`` and ``__lb_weight``."""

    def scores_of(rows: pa.Array) -> pa.Array:
        batch = pa.RecordBatch.from_struct_array(rows)
        matrix, treated = basis.matrix(batch), batch.column(ARM).to_numpy() == TREATED
        of_arm = {arm: score(matrix, arms[arm].coefficients) for arm in ARMS}
        return pa.array(np.where(treated, of_arm[TREATED], of_arm[CONTROL]))

    rows = unite(frames)
    scores = F.arrow_udf(scores_of, "double")  # type: ignore[attr-defined]
    scored = rows.withColumns(
        {SCORE: scores(F.struct(*encoded(rows, options))), ARM_OF_ROW: arm_of(rows, options)}
    )
    of_row = {arm: arms[arm].expression(F.col(SCORE)) for arm in ARMS}
    arm = F.col(ARM_OF_ROW)
    weight = F.when(arm == TREATED, of_row[TREATED]).when(arm == CONTROL, of_row[CONTROL])
    return scored.withColumn(WEIGHT, weight).drop(SCORE)
