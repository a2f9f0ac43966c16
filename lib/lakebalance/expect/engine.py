"""Great Expectations' engine over a frame, and its metrics resolved together in one graph."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakebalance.core.columns import RESERVED
from lakebalance.core.errors import RecipeError
from lakebalance.expect.known import BATCH

FILTERED = "filtered"
# Metrics that are known without a look at the rows, or that no condition uses.
FREE = (
    "table.columns",
    "table.column_types",
    "table.row_count",
    "table.row_count.aggregate_fn",
)


@dataclass(frozen=True)
class _Filters:
    """Stands in for a frame: notes the filters that are put on it."""

    schema: Any
    conditions: tuple[Column, ...] = ()

    def filter(self, condition: Column | str) -> _Filters:
        """As a frame's ``filter``."""
        own = F.expr(condition) if isinstance(condition, str) else condition
        return _Filters(self.schema, (*self.conditions, own))


@dataclass(frozen=True)
class Engine:
    """Great Expectations' engine over the columns of a frame that users know of."""

    own: Any

    @classmethod
    def of(cls, df: DataFrame) -> Engine:
        """The engine over a frame, in the frame's own session, classic or Connect."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from great_expectations.execution_engine import SparkDFExecutionEngine

            rows = df.drop(*[name for name in df.columns if name.startswith(RESERVED)])
            # Of its own accord it would look for a session, and may start another one.
            engine = SparkDFExecutionEngine(
                batch_data_dict={BATCH: rows}, spark=df.sparkSession, persist=False
            )
        filters = SimpleNamespace(dataframe=_Filters(rows.schema))
        engine.batch_manager.save_batch_data(FILTERED, filters)
        return cls(engine)

    def filters(self, domain: Mapping[str, Any]) -> list[Column]:
        """The conditions by which Great Expectations picks the rows of a metric's domain."""
        found = self.own.get_domain_records({**domain, "batch_id": FILTERED})
        return list(found.conditions)

    def has(self, metric: str) -> bool:
        """Whether a metric can be had on Spark."""
        from great_expectations.exceptions import MetricProviderError
        from great_expectations.expectations.registry import get_metric_provider

        try:
            get_metric_provider(metric, self.own)
        except MetricProviderError:
            return False
        return True

    def graph(self, metrics: Iterable[Any]) -> Any:
        """The graph of metrics and of all that they need."""
        from great_expectations.validator.validation_graph import ValidationGraph

        graph = ValidationGraph(execution_engine=self.own)
        for metric in metrics:
            graph.build_metric_dependency_graph(metric_configuration=metric)
        return graph


def sees_no_row(graph: Any) -> bool:
    """Whether a graph's metrics follow from the schema alone: conditions, and what they map."""
    names = {edge.left.metric_name for edge in graph.edges}
    return all(name in FREE or name.endswith((".condition", ".map")) for name in names)


@dataclass(frozen=True)
class Resolved:
    """The values of a graph's metrics by their ids, and why some have none."""

    values: Mapping[Any, Any]
    failed: Mapping[Any, Any]

    @classmethod
    def of(cls, graph: Any) -> Resolved:
        """Work all metrics out: those that aggregate the same rows, in one Spark job."""
        return cls(*graph.resolve(runtime_configuration=None, show_progress_bars=False))

    def why(self, needed: Sequence[Any]) -> str:
        """Why one of some metrics could not be worked out."""
        for metric in needed:
            if metric.id in self.failed:
                return str(self.failed[metric.id]["exception_info"]["exception_message"])
        return "Great Expectations does not say why"


def cannot_be_used(place: str, name: str, error: object) -> RecipeError:
    """What is said of an expectation that Great Expectations refuses on Spark."""
    said = str(error).strip() or type(error).__name__
    return RecipeError(
        f"{place}: {name} cannot be used here: {said.splitlines()[0]}; docs/gates.md lists what "
        "Great Expectations has on Spark"
    )
