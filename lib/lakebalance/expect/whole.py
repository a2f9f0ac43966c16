"""What Great Expectations says of all rows together: of tables, aggregates and queries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pyspark.sql import DataFrame

from lakebalance.expect.conditions import Bound
from lakebalance.expect.engine import Engine, Resolved, cannot_be_used

BASIC = {"result_format": "BASIC"}
MOST_SHOWN = 200


def whole_results(df: DataFrame, bound: Sequence[Bound]) -> list[tuple[bool, str]]:
    """Whether each expectation is met, and what was observed; all from one graph of metrics.

    What Great Expectations can aggregate of the same rows, it finds in one Spark job; a metric that
    is no aggregate, such as quantiles, has one of its own.

    Parameters
    ----------
    df : the rows; columns of ours are not looked at.
    bound : the expectations, all of these rows.

    Returns
    -------
    In order, success and the observed value as a text, which may be empty.

    Raises
    ------
    RecipeError : an expectation cannot be used.
    """
    engine = Engine.of(df)
    wanted: list[list[Any]] = []
    for own in bound:
        try:
            metrics = _metrics(own, engine)
            engine.graph(metrics)
        except Exception as error:  # Great Expectations' own, of any kind
            raise cannot_be_used(own.place, own.name, error) from error
        wanted.append(metrics)
    graph = engine.graph(metric for metrics in wanted for metric in metrics)
    resolved = Resolved.of(graph)
    return [
        _result(own, metrics, engine, resolved) for own, metrics in zip(bound, wanted, strict=True)
    ]


def _metrics(bound: Bound, engine: Engine) -> list[Any]:
    wanted = bound.configured.get_validation_dependencies(
        execution_engine=engine.own, runtime_configuration=dict(BASIC)
    )
    return list(wanted.get_metric_configurations())


def _result(
    bound: Bound, metrics: Sequence[Any], engine: Engine, resolved: Resolved
) -> tuple[bool, str]:
    if any(metric.id not in resolved.values for metric in metrics):
        needed = [edge.left for edge in engine.graph(metrics).edges]
        raise cannot_be_used(bound.place, bound.name, resolved.why(needed))
    try:
        found = bound.configured.metrics_validate(
            metrics=resolved.values,
            runtime_configuration=dict(BASIC),
            execution_engine=engine.own,
        )
    except Exception as error:  # of any kind, such as for a type that is not known
        raise cannot_be_used(bound.place, bound.name, error) from error
    return bool(found.success), _observed(found.result or {})


def _observed(result: Mapping[str, Any]) -> str:
    if result.get("observed_value") is None:
        return ""
    value = result["observed_value"]
    # The last digits of a mean depend on the order of the rows.
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    if type(value) is int:
        text = f"{value:,}"
    return f"observed {text if len(text) <= MOST_SHOWN else text[:MOST_SHOWN] + '…'}"
