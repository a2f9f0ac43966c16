"""Runs Great Expectations on a frame: whole-table verdicts, and per-row conditions.

What an expectation means is Great Expectations' alone: a row is unexpected where its own condition
metric says so. That condition is a Spark Column, so that rows can be set aside in the scan that
reads them, and all row-level expectations of a recipe are counted in one job.
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from typing import Any

from pyspark.errors import PySparkException
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakebalance.core.columns import column, require
from lakebalance.core.errors import RecipeError, nearest
from lakebalance.core.secrets import hide
from lakebalance.core.sources import RESERVED, SOURCE, unite
from lakebalance.expect.verdicts import Verdict
from lakebalance.recipe.models import Expectation

os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")  # older releases report usage

REASONS = "__lb_reasons"
ASKED_ALWAYS = (
    "table.columns",
    "table.column_types",
    "table.row_count",
    "table.row_count.aggregate_fn",
)
NULL_METRICS = ("column_values.nonnull", "column_values.null")


@dataclass(frozen=True)
class RowCheck:
    """A row-level expectation as a flag column of the frame."""

    flag: str
    unexpected: Column
    title: str
    expectation: Expectation
    mostly: float
    skips_null: bool


def title(expectation: Expectation) -> str:
    """An expectation as reports show it: ``Name(column=…, min_value=…)``."""
    args = ", ".join(f"{k}={v!r}" for k, v in hide(expectation.args).items())
    return f"{expectation.expectation}({args})"


class Gate:
    """The expectations of a recipe bound to one frame."""

    def __init__(self, branches: Sequence[DataFrame], expectations: Sequence[Expectation]) -> None:
        """Bind.

        Parameters
        ----------
        branches : frames of one schema, the rows, with the source's name in ``__lb_source``.
        expectations : what to check, in order.

        Raises
        ------
        RecipeError : an expectation is unknown, its arguments are wrong, or ``quarantine`` is asked
            of one that says nothing of single rows.
        """
        self.branches = branches
        self.whole: list[Expectation] = []
        self.checks: list[RowCheck] = []
        df, empty = branches[0], branches[0].limit(0)
        for i, expectation in enumerate(expectations):
            place = f"expect.expectations.{i}"
            configured = _configure(expectation, place)
            _check_columns(df, expectation, place)
            metric = getattr(configured, "map_metric", None)
            if metric is None:
                self._bind_whole(expectation, place)
                continue
            unexpected = _unexpected(lambda: self.rows, empty, configured, metric)
            if expectation.source is not None:
                unexpected = unexpected & (F.col(SOURCE) == expectation.source)
            mostly = float(getattr(configured, "mostly", 1.0) or 1.0)
            skips_null = "column" in expectation.args and metric not in NULL_METRICS
            self.checks.append(
                RowCheck(
                    f"__lb_gate_{i}",
                    unexpected,
                    title(expectation),
                    expectation,
                    mostly,
                    skips_null,
                )
            )

    def _bind_whole(self, expectation: Expectation, place: str) -> None:
        if expectation.on_fail == "quarantine":
            raise RecipeError(
                f"{place}.on_fail: {expectation.expectation} says nothing of single rows, so "
                "none can be quarantined; write warn or stop"
            )
        self.whole.append(expectation)

    @cached_property
    def rows(self) -> DataFrame:
        """All rows as one frame."""
        return unite(self.branches)

    @cached_property
    def flagged(self) -> list[DataFrame]:
        """The rows with a flag for each row-level expectation, by branch where it can be."""
        flags = {c.flag: F.coalesce(c.unexpected, F.lit(False)) for c in self.checks}
        if not flags:
            return list(self.branches)
        apart = self._local([c.unexpected for c in self.checks])
        return [frame.withColumns(flags) for frame in (self.branches if apart else [self.rows])]

    @property
    def setting_aside(self) -> list[RowCheck]:
        """The checks whose unexpected rows go to quarantine."""
        return [check for check in self.checks if check.expectation.on_fail == "quarantine"]

    @property
    def left(self) -> Column | None:
        """The condition, over ``flagged``, of rows not set aside; None where none can be."""
        return ~_any([F.col(c.flag) for c in self.setting_aside]) if self.setting_aside else None

    @cached_property
    def _aside(self) -> tuple[list[DataFrame], list[Column]]:
        """Frames of the rows, and the conditions over them of the checks that set aside.

        The branches and Great Expectations' own conditions, which a scan can use, where a row is
        set aside by what it is alone; the flagged rows and their flags where not.
        """
        unexpected = [check.unexpected for check in self.setting_aside]
        if self._local(unexpected):
            return list(self.branches), unexpected
        return self.flagged, [F.col(check.flag) for check in self.setting_aside]

    def _local(self, conditions: Sequence[Column]) -> bool:
        """Whether conditions depend on the row alone, not on others as uniqueness does."""
        try:
            for condition in conditions:
                self.branches[0].where(condition).schema  # noqa: B018  Connect analyses only here
        except PySparkException:
            return False  # a filter cannot hold a window expression
        return True

    @property
    def counted(self) -> dict[str, Column]:
        """The conditions, over ``flagged``, whose counts ``verdicts`` needs."""
        conditions = {check.flag: F.col(check.flag) for check in self.checks}
        for check in self.checks:
            asked = _asked_of(check)
            if asked is not None:
                conditions[f"{check.flag}_asked"] = asked
        return conditions

    def verdicts(self, sums: Mapping[str, int], rows: int) -> list[Verdict]:
        """What each expectation found; those about whole tables are asked here.

        Parameters
        ----------
        sums : the counts of ``counted``.
        rows : all rows.
        """
        results = [_whole_verdict(self.rows, expectation) for expectation in self.whole]
        for check in self.checks:
            unexpected, asked = sums[check.flag], sums.get(f"{check.flag}_asked", rows)
            good = unexpected == 0 or (asked - unexpected) / max(asked, 1) >= check.mostly
            results.append(
                Verdict(
                    check.expectation.source,
                    check.title,
                    check.expectation.on_fail,
                    unexpected,
                    asked,
                    good,
                )
            )
        return results

    def passed(self) -> list[DataFrame]:
        """The rows that are not set aside, branch by branch where it can be."""
        if not self.setting_aside:
            return list(self.branches)
        frames, conditions = self._aside
        kept = ~F.coalesce(_any(conditions), F.lit(False))
        return [frame.where(kept).drop(*[c.flag for c in self.checks]) for frame in frames]

    def quarantined(self) -> DataFrame:
        """The rows set aside, with ``__lb_reasons``: all expectations that the row failed."""
        frames, conditions = self._aside
        failed = unite([frame.where(_any(conditions)) for frame in frames])
        titles = [
            F.when(condition, F.lit(check.title))
            for condition, check in zip(conditions, self.setting_aside, strict=True)
        ]
        reasons = F.array_compact(F.array(*titles)).cast("array<string>")
        return failed.withColumn(REASONS, reasons).drop(*[c.flag for c in self.checks])


def _any(conditions: Sequence[Column]) -> Column:
    """True where a condition is, else false or null."""
    return reduce(Column.__or__, conditions, F.lit(False))


def _check_columns(df: DataFrame, expectation: Expectation, place: str) -> None:
    """Great Expectations' own error for a missing column comes late and does not say where."""
    for argument, named in expectation.args.items():
        if argument in ("column", "column_A", "column_B"):
            require(df, [str(named)], f"{place}.args.{argument}")
        elif argument == "column_list" and not expectation.expectation.startswith("ExpectTable"):
            require(df, [str(name) for name in named], f"{place}.args.{argument}")


