"""Exact quantiles of several columns at once, by narrowing intervals: the same in any layout."""

from __future__ import annotations

import math
import sys
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from lakebalance.core.columns import kinds
from lakebalance.core.sources import unite

# So many buckets there are in one job, of all columns together.
BUCKETS = 65_536
LARGEST = sys.float_info.max


def quantiles(frames: Sequence[DataFrame], parts: int) -> list[Any]:
    """The least value of each part but the first, where values in order are cut into equal parts.

    Parts of one value are one part, so there may be fewer.

    Parameters
    ----------
    frames : frames with a column ``at`` of doubles, bigints or decimals of up to 37 digits; null is
        no value.
    parts : how many parts.
    """
    return quantiles_of_each(frames, ["at"], parts)["at"]


def quantiles_of_each(
    frames: Sequence[DataFrame], names: Sequence[str], parts: int, *, apart: bool = False
) -> dict[str, list[Any]]:
    """``quantiles`` of several columns, all of them in the same two to seven Spark jobs.

    Parameters
    ----------
    frames : frames with columns of doubles, bigints or decimals of up to 37 digits; null is no
        value.
    names : their names, plain ones.
    parts : how many parts.
    apart : whether each value is a part of its own where there are no more values than parts.

    Returns
    -------
    By column, the least value of each part but the first; none where there are no values.
    """
    searches = _searched(frames, names, parts, parts if apart else 0)
    return {search.name: search.edges for search in searches}


def values_of_each(
    frames: Sequence[DataFrame], names: Sequence[str], parts: int
) -> dict[str, list[Any]]:
    """The value of rank n · i // parts, from 0 on, for each i from 1 to parts - 1.

    Unlike ``quantiles_of_each``, which tells where parts begin, a value that makes up several parts
    is told several times.

    Parameters
    ----------
    frames, names, parts : as of ``quantiles_of_each``.

    Returns
    -------
    By column, ``parts - 1`` values; none where there are no values.
    """
    searches = _searched(frames, names, parts, 0)
    return {search.name: search.values for search in searches}


def _searched(
    frames: Sequence[DataFrame], names: Sequence[str], parts: int, most: int
) -> list[_Search]:
    """Search the quantiles of all columns until each is a single value."""
    if not names:
        return []
    rows = unite(frames)
    kind_of = kinds(rows)
    rows = rows.select(*[_bounded(name, kind_of[name]) for name in names])
    told = [f(name) for name in names for f in (F.min, F.max, F.count)]
    ends = list(rows.agg(*told).collect()[0])
    searches = [
        _Search(name, low, high, n, parts, most)
        for name, low, high, n in zip(names, ends[::3], ends[1::3], ends[2::3], strict=True)
    ]
    while any(search.open for search in searches):
        _narrow(rows, [search for search in searches if search.open])
    return searches


@dataclass(frozen=True)
class _Interval:
    """Least and greatest value, how many values lie below, and how many in it."""

    low: Any
    high: Any
    below: int
    n: int

    def bucket(self, at: Column, buckets: int) -> Column:
        """The number of the part that a value inside lies in; never falls as the value rises."""
        if not isinstance(self.low, float):
            # Differences in full, of which double precision then sees enough: ends differ.
            wide = at.cast(T.DecimalType(20, 0)) if isinstance(self.low, int) else at
            away = wide - F.lit(Decimal(self.low))
            share = away.cast("double") / float(Decimal(self.high) - Decimal(self.low))
            return F.floor(share * (buckets - 1))
        share = (at - self.low) / (self.high - self.low)
        if math.isinf(self.high - self.low):  # the distance may be more than a double
            share = (at / 2 - self.low / 2) / (self.high / 2 - self.low / 2)
        return F.floor(share * (buckets - 1))


