"""Runs Great Expectations on a frame: whole-table verdicts, and per-row conditions.

What an expectation means is Great Expectations' alone: a row is unexpected where its own condition
metric says so. That condition is a Spark Column, so that rows can be set aside in the scan that
reads them, and all row-level expectations of a recipe are counted in one job.
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakebalance.core.columns import column
from lakebalance.core.errors import RecipeError, nearest
from lakebalance.recipe.models import Expectation

os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")  # older releases report usage

REASONS = "__lb_reasons"
NULL_METRICS = ("column_values.nonnull", "column_values.null")


@dataclass(frozen=True)
class Verdict:
    """What one expectation found."""

    source: str | None
    expectation: str
    on_fail: str
    unexpected: int | None
    rows: int
    success: bool


@dataclass(frozen=True)
class RowCheck:
    """A row-level expectation as a flag column of the frame."""

    flag: str
    title: str
    expectation: Expectation
    mostly: float
    skips_null: bool


def title(expectation: Expectation) -> str:
    """An expectation as reports show it: ``Name(column=…, min_value=…)``."""
    args = ", ".join(f"{k}={v!r}" for k, v in expectation.args.items())
    return f"{expectation.expectation}({args})"


class Gate:
    """The expectations of a recipe bound to one frame."""

    def __init__(self, df: DataFrame, expectations: Sequence[Expectation]) -> None:
        """Bind.

        Parameters
        ----------
        df : the rows, with the source's name in ``__lb_source``.
        expectations : what to check, in order.

        Raises
        ------
        RecipeError : an expectation is unknown, its arguments are wrong, or ``quarantine`` is asked
            of one that says nothing of single rows.
        """
        self.whole: list[Expectation] = []
        self.checks: list[RowCheck] = []
        self.frame = df
        self._source_frame = df
        self.quarantined: int = 0
        for i, expectation in enumerate(expectations):
            self._bind(i, expectation)

    def _bind(self, i: int, expectation: Expectation) -> None:
        place = f"expect.expectations.{i}"
        configured = _configure(expectation, place)
        name = expectation.args.get("column")
        if name is not None and name not in self._source_frame.columns:
            close = nearest(str(name), self._source_frame.columns)
            raise RecipeError(f'{place}.args.column: no column "{name}"; {close}')
        metric = getattr(configured, "map_metric", None)
        if metric is None:
            if expectation.on_fail == "quarantine":
                raise RecipeError(
                    f"{place}.on_fail: {expectation.expectation} says nothing of single rows, so "
                    "none can be quarantined; write warn or stop"
                )
            self.whole.append(expectation)
            return
        flag = f"__lb_gate_{i}"
        unexpected = _unexpected(self._source_frame, configured, metric)
        if expectation.source is not None:
            unexpected = unexpected & (F.col("__lb_source") == expectation.source)
        # Uniqueness is a window expression, which a filter cannot hold: project it first.
        self.frame = self.frame.withColumn(flag, F.coalesce(unexpected, F.lit(False)))
        mostly = float(getattr(configured, "mostly", 1.0) or 1.0)
        skips_null = name is not None and metric not in NULL_METRICS
        self.checks.append(RowCheck(flag, title(expectation), expectation, mostly, skips_null))

    def verdicts(self) -> list[Verdict]:
        """Count what each expectation found: one Spark job for all row-level ones.

        Sets ``quarantined``, the number of rows set aside.
        """
        results = [self._whole_verdict(expectation) for expectation in self.whole]
        if not self.checks:
            return results
        rows_of = {check.flag: _asked_of(check) for check in self.checks}
        sums = [F.count_if(F.col(c.flag)).alias(c.flag) for c in self.checks]
        sums += [F.count_if(rows_of[c.flag]).alias(f"{c.flag}_rows") for c in self.checks]
        sums.append(F.count_if(self._set_aside()).alias("set_aside"))
        counts = self.frame.agg(*sums).collect()[0]
        self.quarantined = counts["set_aside"]
        for check in self.checks:
            unexpected, rows = counts[check.flag], counts[f"{check.flag}_rows"]
            expectation = check.expectation
            success = unexpected == 0 or (rows and (rows - unexpected) / rows >= check.mostly)
            results.append(
                Verdict(
                    expectation.source, check.title, expectation.on_fail, unexpected, rows, bool(success)
                )
            )
        return results

    def split(self) -> tuple[DataFrame, DataFrame]:
        """The rows that pass, and the rows to set aside with all their reasons.

        Returns
        -------
        (passed, quarantined): the frame's own columns; ``quarantined`` has besides
        ``__lb_reasons``, an array of the expectations that the row failed.
        """
        flags = [c.flag for c in self.checks]
        setting_aside = [c for c in self.checks if c.expectation.on_fail == "quarantine"]
        if not setting_aside:
            return self._source_frame, self._source_frame.withColumn(
                REASONS, F.array().cast("array<string>")
            ).where(F.lit(False))
        failed = self._set_aside()
        reasons = F.array_compact(
            F.array(*[F.when(F.col(c.flag), F.lit(c.title)) for c in setting_aside])
        )
        passed = self.frame.where(~failed).drop(*flags)
        return passed, self.frame.where(failed).withColumn(REASONS, reasons).drop(*flags)

    def _set_aside(self) -> Column:
        failed = F.lit(False)
        for check in self.checks:
            if check.expectation.on_fail == "quarantine":
                failed = failed | F.col(check.flag)
        return failed

    def _whole_verdict(self, expectation: Expectation) -> Verdict:
        df = self._source_frame
        if expectation.source is not None:
            df = df.where(F.col("__lb_source") == expectation.source)
        configured = _configure(expectation, "expect")
        result = _batch(df).validate(configured)
        rows = result.result.get("element_count") or 0
        return Verdict(
            expectation.source, title(expectation), expectation.on_fail, None, rows,
            bool(result.success),
        )


def _asked_of(check: RowCheck) -> Column:
    """The rows that ``mostly`` is a share of: the source's, without nulls as in GX."""
    asked = F.lit(True)
    if check.expectation.source is not None:
        asked = F.col("__lb_source") == check.expectation.source
    if check.skips_null:
        asked = asked & column(check.expectation.args["column"]).isNotNull()
    return asked


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


def _unexpected(df: DataFrame, configured: Any, metric: str) -> Column:
    """Great Expectations' own condition for unexpected rows."""
    from great_expectations.validator.metric_configuration import MetricConfiguration
    from great_expectations.validator.validation_graph import ValidationGraph

    engine = _engine(df)
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
