"""Finds tables that are folders of Parquet files, and what can be known without reading their rows.

Spark reads no statistics of Parquet's columns without their data, so none are known: such tables
are compared by content. Their number of rows is in the files' ends.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakebalance.lake.facts import ColumnFacts, TableFacts, is_below
from lakebalance.lake.log import MOST_PLAIN_FILES, NOT_PLAIN, is_small
from lakebalance.lake.log_reading import escaped, moment, without_scheme

# Folders named so are partitions of the table above them.
PARTITION = r"(/[^/=]+=[^/]*)+$"


@dataclass(frozen=True)
class Folder:
    """A folder of Parquet files; ``id`` changes whenever one of them does.

    ``paths`` are those of the files, of a small table without partitions.
    """

    table: str
    id: str
    files: int
    bytes: int
    written: dt.datetime
    paths: tuple[str, ...]
    partition_by: tuple[str, ...]


def folders(spark: SparkSession, roots: Sequence[str]) -> list[Folder]:
    """The folders below some roots that hold Parquet files, in one job; partitions are one table.

    Parameters
    ----------
    spark : a session, classic or Connect.
    roots : folders, as Spark names them.
    """
    reader = spark.read.format("binaryFile").option("recursiveFileLookup", True)
    files = reader.option("pathGlobFilter", "*.parquet").load([escaped(root) for root in roots])
    path = without_scheme(F.col("path"))
    folder = F.regexp_replace(path, "/[^/]+$", "")
    named = files.select(
        F.regexp_replace(folder, PARTITION, "").alias("table"),
        folder.alias("folder"),
        F.struct(
            path.alias("path"), "length", F.unix_micros("modificationTime").alias("time")
        ).alias("file"),
    )
    listed = F.array_sort(F.collect_set("file"))
    few = F.slice(listed, 1, MOST_PLAIN_FILES + 1)
    rows = (
        named.groupBy("table")
        .agg(
            F.sha2(F.to_json(listed), 256).alias("id"),
            F.size(listed).alias("files"),
            F.sum("file.length").alias("bytes"),
            F.max("file.time").alias("written"),
            F.max("folder").alias("deepest"),
            F.transform(few, lambda file: file["path"]).alias("paths"),
        )
        .toArrow()
        .to_pylist()
    )
    return [_folder(row) for row in rows]


def _folder(row: Mapping[str, Any]) -> Folder:
    below = row["deepest"].removeprefix(row["table"]).split("/")
    partition_by = tuple(unquote(part.partition("=")[0]) for part in below if part)
    small = is_small(row["files"], row["bytes"])
    return Folder(
        row["table"],
        row["id"][:32],
        row["files"],
        row["bytes"],
        moment(row["written"]),
        tuple(row["paths"]) if small and not partition_by else (),
        partition_by,
    )


def not_in_delta(found: Sequence[Folder], delta: Collection[str]) -> list[Folder]:
    """The folders that do not belong to a Delta table."""
    return [f for f in found if not any(is_below(f.table, table) for table in delta)]


def read_folder(spark: SparkSession, table: str) -> DataFrame:
    """A table's rows as its folder has them now."""
    return spark.read.parquet(escaped(table))


def facts_of(spark: SparkSession, folder: Folder) -> TableFacts:
    """What is known of a table: columns, and rows as the files' ends count them."""
    df = read_folder(spark, folder.table)
    columns = tuple(
        ColumnFacts(field["name"], field["type"], 0, None, bounded_below=False, bounded_above=False)
        for field in df.schema.jsonValue()["fields"]
    )
    plain = () if NOT_PLAIN.search(df.schema.json()) else folder.paths
    return TableFacts(
        table=folder.table,
        version=0,
        rows=df.count(),
        bytes=folder.bytes,
        files=folder.files,
        columns=columns,
        partition_by=folder.partition_by,
        last_written=int(folder.written.timestamp() * 1000),
        id=folder.id,
        plain=plain,
        format="parquet",
    )
