"""When to make a kept history anew: which series say so, of however many, and what plans show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import Field
from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from lakebalance.core.columns import column
from lakebalance.core.diagnostics import Cell, Diagnostic
from lakebalance.core.hashing import hash128
from lakebalance.core.registry import MethodOptions

SERIES, NAME, AT = "series", "__lb_name", "at"
JUDGED, OVER, FAR = "judged", "over", "far"
ANY, PART = "any_over", "part"
PARTS = 64
REFRESH = "yes"
# The code of the warning in plans, for those that read them as JSON.
CODE = "refresh"


class Trigger(MethodOptions):
    """What says when to refresh: for how many series, and how many are shown."""

    share: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="Share of the series that may be beyond their limits before a plan warns.",
    )
    shown: int = Field(20, ge=1, le=1_000, description="Series shown at most, the worst first.")


@dataclass(frozen=True)
class Found:
    """What was found of all series: how many, how many judged and over, and the worst lines.

    ``sums`` are those over the judged lines of each column, by its number.
    """

    series: int
    judged: int
    over: int
    worst: Sequence[Mapping[str, Any]]
    sums: Mapping[int, Mapping[str, int]]

    def warns(self, trigger: Trigger) -> bool:
        """Whether more series are over their limits than may be."""
        return self.over > trigger.share * self.judged


def series_of(df: DataFrame, by: Sequence[str]) -> Column:
    """A hash of a row's series."""
    return F.xxhash64(hash128(df, by, "series") if by else F.lit(0)).alias(SERIES)


def series_name(df: DataFrame, by: Sequence[str]) -> Column:
    """The values of a row's series as texts, in an array."""
    names = F.array(*[column(name).cast("string") for name in by])
    return names.cast("array<string>").alias(NAME)


def gathered(lines: DataFrame, told: Sequence[str], most: int, sums: Mapping[str, Column]) -> Found:
    """What triggers found of all series, in one job of which the driver sees a few lines.

    Parameters
    ----------
    lines : a line for each series and column: ``series`` bigint, ``at`` (the column's number),
        ``__lb_name``, ``judged`` and ``over`` (whether it triggers), ``far`` (how far over its
        limit or near it, the larger the worse; null where it is not judged), and what is told.
    told : names of what is told of the worst.
    most : how many lines of these.
    sums : whole numbers to add up over lines that are judged.
    """
    any_over = F.max(OVER).over(Window.partitionBy(SERIES))
    # Equal ones in the order of their names, so that the same are shown however rows lie.
    line = F.struct((-F.col(FAR)).alias("order"), NAME, AT, OVER, *told)
    worst = F.array_sort(F.collect_list(F.when(F.col(JUDGED), line)))
    first = F.col(AT) == 0
    part = F.pmod(F.col(SERIES), F.lit(PARTS)).alias(PART)
    found = (
        lines.withColumn(ANY, any_over)
        .groupBy(AT, part)
        .agg(
            F.count_if(first).alias("all"),
            F.count_if(first & F.col(JUDGED)).alias(JUDGED),
            F.count_if(first & F.col(ANY)).alias(OVER),
            F.slice(worst, 1, most).alias("worst"),
            *[F.sum(F.when(F.col(JUDGED), value)).alias(n) for n, value in sums.items()],
        )
        .collect()
    )
    ranked = sorted((line for row in found for line in row["worst"]), key=_turn)
    added: dict[int, dict[str, int]] = {}
    for row in found:
        own = added.setdefault(row[AT], dict.fromkeys(sums, 0))
        for name in sums:
            own[name] += row[name] or 0
    series, judged, over = (sum(row[name] for row in found) for name in ("all", JUDGED, OVER))
    return Found(series, judged, over, [line.asDict() for line in ranked[:most]], added)


def _turn(line: Mapping[str, Any]) -> tuple[Any, ...]:
    return line["order"], [(value is not None, value) for value in line[NAME]], line[AT]


def named(by: Sequence[str], values: Sequence[str | None]) -> str:
    """A series in messages."""
    return ", ".join(f"{n}={v}" for n, v in zip(by, values, strict=True)) or "all rows"


def diagnosed(
    place: str,
    title: str,
    columns: Sequence[str],
    lines: Sequence[Sequence[Cell]],
    note: str,
    why: str | None,
) -> Diagnostic:
    """The table that plans show, with a warning where it is time to refresh.

    Parameters
    ----------
    place : path of the trigger in the recipe.
    title, columns, lines, note : of the table.
    why : what it is that triggers; None where nothing does.
    """
    message = f"{place}: {why}; the history that was kept before may no longer stand for them"
    warning = None if why is None else (CODE, f"{message}: run again to refresh it")
    return Diagnostic(f"{place}: {title}", columns, lines, note, warning)
