"""How rows in quarantine are to be repaired: by expressions, or by a table of repaired rows."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from functools import cached_property

from pyspark.errors import PySparkException
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from lakebalance.core.columns import column, filtered, kinds, require, without_nan
from lakebalance.core.conditions import check_of_the_row
from lakebalance.core.errors import RecipeError, TableError, first_line
from lakebalance.core.sources import Pinned
from lakebalance.core.tables import Table, newest_version, read_delta

KEY_TEXT = "lb_key"
SET = re.compile(r"\s*(?:`((?:[^`]|``)+)`|([^=`]+?))\s*=(?!=)(.*)", re.DOTALL)
GIVEN = "__lb_given_"


@dataclass(frozen=True)
class Repair:
    """What is to be done with which rows.

    ``sets`` are texts ``column = expression``, of rows that meet ``where``; or ``table`` is a Delta
    table of repaired rows, found by ``lb_key``.
    """

    sets: tuple[str, ...] = ()
    where: str | None = None
    table: str | None = None

    def __post_init__(self) -> None:
        if bool(self.sets) == (self.table is not None):
            raise RecipeError(
                'write either --set "column = expression", also several, or --table with rows that '
                "you repaired"
            )
        for option, text in [("--where", self.where), *[("--set", own) for own in self.sets]]:
            check_of_the_row(text, option)
        self.expressions  # noqa: B018  raises where one cannot be read

    @cached_property
    def expressions(self) -> dict[str, str]:
        """What each column is to become, as SQL."""
        found: dict[str, str] = {}
        for text in self.sets:
            parts = SET.fullmatch(text)
            if parts is None or not parts[3].strip():
                raise RecipeError(f'--set: write "column = expression"; there was "{text}"')
            name = parts[1].replace("``", "`") if parts[1] else parts[2].strip()
            if name in found:
                raise RecipeError(f'--set: "{name}" is set twice; write one expression')
            found[name] = parts[3].strip()
        return found

    def fingerprint(self, version: int | None) -> str:
        """A hash of what is asked; of a table, at its version."""
        text = json.dumps([self.sets, self.where, self.table, version])
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass
class Repairer:
    """Repairs rows as they were set aside."""

    spark: SparkSession
    repair: Repair

    @cached_property
    def version(self) -> int | None:
        """The version of the table of repaired rows; None where there is none.

        Raises
        ------
        TableError : it is no Delta table that can be read.
        """
        if self.repair.table is None:
            return None
        version = newest_version(self.spark, Table(self.repair.table))
        if version is None:
            raise TableError(f"--table {self.repair.table} is no Delta table that can be read")
        return version

    @cached_property
    def given(self) -> DataFrame:
        """The table of repaired rows.

        Raises
        ------
        RecipeError : it has no ``lb_key``, or one key twice.
        """
        assert self.repair.table is not None and self.version is not None
        rows = read_delta(self.spark, Table(self.repair.table), self.version)
        require(rows, [KEY_TEXT], f"--table {self.repair.table}")
        values = rows.drop(*[n for n in rows.columns if n.startswith("lb_") and n != KEY_TEXT])
        once = values.groupBy(KEY_TEXT).count().where("count > 1").select(KEY_TEXT).limit(1)
        # Equal rows share a key where it is their content, and then they are repaired alike.
        if twice := once.collect():
            raise RecipeError(
                f"--table {self.repair.table}: {KEY_TEXT} {twice[0][0]} is there in more than one "
                "row; leave one"
            )
        return values

    def picked(self, rows: DataFrame) -> DataFrame:
        """The rows that are to be repaired.

        Parameters
        ----------
        rows : as they are in quarantine, with ``lb_key``.

        Raises
        ------
        RecipeError : the condition cannot be read.
        """
        if self.repair.table is not None:
            rows = rows.join(self.given.select(KEY_TEXT), KEY_TEXT, "left_semi")
        if self.repair.where is None:
            return rows
        return filtered(rows, self.repair.where, "--where")

    def unknown(self, rows: DataFrame) -> list[str]:
        """Keys of the table, up to three, that no row in quarantine has."""
        if self.repair.table is None:
            return []
        missing = self.given.join(rows.select(KEY_TEXT), KEY_TEXT, "left_anti")
        return [row[0] for row in missing.select(KEY_TEXT).orderBy(KEY_TEXT).limit(3).collect()]

    def repaired(self, rows: DataFrame, source: Pinned, nan_as_null: bool) -> list[Column]:
        """The columns of a source as they are to become, over rows that ``with_given`` made.

        Raises
        ------
        RecipeError : a column is not there, identifies the row, or an expression cannot be used.
        """
        kind_of = {field.name: field.dataType for field in source.columns}
        changed: dict[str, Column] = {}
        if self.repair.table is None:
            for name, text in self.repair.expressions.items():
                self._check(name, source, "--set")
                changed[name] = F.expr(text)
        else:
            for name in self.given.columns:
                if name != KEY_TEXT and name in kind_of:
                    changed[name] = column(f"{GIVEN}{name}")
        values = [
            _cast(changed.get(name, column(name)), kind, nan_as_null).alias(name)
            for name, kind in kind_of.items()
        ]
        for name, value in changed.items():
            try:
                rows.select(value.cast(kind_of[name])).schema  # noqa: B018
            except PySparkException as error:
                raise RecipeError(f'--set "{name}": {first_line(error)}') from error
        return values

    def with_given(self, rows: DataFrame) -> DataFrame:
        """The rows with the columns of the table of repaired ones beside theirs."""
        if self.repair.table is None:
            return rows
        names = [name for name in self.given.columns if name != KEY_TEXT]
        given = self.given.select(KEY_TEXT, *[column(n).alias(f"{GIVEN}{n}") for n in names])
        return rows.join(given, KEY_TEXT)

    def check_columns(self, source: Pinned) -> None:
        """Raise where the table of repaired rows has columns that the source has not."""
        if self.repair.table is not None:
            for name in self.given.columns:
                if name != KEY_TEXT:
                    require(_known(source), [name], f"--table {name}")

    @staticmethod
    def _check(name: str, source: Pinned, place: str) -> None:
        require(_known(source), [name], place)
        if source.key and name in source.key:
            raise RecipeError(
                f'{place}: "{name}" is a key column of source "{source.name}": with another value '
                "it would be another row; repair it in the source"
            )


def _known(source: Pinned) -> DataFrame:
    """A source's rows with the columns that users know of."""
    return source.df.select(*[column(field.name) for field in source.columns])


def _cast(value: Column, kind: T.DataType, nan_as_null: bool) -> Column:
    own = value.cast(kind)
    return without_nan(own, kind) if nan_as_null else own


def as_source(rows: DataFrame, source: Pinned) -> DataFrame:
    """Rows in quarantine with the types that their source has.

    Raises
    ------
    TableError : a column of the source was not there when they were set aside.
    """
    kind_of, wanted = kinds(rows), {field.name: field.dataType for field in source.columns}
    if missing := sorted(wanted.keys() - kind_of.keys()):
        raise TableError(
            f'source "{source.name}" has a column {missing[0]} that the rows in quarantine have '
            "not: run the recipe again, and release what it sets aside"
        )
    others = [column(n) for n in rows.columns if n not in wanted]
    own = [column(name).cast(kind).alias(name) for name, kind in wanted.items()]
    return rows.select(*own, *others)
