"""``variance_horizon``: of each time series, keeps the history that explains its variance."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from lakebalance.core.columns import require, require_kind
from lakebalance.core.coordinates import NUMBERS, check_features, coordinate, finite
from lakebalance.core.diagnostics import Diagnostic
from lakebalance.core.registry import Method, MethodOptions
from lakebalance.core.sources import KEY
from lakebalance.prune import drift, metrics
from lakebalance.prune.drift import HORIZON, RANK, Drift
from lakebalance.prune.matches import LEFT, without_neighbour
from lakebalance.prune.metrics import Metrics
from lakebalance.prune.refresh import SERIES, series_name, series_of

WHEN = "__lb_when"


class VarianceHorizon(MethodOptions):
    """Drop the old rows of time series whose newer ones have as much variance as all of them.

    For sensors and other series that go on and on: how far back is worth keeping, series by series.
    """

    method: Literal["variance_horizon"]
    by: list[str] = Field(
        default_factory=list,
        description="Columns whose values make a series; all rows are one where left out.",
    )
    time: str = Field(min_length=1, description="Column of dates, timestamps or numbers.")
    values: list[str] = Field(
        min_length=1, description="Columns of numbers; the longest horizon of them counts."
    )
    share: float = Field(
        0.95, gt=0, le=1, description="Share of the whole series' variance to be explained."
    )
    min_rows: int = Field(30, ge=1, description="Rows of each series that stay at least.")
    drift: Drift | None = Field(None, description=drift.MEANING)
    metrics: Metrics | None = Field(None, description=metrics.MEANING)


def variance_horizon(df: DataFrame, options: VarianceHorizon, place: str) -> DataFrame:
    """The matches of rows that are older than the horizon of their series.

    The horizon is the least number of newest rows from which on no window explains less: the last
    h rows, and the last h' for every h' > h, have a variance of at least ``share`` of that of all
    rows of the series. So a few wild rows at the end are not taken for a whole history. Rows
    without a value count as rows and not for the variance; rows without a time are the oldest.

    A series is sorted in one task, which holds no more of it than a few rows; one shuffle of key,
    time and values.

    Parameters
    ----------
    df : the rows for training, with ``__lb_key``.
    options : series, time and values, and how much is to be explained; triggers change no match.
    place : path in the recipe, for messages.

    Returns
    -------
    Frame ``dropped`` (key hash), ``neighbour`` (null: no row stands in its place), ``rows`` bigint,
    ``left`` (how many rows of that key stay), ``method``, ``reason``, ``series`` bigint (a hash of
    ``by``), ``horizon`` bigint (rows of the series that stay).

    Raises
    ------
    RecipeError : a column is not there or of another type.

    References
    ----------
    "Variance horizon" is the name of a data reduction of nowcasting research that gives no formula
    in public; this definition is ours. Of ``drift``: Yurdakul, "Statistical properties of
    population stability index", 2018; Smirnov, "Table for estimating the goodness of fit of
    empirical distributions", 1948. Of ``metrics``: Shewhart, "Economic control of quality of
    manufactured product", 1931.
    """
    check_columns(df, options, place)
    rows = _placed(df, options)
    gone = F.count_if(F.col(RANK) > F.col(HORIZON)).alias("rows")
    found = rows.groupBy(KEY, SERIES, HORIZON).agg(gone, F.count(F.lit(1)).alias("members"))
    said = F.concat(
        F.lit("older than the last "), HORIZON, F.lit(" rows of its series, which explain it")
    )
    told = found.where(F.col("rows") > 0).withColumns(
        {"dropped": F.col(KEY), LEFT: F.col("members") - F.col("rows"), "reason": said}
    )
    return without_neighbour(told, options.method, ["reason", SERIES, HORIZON])


def _placed(df: DataFrame, options: VarianceHorizon, *more: Column) -> DataFrame:
    """Each row's key, series, values ``v0`` and on, place from the newest on, series' horizon."""
    series = series_of(df, options.by)
    values = [finite(coordinate(df, n)).alias(f"v{i}") for i, n in enumerate(options.values)]
    rows = df.select(KEY, series, coordinate(df, options.time).alias(WHEN), *values, *more)
    # Rows that share a key are equal, and count as often as they are.
    newest = Window.partitionBy(SERIES).orderBy(F.col(WHEN).desc_nulls_last(), KEY)
    so_far = newest.rowsBetween(Window.unboundedPreceding, Window.currentRow)
    whole = newest.rowsBetween(Window.unboundedPreceding, Window.unboundedFollowing)
    rows = rows.withColumn(RANK, F.row_number().over(newest))
    horizons = []
    for i in range(len(options.values)):
        # Around the newest value, so that large numbers do not cancel out.
        moved = F.col(f"v{i}") - F.first(f"v{i}", ignorenulls=True).over(so_far)
        rows = rows.withColumn(f"d{i}", moved)
        mean = F.avg(f"d{i}").over(so_far)
        square = F.avg(F.col(f"d{i}") * F.col(f"d{i}")).over(so_far)
        # Rounding may take it below nought; null where no value has been seen.
        variance = F.when(mean.isNotNull(), F.greatest(square - mean * mean, F.lit(0.0)))
        rows = rows.withColumn(f"var{i}", variance)
        asked = F.lit(options.share) * F.last(f"var{i}", ignorenulls=True).over(whole)
        rows = rows.withColumn(f"less{i}", F.coalesce(F.col(f"var{i}") < asked, F.lit(True)))
        last = F.max(F.when(F.col(f"less{i}"), F.col(RANK))).over(whole)
        horizons.append(F.coalesce(last, F.lit(0)) + 1)
    longest = F.greatest(F.lit(options.min_rows), *horizons).cast("bigint")
    return rows.withColumn(HORIZON, longest)


def diagnose(df: DataFrame, options: VarianceHorizon, place: str) -> list[Diagnostic]:
    """Whether it is time to refresh the history, by the triggers that are asked for.

    Parameters
    ----------
    df : the rows for training, with ``__lb_key``.
    options : series, time and values, and the triggers.
    place : path in the recipe, for messages.

    Raises
    ------
    RecipeError, TableError : as of ``metrics.opened``.
    """
    said = []
    if options.drift is not None:
        name = series_name(df, options.by)
        rows, at = _placed(df, options, name), f"{place}.drift"
        said.append(drift.drift(rows, options.drift, options.by, options.values, at))
    if options.metrics is not None:
        at = f"{place}.metrics"
        said.append(metrics.metrics(df.sparkSession, options.metrics, options.by, at))
    return said


def summarise(matches: DataFrame, options: VarianceHorizon, place: str) -> list[Diagnostic]:
    """How far back series go that have lost rows, in one job.

    Parameters
    ----------
    matches : as ``variance_horizon`` made them.
    options, place : as of ``variance_horizon``.
    """
    each = matches.groupBy(SERIES).agg(F.max(HORIZON).alias(HORIZON), F.sum("rows").alias("rows"))
    (row,) = each.agg(
        F.count(F.lit(1)),
        F.min(HORIZON),
        F.expr(f"percentile_disc(0.5) WITHIN GROUP (ORDER BY {HORIZON})"),
        F.max(HORIZON),
        F.sum("rows"),
    ).collect()
    columns = ["series that lost rows", "least horizon", "median", "greatest", "rows dropped"]
    return [
        Diagnostic(
            f"{place}: rows older than the horizon of their series",
            columns,
            [[value or 0 for value in row]],
            f"A horizon is the rows that explain {options.share:.0%} of the variance of a series.",
        )
    ]


def check_columns(df: DataFrame, options: VarianceHorizon, place: str) -> None:
    """Raise where a column is not there or of another type.

    Parameters
    ----------
    df : the rows.
    options, place : as of ``variance_horizon``.

    Raises
    ------
    RecipeError : with the column and what to write instead.
    TableError : there is no table of metrics where it is said to be.
    """
    require(df, options.by, f"{place}.by")
    check_features(df, [options.time], f"{place}.time", "name a column that says when")
    for name in options.values:
        require_kind(df, name, NUMBERS, f"{place}.values", "name columns of numbers")
    if options.metrics is not None:
        metrics.opened(df.sparkSession, options.metrics, options.by, f"{place}.metrics")


METHOD = Method(
    "variance_horizon",
    VarianceHorizon,
    variance_horizon,
    example="{method: variance_horizon, by: [sensor], time: measured_at, values: [temperature], "
    "drift: {window: 100}}",
    check_columns=check_columns,
    summarise=summarise,
    diagnose=diagnose,
    fate="beyond the horizon",
    training_only=True,
)
