"""``transport``: the mixture that pilots and distances to a target say performs best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from lakebalance.allocate.pilots import Forecast, fit_line
from lakebalance.allocate.rounding import InfeasibleBudget
from lakebalance.allocate.rules import (
    SHARES_OFF,
    Group,
    RuleOptions,
    check_names,
    sum_of_shares,
    whole_budget,
)
from lakebalance.allocate.samples import Embeddings, Finite, Projections
from lakebalance.allocate.sliced import Areas, areas_of, nearest_mixture
from lakebalance.core.diagnostics import Cell, Diagnostic
from lakebalance.core.errors import RecipeError
from lakebalance.core.registry import Method

# Shares are whole parts of this: finer ones are not worth what pilots cost.
PARTS = 10_000


class Pilot(BaseModel):
    """A run on a mixture of so many rows, and how well it performed."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    rows: int = Field(gt=0, description="Rows trained on.")
    performance: Finite = Field(description="What was measured on the target.")
    shares: dict[str, float] = Field(description="Share of each source; they sum to 1.")

    @model_validator(mode="after")
    def _whole(self) -> Pilot:
        if abs((total := sum_of_shares(self.shares)) - 1) > SHARES_OFF:
            raise ValueError(f"a pilot's shares sum to {total:.9g}, not to 1")
        return self


