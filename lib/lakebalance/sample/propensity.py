"""``propensity``: inverse probability weights, from a logistic regression on the covariates."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from pydantic import Field, field_validator
from pyspark.sql import DataFrame

from lakebalance.core.diagnostics import Prepared
from lakebalance.core.errors import RecipeError
from lakebalance.sample.arm_weights import ArmWeights
from lakebalance.sample.comparable import (
    Found,
    after_weighting,
    comparison_method,
    looked_at,
    prepared,
    scale_factors,
    weighted,
)
from lakebalance.sample.comparison import CONTROL, NAMES, TREATED, ComparisonOptions
from lakebalance.sample.comparison_diagnostics import quantile
from lakebalance.sample.covariates import ARMS
from lakebalance.sample.logistic import Propensity, fitted
from lakebalance.sample.moments import ArmMoments, Basis
from lakebalance.sample.thresholds import Share

MOST_WEIGHT = 1e150


class PropensityWeights(ComparisonOptions):
    """Keep every row and weigh it by the inverse of its chance to be in the group that it is in."""

    method: Literal["propensity"]
    normalise: bool = Field(
        True,
        description="Whether weights are scaled to their sum (Hájek), or are left as the inverse "
        "chances, times the group's share where stabilised (Horvitz-Thompson).",
    )
    bounds: tuple[float, float] | None = Field(
        None, description="Least and greatest propensity, such as [0.1, 0.9]."
    )
    outside: Literal["clip", "zero"] = Field(
        "clip",
        description="What rows beyond the bounds get: the weight of a row at the bound, or 0.",
    )
    quantile: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="Weights over this quantile of their group become as large as it, to 0.4 %.",
    )
    ridge: float = Field(
        0.0,
        ge=0,
        allow_inf_nan=False,
        description="Penalty of squared coefficients, in standard deviations, on the mean log "
        "loss; halved.",
    )

    @field_validator("bounds")
    @classmethod
    def _bounds_are_chances(cls, bounds: tuple[float, float] | None) -> Any:
        if bounds is not None and not 0 < bounds[0] < bounds[1] < 1:
            raise ValueError("bounds are two chances between 0 and 1, the lesser first")
        return bounds


def formulas(fit: Propensity, options: PropensityWeights) -> dict[int, ArmWeights]:
    """The weights that an estimand gives each arm, by the log odds s of being treated.

    With e = 1 / (1 + exp(-s)): 1/e = 1 + exp(-s), 1/(1-e) = 1 + exp(s), e/(1-e) = exp(s).
    """
    low, high = (None, None) if options.bounds is None else map(_logit, options.bounds)
    one = ArmWeights(fit.coefficients, 1.0, 0.0, 1.0, low, high, options.outside)
    both = replace(one, plus=float(options.estimand == "ate"), times=1.0)
    return {
        TREATED: one if options.estimand == "att" else replace(both, sign=-1.0),
        CONTROL: one if options.estimand == "atc" else both,
    }


def _logit(chance: float) -> float:
    return math.log(chance / (1 - chance))


def largest_weight(arms: Mapping[int, ArmWeights], fit: Propensity) -> float:
    """A bound on the weights before they are scaled.

    Raises
    ------
    RecipeError : a weight is too large to be summed.
    """
    most = 1.0
    for arm, weights in arms.items():
        if not weights.times:
            continue
        least, greatest = fit.scores[arm]
        if weights.least is not None and weights.most is not None:
            least, greatest = max(least, weights.least), min(greatest, weights.most)
        score = greatest if weights.sign > 0 else -least
        if score > math.log(MOST_WEIGHT):
            raise RecipeError(
                f"sample: a weight of the {NAMES[arm]} group would be e^{score:.0f}, which is too "
                "large to be summed, as its propensity is nearly 0 or 1; write sample.bounds: "
                "[0.01, 0.99], or a larger sample.ridge"
            )
        most = max(most, 1.0 + math.exp(score))
    return most


def _after(found: Found, basis: Basis, arms: dict[int, ArmWeights], largest: float
) -> dict[int, ArmMoments]:  # fmt: skip
    after = after_weighting(found, basis, arms, largest)
    for arm in ARMS:
        if not after[arm].rows:
            raise RecipeError(
                f"sample.bounds: no row of the {NAMES[arm]} group has a propensity within them; "
                "write wider ones, or sample.outside: clip"
            )
    return after


def find_weights(
    frames: Sequence[DataFrame], shares: Mapping[int, Share], options: PropensityWeights
) -> Prepared:
    """Fit propensities, in three passes over the covariates and one a Newton step.

    With a quantile it is one pass more.

    Raises
    ------
    RecipeError : the rows do not allow it; with the covariate and what to write instead.
    """
    found = looked_at(frames, options)
    basis = Basis(found.survey.design)
    fit = fitted(found.rows, found.survey, basis, options.ridge)
    arms = formulas(fit, options)
    largest = largest_weight(arms, fit)
    after = _after(found, basis, arms, largest)
    if options.quantile is not None:
        caps = {arm: quantile(after[arm], options.quantile) for arm in ARMS}
        arms = {arm: replace(arms[arm], cap=caps[arm]) for arm in ARMS}
        after = _after(found, basis, arms, largest)
    counts = found.survey.rows
    factors = scale_factors(after, options)
    if not options.normalise:
        stands_for = {"ate": found.survey.all_rows, "att": counts[TREATED], "atc": counts[CONTROL]}
        whole = stands_for[options.estimand]
        factors = {arm: counts[arm] / whole if options.stabilised else 1.0 for arm in ARMS}
    return prepared(found, basis, arms, after, factors, propensities=True)


def propensity(
    frames: Sequence[DataFrame],
    shares: Mapping[int, Share],
    options: PropensityWeights,
    state: Mapping[str, Any],
) -> DataFrame:
    """Every row with the inverse of its chance to be in its group, by its covariates.

    With e the chance to be treated, by logistic regression: for ``ate`` 1/e and 1/(1-e), for
    ``att`` 1 and e/(1-e), for ``atc`` (1-e)/e and 1, of treated rows and controls.

    Parameters
    ----------
    frames : frames of one schema with ``__lb_group`` and ``__lb_hash``.
    shares : per group: rows available and targeted, which must be as many.
    options : treatment, covariates, estimand, trimming, name of the weight column.
    state : the coefficients that were found.

    Returns
    -------
    One frame without the two columns and with a double column of weights.

    References
    ----------
    Rosenbaum, Rubin, "The central role of the propensity score in observational studies for causal
    effects", Biometrika 1983; stabilised weights after Robins, Hernán, Brumback, "Marginal
    structural models and causal inference in epidemiology", Epidemiology 2000.
    """
    return weighted(frames, options, state)


METHOD = comparison_method(
    "propensity",
    PropensityWeights,
    propensity,
    find_weights,
    "{method: propensity, treatment: trained, treated: 1, covariates: [age, region], "
    "estimand: ate, bounds: [0.05, 0.95]}",
)
