"""``qqt``: as many of the best quality buckets as a compute budget asks for."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Literal, TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from lakebalance.allocate.pool_tables import choice_table, curve_table, fit_tables
from lakebalance.allocate.pools import Bucket, Law, Pool, best, pools_of
from lakebalance.allocate.rounding import InfeasibleBudget
from lakebalance.allocate.rules import Group, RuleOptions, check_names, whole_budget
from lakebalance.allocate.utility_fit import LONGEST, Fit, MeasuredLoss, fit_utilities
from lakebalance.core.diagnostics import Diagnostic
from lakebalance.core.errors import RecipeError
from lakebalance.core.registry import Method

MOST_BUCKETS = 1_000
NUMBERED = re.compile(r"(\d+): ")
Named = TypeVar("Named")


class Utility(BaseModel):
    """How much a bucket's samples lower the loss, and for how long."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    utility: float = Field(
        lt=0, allow_inf_nan=False, description="b in loss = d + (a · n / unit)^b, below 0."
    )
    half_life: float = Field(
        gt=0,
        le=LONGEST,
        description="Epochs of the bucket alone in which that is halved.",
    )


class Losses(BaseModel):
    """Losses that training runs measured on single buckets."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    file: str | None = Field(
        None, description="CSV file beside the recipe, with bucket, samples_seen and loss."
    )
    measured: list[MeasuredLoss] = Field(default_factory=list, description="The same, in here.")

    @model_validator(mode="after")
    def _read(self) -> Losses:
        if self.file is not None:
            raise ValueError("a file is read by Recipe.load alone; give measured here")
        if not self.measured:
            raise ValueError("write file, or measured losses")
        return self


class Qqt(RuleOptions):
    """Uses the k best quality buckets, with k by the samples that a model is to see (QQT).

    The budget are samples seen, over all epochs: repeated rows count as often as they are there.
    """

    method: Literal["qqt"]
    buckets: dict[str, Utility] = Field(
        default_factory=dict,
        description="By group, bins by name or number: utility, b in loss = d + (a · n / unit)^b, "
        "below 0; half_life, the epochs of the group alone in which that is halved, up to 1,000.",
    )
    fit: Losses | None = Field(
        None,
        description="Instead, losses to fit them to: file, a CSV file beside the recipe with the "
        "columns bucket, samples_seen and loss, or measured, a list of the same.",
    )
    a: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = Field(
        None, description="a in loss = d + (a · n / unit)^b; 1 if left out, or fitted with fit."
    )
    d: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = Field(
        None, description="The loss that stays; 0 if left out, or fitted with fit."
    )
    unit: float = Field(
        100_000, gt=0, allow_inf_nan=False, description="Samples that a counts in, as in the paper."
    )
    bucket_rows: dict[str, Annotated[int, Field(gt=0)]] = Field(
        default_factory=dict,
        description="Rows that a bucket had when its half-life, or its losses, were measured; "
        "those it has now if left out.",
    )

    @model_validator(mode="after")
    def _one_way(self) -> Qqt:
        if bool(self.buckets) == (self.fit is not None):
            raise ValueError("write buckets with their utilities, or fit with measured losses")
        if self.min_rows:
            raise ValueError("buckets that are not among the best get no rows; leave out min_rows")
        return self


@dataclass(frozen=True)
class _Known:
    """The law, and the bucket that each group with rows is; ``fit`` where both were fitted."""

    law: Law
    buckets: Sequence[Bucket]
    fit: Fit | None = None


def qqt(groups: Sequence[Group], rows: int | None, options: Qqt) -> list[int]:
    """Choose how many of the best buckets a budget is shared over, and share it by their rows.

    The loss is that of the scaling law for the pool of the k best buckets, for each k; the k of
    least loss is taken, the smallest of several. All rows of the pool are seen equally often, up to
    rounding; other buckets get none. Buckets may differ in size, which is our generalisation: means
    over buckets are means over their rows, and a half-life c is c · N / P in a pool of N rows, for
    a bucket of P, which for buckets of one size is the paper's c · k. A bucket that is cut into
    two, each with half the half-life, changes nothing. The law says nothing before unit / a
    samples, where all buckets have the loss 1 + d: smaller budgets are refused, and pools of fewer
    rows not taken.

    Parameters
    ----------
    groups : the groups in order of their values: buckets by a column, or bins of a score.
    rows : the budget: samples seen over all epochs; None for as many as there are rows.
    options : ``buckets`` with utilities and half-lives, or ``fit``; ``a``, ``d``, ``unit``,
        ``bucket_rows``; ``max_epochs``, which excludes pools that would be repeated more often.

    Returns
    -------
    Target rows per group, summing to the budget: whoever is in is repeated evenly.

    Raises
    ------
    InfeasibleBudget : caps do not admit the budget, or the law does not reach down to it.
    RecipeError : a group has no utility, or one is named that is not there; the losses cannot be
        fitted.

    References
    ----------
    Goyal, Maini, Lipton, Raghunathan, Kolter, "Scaling Laws for Data Filtering: Data Curation
    cannot be Compute Agnostic", CVPR 2024. For buckets of several sizes, a generalisation of ours:
    means over rows, and a half-life of c · N / P for P of a pool's N rows.

    Examples
    --------
    >>> groups = [Group({"c": "rest"}, 10**6), Group({"c": "top"}, 10**6)]
    >>> options = Qqt(method="qqt", a=0.5, d=0.05, buckets={
    ...     "top": Utility(utility=-0.2, half_life=2), "rest": Utility(utility=-0.1, half_life=4)})
    >>> qqt(groups, 4 * 10**6, options), qqt(groups, 10**7, options)
    ([0, 4000000], [5000000, 5000000])
    """
    if not groups:
        return []
    caps = options.caps(groups)
    budget = whole_budget(groups, caps, rows)
    known = _known(groups, options)
    if budget == 0 or not known.buckets:
        return options.share(groups, budget, [group.available for group in groups])
    _check_budget(budget, known)
    pools = pools_of(known.law, known.buckets, budget)
    room = {g.name: budget if cap is None else cap for g, cap in zip(groups, caps, strict=True)}
    open_ = [
        pool for pool in _told(pools) if sum(room[bucket.name] for bucket in pool.buckets) >= budget
    ]
    pool = open_[int(best(open_, np.array([budget]))[0])] if open_ else pools[-1]
    chosen = {bucket.name for bucket in pool.buckets}
    shares = [group.available if group.name in chosen else 0 for group in groups]
    return options.share(groups, budget, shares)


def _known(groups: Sequence[Group], options: Qqt) -> _Known:
    """The law and the buckets, written or fitted, of the groups that have rows."""
    full = [group for group in groups if group.available]
    if len(full) > MOST_BUCKETS:
        raise RecipeError(
            f"there are {len(full):,} buckets, and qqt compares the pools of {MOST_BUCKETS:,} at "
            "most; make fewer, such as allocate.bins with quantiles of a score"
        )
    numbers = _numbers(groups)
    written, measured = _named(options.buckets, numbers), _named(options.bucket_rows, numbers)
    rows_of = {group.name: group.available for group in full} | measured
    check_names(groups, dict.fromkeys(measured, 0), "bucket_rows")
    if options.fit is not None:
        return _fitted(groups, rows_of, options, numbers)
    check_names(groups, dict.fromkeys(written, 0), "utility")
    _check_all(full, written, "write it under buckets")
    law = Law(1.0 if options.a is None else options.a, options.d or 0.0, options.unit)
    buckets = [
        Bucket(g.name, g.available, own.utility, own.half_life, rows_of[g.name])
        for g in full
        for own in [written[g.name]]
    ]
    return _Known(law, buckets)


def _fitted(
    groups: Sequence[Group], rows_of: Mapping[str, int], options: Qqt, numbers: Mapping[str, str]
) -> _Known:
    given = options.fit.measured if options.fit is not None else []
    points = [p.model_copy(update={"bucket": numbers.get(p.bucket, p.bucket)}) for p in given]
    full = [group for group in groups if group.available]
    check_names(groups, dict.fromkeys((point.bucket for point in points), 0), "a loss")
    _check_all(full, {point.bucket for point in points}, "add its losses to those of fit")
    known = [point for point in points if point.bucket in rows_of]
    if not known:
        return _Known(Law(1.0, 0.0, options.unit), [])
    fit = fit_utilities(known, rows_of, options.unit, options.a, options.d)
    by_name = {bucket.name: bucket for bucket in fit.buckets}
    buckets = [replace(by_name[group.name], rows=group.available) for group in full]
    return _Known(fit.law, buckets, fit)


def _check_all(full: Sequence[Group], named: Collection[str], what_to_do: str) -> None:
    for group in full:
        if group.name not in named:
            raise RecipeError(
                f'group "{group.name}" has no utility; {what_to_do}, or filter its rows out'
            )


def _numbers(groups: Sequence[Group]) -> dict[str, str]:
    """The names of bins by their numbers, as the edges of quantiles are not known beforehand."""
    names = [group.name for group in groups]
    found = {str(int(n[1])): name for name in names if (n := NUMBERED.match(name))}
    return {number: name for number, name in found.items() if number not in names}


def _named(given: Mapping[str, Named], numbers: Mapping[str, str]) -> dict[str, Named]:
    """What is given by name, or by a bin's number, by name."""
    found: dict[str, Named] = {}
    for name, what in given.items():
        full = numbers.get(name, name)
        if full in found:
            raise RecipeError(f'"{name}" and "{full}" are one bucket; leave one out')
        found[full] = what
    return found


