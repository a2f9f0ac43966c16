"""Great Expectations' own conditions of single rows, as Spark Columns.

What an expectation means is Great Expectations' alone: which rows it looks at, which of them are
unexpected, what it counts, and what follows from the counts.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakebalance.core.errors import RecipeError
from lakebalance.core.sources import SOURCE
from lakebalance.expect.engine import Engine, Resolved, cannot_be_used, sees_no_row
from lakebalance.recipe.expect import Expectation

# What Great Expectations calls the counts that decide about an expectation of rows.
ROWS, NULLS = "table.row_count", "column_values.nonnull.unexpected_count"
UNEXPECTED, FILTERED = ".unexpected_count", ".filtered_row_count"
# Of these, nulls are not passed over: they are what is asked about.
OF_NULLS = ("column_values.nonnull", "column_values.null")
# The counts that decide, and no examples.
BRIEF = {"result_format": "BOOLEAN_ONLY"}
# Their windows are of equal values, so that nulls may be passed over after them as well as before.
BY_VALUE = ("column_values.unique", "compound_columns.unique")
# Each row is compared with the one read before it, and a table has no order.
IN_ORDER = ("column_values.increasing", "column_values.decreasing")
# A Python function, which Spark calls for each row that it has, and which fails on some.
FAILS = ("column_values.match_json_schema",)


@dataclass(frozen=True)
class Bound:
    """An expectation as Great Expectations has it, and where it is in the recipe."""

    expectation: Expectation
    configured: Any
    place: str

    @property
    def name(self) -> str:
        """The name of its class."""
        return type(self.configured).__name__

    @property
    def metric(self) -> str:
        """The metric that says of each row whether it is unexpected; empty where there is none."""
        return getattr(self.configured, "map_metric", None) or ""

    @property
    def fails_on_others(self) -> bool:
        """Whether its condition may fail on rows that it does not look at."""
        shipped = type(self.configured).__module__.startswith("great_expectations.")
        return self.metric in FAILS or not shipped

    def counts(self, engine: Engine) -> Mapping[str, Any] | None:
        """The counts of rows that decide it, by name; None where something else does.

        Raises
        ------
        RecipeError : it cannot be used on Spark.
        """
        try:
            wanted: Mapping[str, Any] = self.configured.get_validation_dependencies(
                execution_engine=engine.own, runtime_configuration=dict(BRIEF)
            ).metric_configurations
        except Exception as error:  # of any kind, such as an assertion
            raise cannot_be_used(self.place, self.name, error) from error
        own = f"{self.metric}{UNEXPECTED}"
        if not self.metric or own not in wanted:
            return None
        if not engine.has(f"{self.metric}.condition"):
            why = "Great Expectations has no condition of rows for it on Spark"
            raise cannot_be_used(self.place, self.name, why)
        if (
            self.expectation.args.get("row_condition") is not None
            and "row_condition" not in wanted[own].metric_domain_kwargs
        ):
            why = "Great Expectations passes over a row_condition of it; leave it out"
            raise cannot_be_used(self.place, self.name, why)
        known = {ROWS, NULLS, own, f"{self.metric}{FILTERED}"}
        return wanted if set(wanted) <= known else None


@dataclass(frozen=True, eq=False)  # a Column has no truth to be compared by
class RowCheck:
    """A row-level expectation: which rows it looks at, and which of them are unexpected.

    ``unexpected`` holds over the rows of ``within``, which must be picked before it is worked out;
    None for all rows. ``counts`` are the conditions of the rows that Great Expectations counts
    besides the unexpected ones, by what it calls their number; None for all rows.
    """

    flag: str
    bound: Bound
    unexpected: Column
    within: Column | None
    counts: Mapping[str, Column | None]

    @property
    def expectation(self) -> Expectation:
        """What the recipe says."""
        return self.bound.expectation

    @property
    def domain(self) -> str:
        """What tells ``within`` from that of other checks."""
        args = self.expectation.args
        named = [args.get("row_condition"), args.get("condition_parser"), self.expectation.source]
        more = [] if self.bound.metric in BY_VALUE else [self.flag]
        return json.dumps([*named, *more], default=repr)

    @property
    def of_all(self) -> Column:
        """Where rows of any kind are unexpected: never outside of ``within``."""
        return self.unexpected if self.within is None else self.within & self.unexpected

    @property
    def counted(self) -> dict[str, Column]:
        """The conditions to count rows by besides ``flag``, by names of columns."""
        return {self._named(n): c for n, c in self.counts.items() if c is not None}

    def _named(self, count: str) -> str:
        return f"{self.flag}_{count.rpartition('.')[2]}"

    def judged(self, engine: Engine, sums: Mapping[str, int], rows: int) -> tuple[int, bool]:
        """The rows that ``mostly`` is a share of, and Great Expectations' verdict.

        Parameters
        ----------
        engine : over a frame of the same columns.
        sums : the counts of ``counted`` and of ``flag``.
        rows : all rows.
        """
        numbers = {name: sums.get(self._named(name), rows) for name in self.counts}
        numbers[f"{self.bound.metric}{UNEXPECTED}"] = sums[self.flag]
        wanted = self.bound.counts(engine)
        assert wanted is not None
        result = self.bound.configured.metrics_validate(
            metrics={asked.id: numbers[name] for name, asked in wanted.items()},
            runtime_configuration=dict(BRIEF),
            execution_engine=engine.own,
        )
        asked = numbers.get(f"{self.bound.metric}{FILTERED}", numbers[ROWS])
        if NULLS in numbers and self.bound.metric not in OF_NULLS:
            asked -= numbers[NULLS]
        return asked, bool(result.success)


def row_checks(
    bound: Mapping[str, Bound], rows: Callable[[], DataFrame], engine: Engine
) -> list[RowCheck]:
    """Those of some expectations that are of single rows, with Great Expectations' conditions.

    All conditions are had from one graph, and those that need numbers of all rows, such as a mean,
    from another one over ``rows``, in which one Spark job finds these numbers together.

    Parameters
    ----------
    bound : expectations of one source, or of all, by the names of their flags.
    rows : the rows that numbers are of.
    engine : over a frame of the same columns, which may be empty.

    Raises
    ------
    RecipeError : one cannot be used.
    """
    counts = {flag: own.counts(engine) for flag, own in bound.items()}
    asked = {
        flag: {n: _condition(count) for n, count in own.items() if n.endswith(UNEXPECTED)}
        for flag, own in counts.items()
        if own is not None
    }
    graphs: dict[str, Any] = {}
    for flag, conditions in asked.items():
        try:
            graphs[flag] = engine.graph(conditions.values())
        except Exception as error:  # Great Expectations' own, of any kind
            raise cannot_be_used(bound[flag].place, bound[flag].name, error) from error
    light = [flag for flag in asked if sees_no_row(graphs[flag])]
    heavy = [flag for flag in asked if flag not in light]
    values: dict[Any, Any] = {}
    for flags in (light, heavy):
        if not flags:
            continue
        over = engine if flags is light else Engine.of(rows())
        resolved = Resolved.of(over.graph(m for flag in flags for m in asked[flag].values()))
        values |= resolved.values
        for flag in flags:
            if any(metric.id not in values for metric in asked[flag].values()):
                why = resolved.why([edge.left for edge in graphs[flag].edges])
                raise cannot_be_used(bound[flag].place, bound[flag].name, why)
    return [_check(flag, bound[flag], asked[flag], values, engine) for flag in asked]


def _condition(count: Any) -> Any:
    """The metric of the condition by which another one counts rows."""
    from great_expectations.validator.metric_configuration import MetricConfiguration

    name = count.metric_name.removesuffix(UNEXPECTED) + ".condition"
    domain, values = dict(count.metric_domain_kwargs), dict(count.metric_value_kwargs or {})
    return MetricConfiguration(name, domain, values)


def _check(
    flag: str, bound: Bound, asked: Mapping[str, Any], values: Mapping[Any, Any], engine: Engine
) -> RowCheck:
    counts = bound.counts(engine)
    assert counts is not None
    found = {name: _found(values[metric.id], engine) for name, metric in asked.items()}
    unexpected, domain = found[f"{bound.metric}{UNEXPECTED}"]
    source = bound.expectation.source
    of_source = [] if source is None else [F.col(SOURCE) == source]
    of_table = [*of_source, *engine.filters(counts[ROWS].metric_domain_kwargs)]
    by_value = bound.metric in BY_VALUE
    numbers = {ROWS: of_table, f"{bound.metric}{FILTERED}": [*of_source, *domain]}
    if NULLS in counts and bound.metric != OF_NULLS[0]:
        null, of_column = found[NULLS]
        numbers[NULLS] = [*of_source, *of_column, null]
    return RowCheck(
        flag,
        bound,
        _all([*domain, unexpected] if by_value else [unexpected]),  # type: ignore[arg-type]
        _all(of_table if by_value else [*of_source, *domain]),
        {name: _all(own) for name, own in numbers.items() if name in counts},
    )


def _all(conditions: Sequence[Column]) -> Column | None:
    """True where all conditions are, else false or null; None for no condition."""
    return reduce(Column.__and__, conditions) if conditions else None


def _found(resolved: Sequence[Any], engine: Engine) -> tuple[Column, list[Column]]:
    """A condition, and the filters of the rows that it is of."""
    condition, compute, accessor = resolved
    return condition, engine.filters({**compute, **accessor})


def refuse_order(bound: Bound) -> None:
    """Raise where rows would be set aside by the order in which they are read.

    Raises
    ------
    RecipeError : with what to write instead.
    """
    if bound.metric in IN_ORDER:
        raise RecipeError(
            f"{bound.place}.on_fail: {bound.name} compares each row with the one that is read "
            "before it, and a table has no order, so that other rows would be set aside each time; "
            "write warn or stop"
        )
