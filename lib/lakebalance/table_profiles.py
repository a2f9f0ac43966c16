"""What the columns of tables say: the work behind ``lakebalance profile TABLE``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession

from lakebalance.core.beside import Beside
from lakebalance.core.columns import require
from lakebalance.core.errors import RecipeError, TableError
from lakebalance.core.paths import from_root
from lakebalance.core.progress import Progress
from lakebalance.core.sources import read_parquet
from lakebalance.core.tables import Table, newest_version, read_delta
from lakebalance.profiling.correlations import correlate
from lakebalance.profiling.counting import count
from lakebalance.profiling.dependencies import Dependencies, find_dependencies
from lakebalance.profiling.facts import ColumnFacts
from lakebalance.profiling.inclusions import Side, find_inclusions
from lakebalance.profiling.keys import Keys, find_keys
from lakebalance.profiling.numbers import add_quantiles
from lakebalance.profiling.options import Options
from lakebalance.profiling.redundant import find_equal
from lakebalance.profiling.sample import Sample, draw
from lakebalance.profiling.statistics import ERROR_OF_DISTINCT, statistics


@dataclass(frozen=True)
class Opened:
    """A table at one version; ``version`` is a hash of the list of files where it is Parquet."""

    name: str
    table: str
    format: str
    version: int | str
    df: DataFrame


@dataclass
class TableProfile:
    """A table, its columns, and what was found out about them together."""

    opened: Opened
    columns: list[ColumnFacts]
    sample: Sample | None
    keys: Keys | None = None
    dependencies: Dependencies | None = None
    equal: list[list[str]] = field(default_factory=list)
    correlations: list[dict[str, Any]] | None = None

    @property
    def rows(self) -> int:
        """How many rows the table has."""
        return self.columns[0].rows if self.columns else 0

    def to_dict(self) -> dict[str, Any]:
        """The table as ``profile --json`` prints it."""
        data: dict[str, Any] = {
            "name": self.opened.name,
            "table": self.opened.table,
            "format": self.opened.format,
            "version": self.opened.version,
            "rows": self.rows,
            "columns": [column.to_dict() for column in self.columns],
        }
        data["redundant"] = {
            "constant": [column.name for column in self.columns if column.constant],
            "equal": self.equal,
        }
        if self.keys is not None:
            data["keys"] = self.keys.to_dict()
        if self.dependencies is not None:
            data["redundant"]["one_to_one"] = self.dependencies.one_to_one
            data["dependencies"] = {
                "found": [found.to_dict() for found in self.dependencies.found],
                "complete": self.dependencies.complete,
            }
        if self.correlations is not None:
            data["correlations"] = self.correlations
        return data


@dataclass
class Profile:
    """What was found of some tables; shows itself in notebooks."""

    tables: list[TableProfile]
    options: Options
    inclusions: list[dict[str, Any]] = field(default_factory=list)
    all_pairs: bool = True

    def to_dict(self) -> dict[str, Any]:
        """The profile as ``profile --json`` prints it."""
        return {
            "tables": [table.to_dict() for table in self.tables],
            "inclusions": {"found": self.inclusions, "complete": self.all_pairs},
            "error_of_distinct": ERROR_OF_DISTINCT,
        }

    def _repr_html_(self) -> str:
        from lakebalance.report.columns import fragment

        return fragment(self.to_dict())


def columns(
    tables: str | Sequence[str],
    spark: SparkSession,
    options: Options | None = None,
    *,
    names: Sequence[str] = (),
    version: int | None = None,
    progress: Progress | None = None,
) -> Profile:
    """Say what the columns of tables hold; writes nothing.

    Parameters
    ----------
    tables : Delta tables by path or catalog name, or folders of Parquet.
    spark : a session, classic or Connect.
    options : what is looked for; keys besides statistics if left out.
    names : the columns looked at; all if left out.
    version : the Delta version of the one table; the newest if left out.
    progress : told what is under way.

    Raises
    ------
    TableError : a table or version is not there.
    RecipeError : a column is not there, or a version is asked of several tables.

    Examples
    --------
    >>> from lakebalance.core.session import local_session
    >>> columns("nowhere/table", local_session())
    Traceback (most recent call last):
        ...
    lakebalance.core.errors.TableError: nowhere/table is neither a Delta table nor a folder of \
