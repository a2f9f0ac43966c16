"""A table of metrics, such as a model's error by series and day, that says when to refresh."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field, model_validator
from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from lakebalance.core.columns import require, require_kind
from lakebalance.core.conditions import OneTable
from lakebalance.core.coordinates import NUMBERS, check_features, coordinate, finite
from lakebalance.core.diagnostics import Diagnostic
from lakebalance.core.sources import Pinned, pin_one
from lakebalance.prune.refresh import (
    AT,
    FAR,
    JUDGED,
    NAME,
    OVER,
    REFRESH,
    SERIES,
    Found,
    Trigger,
    diagnosed,
    gathered,
    named,
    series_name,
    series_of,
)

WHEN, VALUE, RANK = "__lb_when", "value", "__lb_rank"
# What is told of a series, and what columns of it are called.
TOLD = {"value": "last", "rule": "by", "limit": "limit", "count": "earlier values"}
# How far off a value is that is over a number, or differs from values that never did.
BY_NUMBER = 1e300


class Metrics(Trigger, OneTable):
    """The last value of a metric of each series against earlier ones, or against a number."""

    by: list[str] | None = Field(
        None, description="Its columns that make a series; by of the method if left out."
    )
    time: str = Field(min_length=1, description="Its column of dates, timestamps or numbers.")
    metric: str = Field(min_length=1, description="Its column with the metric.")
    deviations: float | None = Field(
        3.0,
        gt=0,
        allow_inf_nan=False,
        description="Standard deviations from the mean of earlier values beyond which to refresh; "
        "null to leave it out.",
    )
    side: Literal["both", "above", "below"] = Field(
        "both", description="On which side of the mean; above for errors, below for accuracies."
    )
    above: float | None = Field(None, allow_inf_nan=False, description="Refresh if over it.")
    below: float | None = Field(None, allow_inf_nan=False, description="Refresh if under it.")
    earlier: int = Field(30, ge=2, le=10_000, description="Earlier values compared with at most.")
    least: int = Field(5, ge=2, description="Earlier values without which deviations do not count.")

    @model_validator(mode="after")
    def _something_to_ask(self) -> Metrics:
        if self.deviations is None and self.above is None and self.below is None:
            raise ValueError("nothing says when to refresh; write deviations, above or below")
        if self.deviations is not None and self.least > self.earlier:
            raise ValueError(
                f"least is {self.least}, but no more than {self.earlier} earlier values are looked "
                "at; write a larger earlier"
            )
        return self


# What the option says of it, as the page of methods shows no fields of fields.
MEANING = (
    "When to refresh, by a table of metrics, such as a model's error by series and day: table "
    "(with format, version, timestamp, where), by (its columns of series; as of the method if left "
    "out), time, metric. A plan warns where the last value is more than deviations: 3 standard "
    "deviations from the mean of up to earlier: 30 values before it (least: 5), on side: both, "
    "above or below; or where it is above: or below: a number. share: 0 of the series may be so "
    "without a warning; shown: 20 series, the worst. No row goes for it."
)


def metrics(spark: SparkSession, options: Metrics, by: Sequence[str], place: str) -> Diagnostic:
    """Whether the last value of each series' metric says that it is time to refresh.

    The mean and the standard deviation (of n - 1) are those of the values before the last, the
    newest of them; of several at one time the largest is the last. Rows without a time or a value
    do not count. Added in order of time, so that no order of rows matters. One job.

    Parameters
    ----------
    spark : the session, to read the table.
    options : the table and the limits.
    by : the columns of series of the method, which are those of the table if it names none.
    place : path in the recipe, for messages.

    Raises
    ------
    RecipeError, TableError : as of ``opened``.

    References
    ----------
    Shewhart, "Economic control of quality of manufactured product", 1931: limits of a control chart
    at three standard deviations.
    """
    table = opened(spark, options, by, place)
    names = options.by if options.by is not None else by
    found = gathered(_lines(table.df, options, names), list(TOLD), options.shown, {})
    return _shown(found, options, names, table, place)


def opened(spark: SparkSession, options: Metrics, by: Sequence[str], place: str) -> Pinned:
    """The table at one version.

    Raises
    ------
    RecipeError : a column is not there or of another type.
    TableError : the table is not there.
    """
    table = pin_one(spark, options, place)
    df = table.df
    require(df, options.by if options.by is not None else by, f"{place}.by")
    check_features(df, [options.time], f"{place}.time", "name a column that says when")
    require_kind(df, options.metric, NUMBERS, f"{place}.metric", "name a column of numbers")
    return table


def _lines(df: DataFrame, options: Metrics, by: Sequence[str]) -> DataFrame:
    """For each series its last value, what is expected of it, and which limit it exceeds."""
    rows = df.select(
        series_of(df, by),
        series_name(df, by),
        coordinate(df, options.time).alias(WHEN),
        finite(coordinate(df, options.metric)).alias(VALUE),
    ).dropna(subset=[WHEN, VALUE])
    newest = Window.partitionBy(SERIES).orderBy(F.col(WHEN).desc(), F.col(VALUE).desc())
    rows = rows.withColumn(RANK, F.row_number().over(newest))
    each = (
        rows.where(F.col(RANK) <= options.earlier + 1)
        .groupBy(SERIES)
        .agg(
            F.min(NAME).alias(NAME),
            F.max(F.when(F.col(RANK) == 1, F.col(VALUE))).alias("value"),
            F.array_sort(F.collect_list(F.when(F.col(RANK) > 1, F.struct(RANK, VALUE)))).alias(
                "before"
            ),
        )
        .withColumn("before", F.transform("before", lambda one: one[VALUE]))
        .withColumn("count", F.size("before"))
    )
    total = F.aggregate("before", F.lit(0.0), lambda sum_, x: sum_ + x)
    each = each.withColumn("mean", total / F.nullif(F.col("count"), F.lit(0)))
    squares = F.aggregate(
        "before", F.lit(0.0), lambda sum_, x: sum_ + (x - F.col("mean")) * (x - F.col("mean"))
    )
    deviation = F.sqrt(squares / F.nullif(F.col("count") - 1, F.lit(0)))
    enough = F.col("count") >= options.least
    reach = F.lit(options.deviations).cast("double") * F.when(enough, deviation)
    each = each.withColumn("reach", reach)
    return _ruled(each, options)


def _ruled(each: DataFrame, options: Metrics) -> DataFrame:
    """The lines with the rule that says most, its limit, and whether that is exceeded."""
    value, mean, reach = (F.col(name) for name in ("value", "mean", "reach"))
    off = F.abs(value - mean) / F.nullif(reach, F.lit(0.0))
    # What differs from earlier values that were all the same is as far off as can be.
    off = F.when((reach == 0) & (value != mean), F.lit(BY_NUMBER)).otherwise(off)
    upper = F.lit(True) if options.side == "above" else value >= mean
    upper = F.lit(False) if options.side == "below" else upper
    wrong = F.when(upper, value > mean).otherwise(value < mean)
    rules = [
        (name, F.lit(number).cast("double"), value > number if name == "above" else value < number)
        for name, number in (("above", options.above), ("below", options.below))
        if number is not None
    ]
    rules.append(
        ("deviations", F.when(upper, mean + reach).otherwise(mean - reach), wrong & (off > 1))
    )
    chosen = F.lit(None)
    # The first that is exceeded, else the first that has a limit.
    for asked in (True, False):
        for name, limit, over in rules:
            told = F.struct(F.lit(name).alias("rule"), limit.alias("limit"), over.alias(OVER))
            holds = over if asked else limit.isNotNull()
            chosen = F.coalesce(chosen, F.when(holds, told))
    each = each.withColumn("chosen", chosen).select("*", "chosen.*")
    by_number = F.col(OVER) & (F.col("rule") != "deviations")
    far = F.when(by_number, F.lit(BY_NUMBER)).otherwise(F.when(wrong, off))
    return each.select(
        SERIES,
        NAME,
        F.lit(0).alias(AT),
        F.col("rule").isNotNull().alias(JUDGED),
        F.coalesce(OVER, F.lit(False)).alias(OVER),
        F.coalesce(far, F.lit(0.0)).alias(FAR),
        *TOLD,
    )


def _shown(
    found: Found, options: Metrics, by: Sequence[str], table: Pinned, place: str
) -> Diagnostic:
    lines = [
        [*(line[name] for name in TOLD), REFRESH if line[OVER] else "no"] for line in found.worst
    ]
    why = None
    if found.warns(options):
        worst = named(by, found.worst[0][NAME])
        why = (
            f'{options.metric} of {found.over:,} of {found.series:,} series is beyond its limit, "'
            f'{worst}" the farthest'
        )
    return diagnosed(
        place,
        f"last {options.metric} of series",
        [*by, *TOLD.values(), "refresh"],
        [[*line[NAME], *cells] for line, cells in zip(found.worst, lines, strict=True)],
        _note(found, options, table),
        why,
    )


def _note(found: Found, options: Metrics, table: Pinned) -> str:
    rules = []
    if options.deviations is not None:
        beyond = "" if options.side == "both" else f" {options.side} it"
        rules.append(
            f"{options.deviations:g} standard deviations from the mean of up to "
            f"{options.earlier:,} earlier values{beyond}"
        )
    rules += [f"{n} {v:g}" for n in ("above", "below") if (v := getattr(options, n)) is not None]
    said = [f"{table.table}, version {table.version}. Refresh beyond {', or '.join(rules)}."]
    said.append(f"Refresh {found.over:,} of {found.series:,} series.")
    if young := found.series - found.judged:
        said.append(f"{young:,} have fewer than {options.least:,} earlier values: too few to say.")
    if found.judged > len(found.worst):
        said.append(f"Of {found.judged:,} series, the {len(found.worst):,} worst are shown.")
    return " ".join(said)