class Pilots(BaseModel):
    """Pilot runs at two sizes."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    file: str | None = Field(
        None, description="CSV file beside the recipe: rows, performance, a column a source."
    )
    measured: list[Pilot] = Field(default_factory=list, description="The same, in here.")

    @model_validator(mode="after")
    def _read(self) -> Pilots:
        if self.file is not None:
            raise ValueError("a file is read by Recipe.load alone; give measured here")
        if not self.measured:
            raise ValueError("write file, or measured pilots")
        return self


class Transport(RuleOptions):
    """The mixture nearest to a target, with the performance that pilot runs predict (projektor).

    Distances are sliced optimal transport between embeddings of the sources and of the target, read
    from their tables or projected beforehand.
    """

    method: Literal["transport"]
    pilots: Pilots = Field(
        description="Runs at two sizes, at least four each: file, a CSV file beside the recipe "
        "with the columns rows, performance, and the share of each source; or measured, a list."
    )
    embeddings: Embeddings | None = Field(
        None,
        description="Where embeddings are: column of the sources, an array of numbers; target, "
        "with the table of rows like those that a model is for (and format, version, timestamp, "
        "where); label, a column of labels that count in the distance, with label_weight (1.0); "
        "directions (32), quantiles (100), most rows of each source (20,000), seed (0).",
    )
    projections: Projections | None = Field(
        None,
        description="In place of embeddings, samples or quantiles of them projected onto the same "
        "directions: file, a CSV file beside the recipe with source, projection and value; or "
        "values, by source. target is what the target is called in it.",
    )
    better: Literal["larger", "smaller"] = Field(
        "larger", description="Whether performance is better the larger or the smaller it is."
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> Transport:
        if (self.embeddings is None) == (self.projections is None):
            raise ValueError("write either embeddings or projections")
        return self

    @model_validator(mode="after")
    def _no_floor(self) -> Transport:
        if self.min_rows:
            raise ValueError("sources that make a mixture worse get no rows; leave out min_rows")
        return self


@dataclass(frozen=True)
class _Known:
    """Distances of mixtures of the groups that have rows, and what pilots say of these."""

    areas: Areas
    forecast: Forecast

    def distance(self, counts: Sequence[int]) -> float:
        return self.areas.distance(np.asarray(counts, dtype=float) / sum(counts))


def transport(groups: Sequence[Group], rows: int | None, options: Transport) -> list[int]:
    """Share a budget by the mixture that is predicted to perform best.

    The distance of a mixture to the target is sliced optimal transport, of order 1: the mean over
    projections of the area between distribution functions. At each of two sizes the pilots'
    performance is fitted as b0 + b1 · distance, and performance is linear in the logarithm of rows,
    which is the paper's second stage as in the authors' code. As distance alone tells mixtures
    apart then, the best is the nearest within the caps, provided that distance is predicted to harm
    at the budget's size; else the rule refuses. The authors also fit terms quadratic in the shares,
    which are left out here.

    Labels enter the cost of transport as in optimal transport dataset distances, which the authors
    take for it: a label stands for the distribution of its rows' embeddings. Of the distances
    between these, here is that between their means (``pwdist_means_only`` in the code of these
    distances), in sliced form: what is projected is an embedding followed by the mean of its label
    in its source. So a label means in each source what its rows there are, whatever it is called,
    and the distance of a mixture stays a sum over its sources. ``plan`` and ``run`` make
    projections of ``embeddings``, as ``lb.project`` does.

    No share depends on the machine: neither here nor in the projections is a matrix product, whose
    last bits differ by processor and threads, or a function but ``+ - * /`` and square roots, and
    shares are rounded. Logarithms only say whether distance harms, and how much.

    Parameters
    ----------
    groups : the groups in order of their values: sources.
    rows : the budget in rows; None for as many as there are.
    options : ``pilots``, ``projections``, ``better``, ``max_epochs``; no ``embeddings``.

    Returns
    -------
    Target rows per group, summing to the budget; shares are whole parts of 1/10,000 of it.

    Raises
    ------
    InfeasibleBudget : caps do not admit the budget.
    RecipeError : pilots are too few, of other than two sizes, or say that distance does not harm; a
        source has no projections, or one is named that is not there.

    References
    ----------
    Kang, Just, Sahu, Jia, "Performance Scaling via Optimal Transport: Enabling Data Selection from
    Partially Revealed Sources", NeurIPS 2023 (projektor). Alvarez-Melis, Fusi, "Geometric Dataset
    Distances via Optimal Transport", NeurIPS 2020, for labels.

    Examples
    --------
    >>> values = {"a": [[0.0]], "b": [[4.0]], "target": [[0.0, 0.0, 0.0, 4.0]]}
    >>> runs = [Pilot(rows=n, performance=0.9 - 0.1 * abs(p - 0.75) + n / 1e5,
    ...               shares={"a": p, "b": 1 - p}) for n in (100, 900) for p in (0, 0.2, 0.5, 1)]
    >>> options = Transport(method="transport", pilots=Pilots(measured=runs),
    ...                     projections=Projections(values=values))
    >>> transport([Group({"s": "a"}, 5000), Group({"s": "b"}, 5000)], 2000, options)
    [1500, 500]
    """
    if not groups:
        return []
    caps = options.caps(groups)
    budget = whole_budget(groups, caps, rows)
    if budget == 0 or not any(group.available for group in groups):
        return options.share(groups, budget, [group.available for group in groups])
    known = _known(groups, options)
    room = [budget if cap is None else min(cap, budget) for cap in caps]
    if sum(room) < budget:
        raise InfeasibleBudget(
            f"the budget of {budget:,} rows is more than caps allow; the largest feasible is "
            f"{sum(room):,}"
        )
    sign = 1 if options.better == "larger" else -1
    if (slope := known.forecast.slope(budget)) * sign >= 0:
        raise RecipeError(
            f"by the pilots, mixtures of {budget:,} rows perform no worse the farther they are "
            f"from the target (slope {slope:g}), so that distance does not tell which is best; "
            'look at the projections and at "better", or write another method'
        )
    full = [i for i, group in enumerate(groups) if group.available]
    nearest = nearest_mixture(known.areas, np.array([room[i] / budget for i in full]))
    shares = [0.0] * len(groups)
    for i, share in zip(full, nearest.tolist(), strict=True):
        # Who can be capped keeps a share at all, so that rounding never makes a budget infeasible.
        shares[i] = float(max(round(share * PARTS), 1e-6))
    return options.share(groups, budget, shares)


def _known(groups: Sequence[Group], options: Transport) -> _Known:
    given, full = options.projections, [group for group in groups if group.available]
    if given is None:
        raise RecipeError(
            "embeddings are read by plan and run alone; give projections, as lb.project makes them"
        )
    values = {name: slices for name, slices in given.values.items() if name != given.target}
    check_names(groups, dict.fromkeys(values, 0), "projections")
    for group in full:
        if group.name not in values:
            raise RecipeError(
                f'"{group.name}" has {group.available:,} rows and no projections; add them, or '
                "filter its rows out"
            )
    runs = options.pilots.measured
    for run in runs:
        check_names(groups, dict.fromkeys(run.shares, 0), "a pilot's share")
        if lost := [name for name, share in run.shares.items() if share and name not in values]:
            raise RecipeError(f'a pilot has a share of "{lost[0]}", which has no projections')
    sizes = sorted({run.rows for run in runs})
    if len(sizes) != 2:
        raise RecipeError(
            f"the pilots are of {len(sizes)} sizes ({', '.join(map(str, sizes))}); run them at two"
        )
    every, target = sorted(values), given.values[given.target]
    areas = areas_of(every, values, target)
    lines = []
    for size in sizes:
        own = [run for run in runs if run.rows == size]
        far = [areas.distance(np.array([r.shares.get(n, 0.0) for n in every])) for r in own]
        lines.append(fit_line(size, far, [run.performance for run in own]))
    names = [group.name for group in full]
    return _Known(areas_of(names, values, target), Forecast(*lines))


def diagnose(
    groups: Sequence[Group], targets: Sequence[int], options: Transport
) -> list[Diagnostic]:
    """The predicted performance of the plan, of other mixtures, and how well the pilots fit.

    Parameters
    ----------
    groups : the groups, over all sources.
    targets : rows planned for each.
    options : as for the rule.
    """
    budget = sum(targets)
    if not budget:
        return []
    known = _known(groups, options)
    full = [i for i, group in enumerate(groups) if group.available]
    mixtures = {
        "planned": [targets[i] for i in full],
        "as the data": [groups[i].available for i in full],
        "all alike": [1] * len(full),
    }
    lines: list[list[Cell]] = []
    for name, counts in mixtures.items():
        distance = known.distance(counts)
        forecast, error = (
            known.forecast.at(budget, distance),
            known.forecast.error(budget, distance),
        )
        lines.append([name, distance, forecast, error])
    small, large = known.forecast.small, known.forecast.large
    fits = "; ".join(
        f"{line.runs} pilots of {line.rows:,} rows, slope {line.slope:.4g}, residual standard "
        f"error {line.residual:.3g}"
        for line in (small, large)
    )
    target = "" if options.projections is None else options.projections.target
    note = f"Predicted for {budget:,} rows, linear in ln N; distances to {target}. {fits}."
    if budget > 10 * large.rows:
        note += f" The budget is {budget / large.rows:.0f} times the larger pilots: far to predict."
    columns = ["mixture", "distance to target", "predicted performance", "standard error"]
    return [Diagnostic("performance by optimal transport", columns, lines, note)]


METHOD = Method(
    "transport",
    Transport,
    transport,
    example="{method: transport, pilots: {measured: ["
    + ", ".join(
        f"{{rows: {n}, performance: {p}, shares: {{web: {w}, books: {round(1 - w, 1)}}}}}"
        for n, p, w in [
            (1000, 0.5, 0.2), (1000, 0.54, 0.4), (1000, 0.58, 0.6), (1000, 0.55, 0.8),
            (4000, 0.6, 0.2), (4000, 0.64, 0.4), (4000, 0.68, 0.6), (4000, 0.66, 0.8),
        ]
    )
    + "]}, projections: {values: {web: [[0, 1]], books: [[3, 4]], target: [[0, 1, 1, 3]]}}}",
    diagnose=diagnose,
)  # fmt: skip