def _told(pools: Sequence[Pool]) -> list[Pool]:
    """The pools that are so large that the law says something of them."""
    return [pool for pool in pools if pool.rows >= pool.law.start]


def _check_budget(budget: int, known: _Known) -> None:
    law, rows = known.law, sum(bucket.rows for bucket in known.buckets)
    if min(budget, rows) < law.start:
        what = f"budget of {budget:,} samples" if budget < law.start else f"buckets' {rows:,} rows"
        raise InfeasibleBudget(
            f"the law says nothing before unit / a = {law.start:,} samples, where every bucket has "
            f"the loss 1 + d, and the {what} are fewer; write a smaller unit, or a larger a"
        )


def diagnose(groups: Sequence[Group], targets: Sequence[int], options: Qqt) -> list[Diagnostic]:
    """The loss of every pool, the best one for every budget, and how well utilities fit.

    Parameters
    ----------
    groups : the groups, over all sources.
    targets : rows planned for each.
    options : as for the rule.
    """
    known, budget = _known(groups, options), sum(targets)
    if not budget or not known.buckets:
        return []
    planned = {group.name: n for group, n in zip(groups, targets, strict=True)}
    tables = [
        choice_table(known.law, known.buckets, budget, planned),
        curve_table(known.law, known.buckets, budget),
    ]
    return tables + ([] if known.fit is None else fit_tables(known.fit))


METHOD = Method(
    "qqt",
    Qqt,
    qqt,
    example="{method: qqt, a: 0.5, d: 0.05, buckets: {top: {utility: -0.2, half_life: 2}, "
    "rest: {utility: -0.1, half_life: 4}}}",
    diagnose=diagnose,
)
