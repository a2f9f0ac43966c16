"""What a catalog's schemas say of their tables: where each lies, whose it is, what views read."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from lakebalance.core.beside import each
from lakebalance.core.columns import quoted
from lakebalance.core.errors import TableError, nearest
from lakebalance.core.paths import local
from lakebalance.core.tables import Table
from lakebalance.lake.log_reading import reason

# What DESCRIBE writes above what it says of the table itself.
ABOUT = "# Detailed Table Information"
READ = re.compile(r"SubqueryAlias (.+)$", re.MULTILINE)
PLAIN = re.compile(r"\w+")
DEFAULT_CATALOG = "spark_catalog"


@dataclass(frozen=True)
class Registered:
    """A table of a catalog. ``kind`` is its provider or ``view``; ``problem`` why nothing is known.

    ``reads`` are the paths of the tables that a view reads.
    """

    name: str
    kind: str = ""
    path: str | None = None
    owner: str | None = None
    problem: str | None = None
    reads: tuple[str, ...] = ()


def registered(spark: SparkSession, schemas: Iterable[str]) -> list[Registered]:
    """The tables and views of some schemas, in order of their names; temporary views are left out.

    Parameters
    ----------
    spark : a session, classic or Connect.
    schemas : of one or two parts: ``sales``, ``main.sales``.

    Raises
    ------
    TableError : there is no such schema, or it may not be listed.
    """
    names = sorted({name for schema in schemas for name in _names(spark, schema)})
    return each(spark, names, lambda name: _described(spark, name))


def same_name(name: str) -> tuple[str, ...]:
    """A name's parts, such that two names of one table have the same.

    Examples
    --------
    >>> same_name("spark_catalog.Sales.`a.b`"), same_name("sales.`a.b`")
    (('sales', 'a.b'), ('sales', 'a.b'))
    """
    parts = tuple(part.casefold() for part in Table(name).parts)
    return parts[1:] if len(parts) == 3 and parts[0] == DEFAULT_CATALOG else parts


def _names(spark: SparkSession, schema: str) -> list[str]:
    try:
        rows = spark.sql(f"SHOW TABLES IN {Table(schema).sql}").collect()
    except PySparkException as error:
        if error.getCondition() in ("SCHEMA_NOT_FOUND", "PARSE_SYNTAX_ERROR"):
            there = [row[0] for row in spark.sql("SHOW SCHEMAS").collect()]
            raise TableError(f"there is no schema {schema}; {nearest(schema, there)}") from error
        raise TableError(reason(error, f"schema {schema}")) from error
    names = [row["tableName"] for row in rows if not row["isTemporary"]]
    return [f"{schema}.{n if PLAIN.fullmatch(n) else quoted(n)}" for n in names]


def _described(spark: SparkSession, name: str) -> Registered:
    try:
        rows = spark.sql(f"DESCRIBE TABLE EXTENDED {Table(name).sql}").collect()
    except Exception as error:
        return Registered(name, problem=reason(error, name))
    listed = [row["col_name"] for row in rows]
    # A column may be called as one of these lines is.
    about = rows[listed.index(ABOUT) :] if ABOUT in listed else []
    said = {row["col_name"].lower(): row["data_type"] for row in about}
    owner, location = said.get("owner") or None, said.get("location")
    if "view" in said.get("type", "").lower():
        return Registered(name, "view", owner=owner)
    path = None if location is None else local(location).rstrip("/")
    return Registered(name, said.get("provider", "").lower(), path, owner)


def read_by(
    spark: SparkSession, view: str, paths: Mapping[tuple[str, ...], str], tables: Collection[str]
) -> tuple[str, ...]:
    """The tables that a view reads, through other views too.

    Parameters
    ----------
    spark : the session.
    view : its name.
    paths : of tables of the catalog, by ``same_name``.
    tables : the paths of all tables that may be read.

    Returns
    -------
    The paths of those that it reads.
    """
    # The plan names tables, those too of which statistics show that no file is read; the files tell
    # of tables that are known under other names.
    frame = spark.table(Table(view).sql)
    plan = spark.sql(f"EXPLAIN EXTENDED SELECT * FROM {Table(view).sql}").collect()[0][0]
    analysed = plan.partition("== Optimized Logical Plan ==")[0]
    found = {_path_of(name, paths) for name in READ.findall(analysed)}
    # Spark writes some as URIs and some not.
    files = frame.inputFiles()
    for file in {*files, *map(unquote, files)}:
        found.add(next((folder for folder in _above(local(file)) if folder in tables), None))
    return tuple(sorted(path for path in found if path is not None and path in tables))


def _above(file: str) -> Iterator[str]:
    while "/" in file:
        file = file.rpartition("/")[0]
        yield file


def _path_of(name: str, paths: Mapping[tuple[str, ...], str]) -> str | None:
    parts = same_name(name)
    if len(parts) == 2 and parts[0] in ("delta", "parquet"):
        return local(Table(name).parts[-1]).rstrip("/")
    return paths.get(parts)
