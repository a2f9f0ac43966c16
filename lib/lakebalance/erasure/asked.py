"""Which rows somebody asks to have forgotten: by a condition or a list, and how it is widened."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Literal

from pyspark.errors import PySparkException
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from lakebalance.core.columns import column, kinds, require
from lakebalance.core.conditions import check_of_the_row
from lakebalance.core.errors import RecipeError, TableError, first_line
from lakebalance.core.readable import plain
from lakebalance.core.tables import Table, newest_version, read_delta

ASKED, SUSPECT = "asked", "suspect"
LISTED, OF_KEYS, WHY, SHARE = "__lb_listed", "__lb_of_keys", "__lb_why", "__lb_share"
MOST_VALUES = 20
WIDE, DAY = T.DecimalType(38, 18), r"^\s*[+-]?\d{4,}-\d{1,2}-\d{1,2}"


@dataclass(frozen=True)
class Asked:
    """What somebody asks for.

    ``where`` is a condition over the sources' columns, ``keys`` a table (a Delta table, or a file
    that ends in .csv or .parquet) of values of some of these columns: one of the two. Rows that
    share the values of the ``suspect`` columns with a listed one are meant, too, where at least
    ``suspect_share`` of the rows with these values are listed. ``ties`` says what becomes of rows
    that pruning took for the same as a forgotten one: they are forgotten with it, or the best of
    those that are left takes its place.
    """

    where: str | None = None
    keys: str | None = None
    suspect: tuple[str, ...] = ()
    suspect_share: float = 0.0
    ties: Literal["forget", "promote"] = "forget"

    def __post_init__(self) -> None:
        if (self.where is None) == (self.keys is None):
            raise RecipeError("write either --where with a condition or --keys with a table")
        if self.ties not in ("forget", "promote"):
            raise RecipeError(f'ties: "{self.ties}" is neither forget nor promote')
        if not 0 <= self.suspect_share <= 1:
            raise RecipeError(f"suspect_share is a share, 0 to 1; there was {self.suspect_share}")
        if self.suspect_share and not self.suspect:
            raise RecipeError("suspect_share goes with suspect, which names columns")
        check_of_the_row(self.where, "where")

    @property
    def fingerprint(self) -> str:
        """A hash of what is asked, which may itself be what is to be forgotten."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


