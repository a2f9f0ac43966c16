"""``kernel_balance``: weights for which the means of random features of a kernel agree."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Literal

import numpy as np
from pydantic import Field
from pyspark.sql import DataFrame

from lakebalance.core.diagnostics import Diagnostic, Prepared
from lakebalance.sample.arm_weights import ArmWeights
from lakebalance.sample.comparable import (
    after_weighting,
    comparison_method,
    looked_at,
    prepared,
    scale_factors,
    weighted,
)
from lakebalance.sample.comparison import ComparisonOptions
from lakebalance.sample.covariates import ARMS, Design
from lakebalance.sample.entropy import balanced
from lakebalance.sample.exact_sums import Floats
from lakebalance.sample.fourier import Fourier
from lakebalance.sample.moments import Basis
from lakebalance.sample.thresholds import Share


class KernelBalance(ComparisonOptions):
    """Keep every row and weigh it: treated and controls agree in more than covariates' means."""

    method: Literal["kernel_balance"]
    features: int = Field(
        50, ge=1, le=500, description="Random features of the kernel whose means are to agree."
    )
    bandwidth: float | None = Field(
        None,
        gt=0,
        allow_inf_nan=False,
        description="Distance at which two rows have a kernel of exp(-1/2), in standard "
        "deviations; if left out the root of how many covariates there are, each value of a "
        "category counted.",
    )
    ridge: float = Field(
        0.001,
        ge=0,
        allow_inf_nan=False,
        description="By how much means may differ: by ridge times the coefficient, in standard "
        "deviations of a covariate and in units of a feature, which is from -1 to 1.",
    )
    seed: int = Field(0, description="Another seed draws other features.")


def _basis(options: KernelBalance, design: Design) -> Basis:
    """The covariates and the features of them."""
    width = len(design.columns)
    bandwidth = options.bandwidth or math.sqrt(width)
    return Basis(design, Fourier.drawn(width, options.features, bandwidth, options.seed))


def _distance(means: Mapping[int, Floats], width: int) -> float:
    """How far the arms are apart in the kernel's space, estimated by the features (MMD)."""
    first, second = (means[arm][width:] for arm in ARMS)
    return float(np.sqrt(2 * np.mean((first - second) ** 2)))


def find_weights(
    frames: Sequence[DataFrame], shares: Mapping[int, Share], options: KernelBalance
) -> Prepared:
    """Find the weights' coefficients, in four passes over the covariates and one a Newton step.

    Raises
    ------
    RecipeError : the rows do not allow it; with the covariate and what to write instead.
    """
    found = looked_at(frames, options)
    basis = _basis(options, found.survey.design)
    width = len(basis.design.columns)
    ones = {arm: ArmWeights.ones(width + options.features) for arm in ARMS}
    before = after_weighting(found, basis, ones)
    means = {arm: np.append(found.means[arm], before[arm].means[width:]) for arm in ARMS}
    arms = balanced(found.rows, found.survey, basis, means, options, options.ridge)
    after = after_weighting(found, basis, arms)
    distances = [_distance(means, width), _distance({a: after[a].means for a in ARMS}, width)]
    said = Diagnostic(
        "Distance of the joint distributions",
        ["kernel", "features", "before", "after"],
        [["Gaussian", options.features, *distances]],
        "Maximum mean discrepancy of the two groups, estimated from the random features.",
    )
    factors = scale_factors(after, options)
    return prepared(found, basis, arms, after, factors, more=[said])


def kernel_balance(
    frames: Sequence[DataFrame],
    shares: Mapping[int, Share],
    options: KernelBalance,
    state: Mapping[str, Any],
) -> DataFrame:
    """Every row with a weight, such that means of covariates and of kernel features agree.

    As ``entropy_balance``, with cosines of random combinations of the covariates beside them: where
    the means of enough of them agree, so do those of all smooth functions of the covariates,
    squares and products among them.

    Parameters
    ----------
    frames : frames of one schema with ``__lb_group`` and ``__lb_hash``.
    shares : per group: rows available and targeted, which must be as many.
    options : treatment, covariates, features, estimand, name of the weight column.
    state : the coefficients that were found.

    Returns
    -------
    One frame without the two columns and with a double column of weights.

    References
    ----------
    Li et al., "Debiased Collaborative Filtering with Kernel-Based Causal Balancing", ICLR 2024,
    whose kernel is here approximated after Rahimi, Recht, "Random Features for Large-Scale Kernel
    Machines", NIPS 2007.
    """
    return weighted(frames, options, state, partial(_basis, options))


METHOD = comparison_method(
    "kernel_balance",
    KernelBalance,
    kernel_balance,
    find_weights,
    "{method: kernel_balance, treatment: trained, treated: 1, covariates: [age, region]}",
)