@dataclass
class _Search:
    """What is known of a column: intervals of which more must be known, and single values.

    As long as all of them together are no more than ``most``, all are followed up; then those alone
    in which a quantile lies.
    """

    name: str
    low: Any
    high: Any
    n: int
    parts: int
    most: int
    open: list[_Interval] = field(init=False)
    single: list[_Interval] = field(init=False, default_factory=list)
    few: bool = field(init=False, default=True)

    def __post_init__(self) -> None:
        self.open = []
        self._keep([_Interval(self.low, self.high, 0, self.n)] if self.n else [])

    @property
    def edges(self) -> list[Any]:
        return sorted({interval.low for interval in self.single} - {self.low})

    @property
    def values(self) -> list[Any]:
        """The value at the beginning of each part but the first."""
        known = sorted(self.single, key=lambda interval: interval.below)
        begins = [interval.below for interval in known]
        ranks = [self.n * part // self.parts for part in range(1, self.parts)] if known else []
        return [known[bisect_right(begins, rank) - 1].low for rank in ranks]

    def follow(self, counted: Sequence[dict[str, Any]]) -> None:
        """Go on with what was counted in the open intervals, in order of interval and bucket."""
        upto = [interval.below for interval in self.open]
        found = []
        for part in counted:
            i = part["i"]
            found.append(_Interval(part["low"], part["high"], upto[i], part["n"]))
            upto[i] += part["n"]
        self._keep(found)

    def _keep(self, found: list[_Interval]) -> None:
        known = [*self.single, *found]
        self.few = self.few and len(known) <= self.most  # what was left out then is not known
        kept = known if self.few else [interval for interval in known if self._wanted(interval)]
        self.single = [interval for interval in kept if interval.low == interval.high]
        self.open = [interval for interval in kept if interval.low < interval.high]

    def _wanted(self, interval: _Interval) -> bool:
        """Whether one of the ranks that begin a part lies in the interval."""
        upto = [self._parts_begun(interval.below), self._parts_begun(interval.below + interval.n)]
        return upto[0] < upto[1]

    def _parts_begun(self, rows: int) -> int:
        """How many parts but the first begin within the first so many rows."""
        parts = range(1, self.parts)
        return bisect_right(parts, rows - 1, key=lambda part: self.n * part // self.parts)


def _bounded(name: str, kind: T.DataType) -> Column:
    """Infinite values are the greatest of all; arithmetic with them would lead nowhere."""
    if not isinstance(kind, T.DoubleType):
        return F.col(name)
    bounded = F.greatest(F.least(name, F.lit(LARGEST)), F.lit(-LARGEST))
    return F.when(F.col(name).isNotNull(), bounded).alias(name)


def _narrow(rows: DataFrame, searches: Sequence[_Search]) -> None:
    """Divide the open intervals of all searches; one Spark job."""
    buckets = max(BUCKETS // sum(len(search.open) for search in searches), 2)
    places = [_place(c, search, buckets) for c, search in enumerate(searches)]
    counted = (
        rows.select(F.inline(F.array(*places)))
        .where("i IS NOT NULL")
        .groupBy("c", "i", "b")
        .agg(F.min("at").alias("low"), F.max("at").alias("high"), F.count("at").alias("n"))
        .toArrow()
        .sort_by([("c", "ascending"), ("i", "ascending"), ("b", "ascending")])
        .to_pylist()
    )
    for c, search in enumerate(searches):
        search.follow([part for part in counted if part["c"] == c])


def _place(c: int, search: _Search, buckets: int) -> Column:
    """Which interval and bucket of a column a row lies in; null where in none."""
    at = F.col(search.name)
    parts = [
        F.struct(
            F.lit(c).alias("c"),
            F.lit(i).alias("i"),
            interval.bucket(at, buckets).alias("b"),
            at.alias("at"),
        )
        for i, interval in enumerate(search.open)
    ]
    inside = [at.between(F.lit(i.low), F.lit(i.high)) for i in search.open]
    place = F.when(inside[0], parts[0])
    for condition, part in zip(inside[1:], parts[1:], strict=True):
        place = place.when(condition, part)
    return place