@dataclass
class Picker:
    """Finds the rows that are asked for in the sources."""

    spark: SparkSession
    asked: Asked

    @cached_property
    def keys(self) -> DataFrame:
        """The table of keys.

        Raises
        ------
        TableError : it cannot be read.
        """
        name = self.asked.keys or ""
        try:
            if name.endswith(".csv"):
                return self.spark.read.option("header", True).csv(name)
            if name.endswith(".parquet"):
                return self.spark.read.parquet(name)
            version = newest_version(self.spark, Table(name))
        except PySparkException as error:
            raise TableError(f"--keys {name}: {first_line(error)}") from error
        if version is None:
            raise TableError(
                f"--keys {name} is no Delta table that can be read; a file ends in .csv or .parquet"
            )
        return read_delta(self.spark, Table(name), version)

    def pick(self, rows: DataFrame) -> DataFrame:
        """The rows that are asked for, with why, ``asked`` or ``suspect``, in ``__lb_why``.

        Raises
        ------
        RecipeError : the condition cannot be read, or a column is not there.
        """
        listed = self._listed(rows)
        if not self.asked.suspect:
            return listed.where(LISTED).drop(LISTED).withColumn(WHY, F.lit(ASKED))
        shares = self._shares(listed)
        wanted = shares.where((F.col("listed") > 0) & (F.col(SHARE) >= self.asked.suspect_share))
        names = list(self.asked.suspect)
        bad = wanted.select(*map(column, names), F.lit(True).alias("__lb_bad"))
        # A null says of no two rows that they belong together.
        found = listed.join(F.broadcast(bad), names, "left")
        reason = F.when(F.col(LISTED), ASKED).when(F.col("__lb_bad"), SUSPECT)
        found = found.withColumn(WHY, reason).where(F.col(WHY).isNotNull())
        return found.drop(LISTED, "__lb_bad")

    def suspects(self, rows: DataFrame) -> list[dict[str, Any]]:
        """The values by which a list is widened, those with most rows listed first, 20 at most."""
        if not self.asked.suspect:
            return []
        names = list(self.asked.suspect)
        shares = self._shares(self._listed(rows)).where("listed > 0")
        order = [F.col("listed").desc(), *[column(name) for name in names]]
        return [
            {
                "values": {name: plain(row[name]) for name in names},
                "listed": row["listed"],
                "rows": row["rows"],
                "meant": row[SHARE] >= self.asked.suspect_share,
            }
            for row in shares.orderBy(*order).limit(MOST_VALUES).collect()
        ]

    def _shares(self, listed: DataFrame) -> DataFrame:
        """Per value of the suspect columns how many rows there are, and how many are listed."""
        require(listed, self.asked.suspect, "--suspect")
        names = [column(name) for name in self.asked.suspect]
        there = listed
        for name in names:
            there = there.where(name.isNotNull())
        counted = there.groupBy(*names).agg(
            F.count_if(LISTED).alias("listed"), F.count(F.lit(1)).alias("rows")
        )
        return counted.withColumn(SHARE, F.col("listed") / F.col("rows"))

    def _listed(self, rows: DataFrame) -> DataFrame:
        """The rows with whether each is asked for, in ``__lb_listed``."""
        if self.asked.where is None:
            return self._by_keys(rows)
        try:
            found = rows.withColumn(LISTED, F.coalesce(F.expr(self.asked.where), F.lit(False)))
            found.where(LISTED).schema  # noqa: B018  Connect analyses only here
        except PySparkException as error:
            raise RecipeError(f"--where: {first_line(error)}") from error
        return found

    def _by_keys(self, rows: DataFrame) -> DataFrame:
        names, kind_of, given = self.keys.columns, kinds(rows), kinds(self.keys)
        require(rows, names, f"--keys {self.asked.keys}")
        keys, readable = self.keys, F.lit(True)
        for name in names:
            if given[name] != kind_of[name]:
                # What is no number cannot be the key of a row; as null it would be that of many.
                fits = _is_the_same(column(name), given[name], kind_of[name])
                readable = readable & (column(name).isNull() | F.coalesce(fits, F.lit(False)))
        keys = keys.where(readable).select(
            *[column(n).try_cast(kind_of[n]).alias(f"{OF_KEYS}{i}") for i, n in enumerate(names)]
        )
        same = [column(n).eqNullSafe(F.col(f"{OF_KEYS}{i}")) for i, n in enumerate(names)]
        marked = keys.distinct().withColumn(LISTED, F.lit(True))
        joined = rows.join(marked, same, "left").drop(*[f"{OF_KEYS}{i}" for i in range(len(names))])
        return joined.withColumn(LISTED, F.coalesce(LISTED, F.lit(False)))


def _is_the_same(value: Column, given: T.DataType, wanted: T.DataType) -> Column:
    """Whether a value of a list can be written as a column's type without being another one.

    A cast alone takes 7.9 for 7, and an hour of a day for the day.
    """
    cast = value.try_cast(wanted)
    if not isinstance(given, T.StringType):
        return cast.isNotNull() & cast.try_cast(given).eqNullSafe(value)
    if isinstance(wanted, T.DecimalType):
        return value.try_cast(WIDE) == cast.try_cast(WIDE)
    if isinstance(wanted, T.DateType):
        return cast.isNotNull() & value.rlike(DAY + r"\s*$")
    if isinstance(wanted, T.TimestampType | T.TimestampNTZType):
        return cast.isNotNull() & value.rlike(DAY) & ~value.rlike(r"\.\d{7}")
    return cast.isNotNull()
