"""``entropy_balance``: weights nearest to equal ones for which the covariates' means agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import Field
from pyspark.sql import DataFrame

from lakebalance.core.diagnostics import Prepared
from lakebalance.sample.comparable import (
    after_weighting,
    comparison_method,
    looked_at,
    prepared,
    scale_factors,
    weighted,
)
from lakebalance.sample.comparison import ComparisonOptions
from lakebalance.sample.entropy import balanced
from lakebalance.sample.moments import Basis
from lakebalance.sample.thresholds import Share


class EntropyBalance(ComparisonOptions):
    """Keep every row and weigh it: treated and controls then agree in the covariates' means."""

    method: Literal["entropy_balance"]
    ridge: float = Field(
        0.0,
        ge=0,
        allow_inf_nan=False,
        description="0 for means that agree exactly. Above, a covariate's means may differ, by "
        "ridge times its coefficient, in standard deviations; there is a solution then always.",
    )


def find_weights(
    frames: Sequence[DataFrame], shares: Mapping[int, Share], options: EntropyBalance
) -> Prepared:
    """Find the weights' coefficients, in three passes over the covariates and one a Newton step.

    Raises
    ------
    RecipeError : the rows do not allow it; with the covariate and what to write instead.
    """
    found = looked_at(frames, options)
    basis = Basis(found.survey.design)
    arms = balanced(found.rows, found.survey, basis, found.means, options, options.ridge)
    after = after_weighting(found, basis, arms)
    return prepared(found, basis, arms, after, scale_factors(after, options))


def entropy_balance(
    frames: Sequence[DataFrame],
    shares: Mapping[int, Share],
    options: EntropyBalance,
    state: Mapping[str, Any],
) -> DataFrame:
    """Every row with a weight, such that weighted means of covariates agree between the groups.

    For ``att``, treated rows have weight 1 and controls the weights of least entropy for which
    their means are those of the treated: the nearest to equal ones. ``atc`` is the reverse; for
    ``ate`` both groups get the means of all rows.

    Parameters
    ----------
    frames : frames of one schema with ``__lb_group`` and ``__lb_hash``.
    shares : per group: rows available and targeted, which must be as many.
    options : treatment, covariates, estimand, name of the weight column.
    state : the coefficients that were found.

    Returns
    -------
    One frame without the two columns and with a double column of weights.

    References
    ----------
    Hainmueller, "Entropy Balancing for Causal Effects", Political Analysis 2012.
    """
    return weighted(frames, options, state)


METHOD = comparison_method(
    "entropy_balance",
    EntropyBalance,
    entropy_balance,
    find_weights,
    "{method: entropy_balance, treatment: trained, treated: 1, covariates: [age, region]}",
)