def _whole_verdict(df: DataFrame, expectation: Expectation) -> Verdict:
    if expectation.source is not None:
        df = df.where(F.col(SOURCE) == expectation.source)
    hidden = [name for name in df.columns if name.startswith(RESERVED)]
    result = _batch(df.drop(*hidden)).validate(_configure(expectation, "expect"))
    if result.exception_info and result.exception_info.get("raised_exception"):
        raise RecipeError(
            f"expect: {title(expectation)}: {result.exception_info.get('exception_message')}"
        )
    return Verdict(
        expectation.source,
        title(expectation),
        expectation.on_fail,
        None,
        result.result.get("element_count") or 0,
        bool(result.success),
    )


def _asked_of(check: RowCheck) -> Column | None:
    """The rows that ``mostly`` is a share of: without nulls, as in GX; None for all rows."""
    conditions: list[Column] = []
    if check.expectation.source is not None:
        conditions.append(F.col(SOURCE) == check.expectation.source)
    args = check.expectation.args
    if check.skips_null:
        conditions.append(column(args["column"]).isNotNull())
    if isinstance(args.get("row_condition"), str):
        conditions.append(F.expr(args["row_condition"]))
    return reduce(Column.__and__, conditions) if conditions else None


def _configure(expectation: Expectation, place: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import great_expectations.expectations as known
    kinds = {name for name in dir(known) if name.startswith("Expect")}
    name = expectation.expectation
    if "_" in name:
        name = "".join(word.capitalize() for word in re.split("_+", name))
    if name not in kinds:
        raise RecipeError(f'{place}.expectation: no expectation "{name}"; {nearest(name, kinds)}')
    try:
        return getattr(known, name)(**expectation.args)
    except Exception as error:
        # Great Expectations raises its own, pydantic's and plain errors for wrong arguments.
        raise RecipeError(f"{place}.args: {name}: {error}") from error


def _batch(df: DataFrame) -> Any:
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    asset = context.data_sources.add_spark("lakebalance", persist=False).add_dataframe_asset("rows")
    definition = asset.add_batch_definition_whole_dataframe("all")
    return definition.get_batch({"dataframe": df})


def _engine(df: DataFrame) -> Any:
    from great_expectations.execution_engine import SparkDFExecutionEngine

    # Without force_reuse the engine may stop the user's session and start one of its own.
    return SparkDFExecutionEngine(
        batch_data_dict={"rows": df}, force_reuse_spark_context=True, persist=False
    )


def _unexpected(
    rows: Callable[[], DataFrame], empty: DataFrame, configured: Any, metric: str
) -> Column:
    """Great Expectations' own condition for unexpected rows.

    Every condition's graph asks for the number of rows, which no condition uses: it is resolved on
    a frame without rows unless it asks for more, as a z-score does for the mean.
    """
    from great_expectations.validator.metric_configuration import MetricConfiguration
    from great_expectations.validator.validation_graph import ValidationGraph

    engine = _engine(empty)
    config = configured.configuration
    wanted = configured.get_validation_dependencies(execution_engine=engine)
    name = f"{metric}.condition"
    parent = next(
        m for m in wanted.metric_configurations.values() if m.metric_name.startswith(f"{metric}.")
    )
    domain = {**parent.metric_domain_kwargs, "batch_id": "rows"}
    condition = MetricConfiguration(name, domain, dict(parent.metric_value_kwargs or {}))
    graph = ValidationGraph(execution_engine=engine)
    graph.build_metric_dependency_graph(metric_configuration=condition)
    if not {edge.left.metric_name for edge in graph.edges} <= {name, *ASKED_ALWAYS}:
        graph = ValidationGraph(execution_engine=_engine(rows()))
        graph.build_metric_dependency_graph(metric_configuration=condition)
    resolved, failed = graph.resolve(runtime_configuration=None, show_progress_bars=False)
    if condition.id not in resolved:
        raise RecipeError(f"expect: {config.type}: {next(iter(failed.values()), 'cannot be used')}")
    expression, domain_kwargs, _ = resolved[condition.id]
    for filtered in domain_kwargs.get("filter_conditions", []):
        expression = expression & F.expr(filtered.condition)
    if isinstance(domain_kwargs.get("row_condition"), str):
        expression = expression & F.expr(domain_kwargs["row_condition"])
    result: Column = expression
    return result