Parquet; check the path, or the name (a path has a slash: ./name)
    """
    wanted = [tables] if isinstance(tables, str) else list(tables)
    if version is not None and len(wanted) != 1:
        raise RecipeError(f"--version {version}: name one table, of which this is a version")
    asked, show = options or Options(), progress or (lambda stage: None)
    opened = [_open(spark, table, version) for table in wanted]
    profile = Profile([_profile(table, names, asked, show) for table in _named(opened)], asked)
    if len(wanted) > 1:
        show("looking for columns that hold values of other tables")
        sides = [Side(t.opened.name, t.opened.df, t.columns) for t in profile.tables]
        profile.inclusions, profile.all_pairs = find_inclusions(sides)
    return profile


def _open(spark: SparkSession, name: str, version: int | None) -> Opened:
    table = Table(name)
    newest = newest_version(spark, table)
    if newest is None:
        return _parquet(spark, name, version)
    if version is not None and version > newest:
        raise TableError(f"--version: {name} has no version {version}; newest is {newest}")
    at = newest if version is None else version
    return Opened(name, name, "delta", at, read_delta(spark, table, at))


def _parquet(spark: SparkSession, name: str, version: int | None) -> Opened:
    try:
        df, digest = read_parquet(spark, from_root(name))
    except PySparkException as error:
        raise TableError(
            f"{name} is neither a Delta table nor a folder of Parquet; check the path, or the "
            "name (a path has a slash: ./name)"
        ) from error
    if version is not None:
        raise RecipeError(f"--version {version}: {name} is Parquet, which has no versions")
    return Opened(name, name, "parquet", digest, df)


def _named(opened: Sequence[Opened]) -> list[Opened]:
    """The tables, each called by the last part of its path or name, as far as these differ."""
    short = [table.table.rstrip("/").rpartition("/")[2] for table in opened]
    return [
        Opened(last if short.count(last) == 1 else t.table, t.table, t.format, t.version, t.df)
        for t, last in zip(opened, short, strict=True)
    ]


def _profile(
    opened: Opened, names: Sequence[str], options: Options, show: Progress
) -> TableProfile:
    df = opened.df
    require(df, names, f"--columns: {opened.name}")
    wanted = list(dict.fromkeys(names)) or df.columns
    if not wanted:
        return TableProfile(opened, [], None)
    show(f"{opened.name}: counting rows, nulls and distinct values of {len(wanted)} columns")
    facts = statistics(df, wanted)
    sample = draw(df, wanted, facts[0].rows) if facts[0].rows else None
    found = TableProfile(opened, facts, sample)
    if sample is None:
        return found
    with Beside(df.sparkSession) as beside:
        show(f"{opened.name}: counting values")
        beside.start(lambda: add_quantiles(df, facts))
        common = {f.name: sample.common(f.name) for f in facts}
        count(df, facts, common, exact=options.exact_distinct)
        found.equal = find_equal(df, sample)
        _relate(found, options, show)
    return found


def _relate(found: TableProfile, options: Options, show: Progress) -> None:
    """Add what columns say together."""
    df, facts, sample = found.opened.df, found.columns, found.sample
    if sample is None:
        return
    if options.keys:
        show(f"{found.opened.name}: looking for keys")
        found.keys = find_keys(df, facts, sample, options.key_size)
    if options.correlations:
        show(f"{found.opened.name}: measuring correlations")
        found.correlations = correlate(df, facts)
    if options.dependencies:
        show(f"{found.opened.name}: looking for dependencies")
        keys = found.keys or find_keys(df, facts, sample, options.left_size)
        found.dependencies = find_dependencies(
            df, facts, sample, keys.found, options.left_size, options.error
        )
