"""Lists and reads many Delta logs in one Spark job each, on whatever storage Spark knows."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import pyarrow as pa
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from lakebalance.core.errors import LakebalanceError, first_line
from lakebalance.core.spark_errors import for_users
from lakebalance.lake.log import BrokenLog, actions, replay
from lakebalance.lake.log_files import LogFiles

LOG = "_delta_log"
GLOB = re.compile(r"([{}\[\]*?\\])")
# What is read of checkpoints: removed files are not in the table, so they are of no use.
CHECKPOINT = (
    "add struct<path:string,partitionValues:map<string,string>,size:bigint,"
    "modificationTime:bigint,stats:string,deletionVector:struct<storageType:string,"
    "pathOrInlineDv:string,offset:int,cardinality:bigint>>,"
    "metaData struct<id:string,schemaString:string,partitionColumns:array<string>,"
    "configuration:map<string,string>>,sidecar struct<path:string>"
)
REPLAYED = "table string, version bigint, problem string, facts string"
T = TypeVar("T")
R = TypeVar("R")


def log_files(
    spark: SparkSession, roots: Sequence[str], depth: int
) -> list[tuple[str, dict[str, dt.datetime]]]:
    """Of each table below the roots, the names and times of its log's files."""
    levels = ",".join("*/" * level + LOG for level in range(depth + 1))
    globs = [f"{escaped(root).rstrip('/')}/{{{levels}}}" for root in roots]
    files = spark.read.format("binaryFile").option("pathGlobFilter", "*.{json,parquet}").load(globs)
    time = F.unix_micros("modificationTime").alias("time")
    rows = (
        files.select(_table("path"), _name("path").alias("name"), time)
        .groupBy("table")
        .agg(F.collect_list(F.struct("name", "time")).alias("files"))
        .toArrow()
        .to_pylist()
    )
    return [(r["table"], {f["name"]: moment(f["time"]) for f in r["files"]}) for r in rows]


def moment(micros: int) -> dt.datetime:
    """A time that Spark gave in microseconds since 1970."""
    return dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc) + dt.timedelta(microseconds=micros)


def escaped(path: str) -> str:
    """A path in which nothing stands for other names."""
    return GLOB.sub(r"\\\1", path)


def _table(path: str) -> Column:
    return without_scheme(F.regexp_replace(F.col(path), f"/{LOG}/[^/]+$", "")).alias("table")


def _name(path: str) -> Column:
    return F.regexp_extract(F.col(path), "([^/]+)$", 1)


def read_logs(spark: SparkSession, logs: Mapping[str, LogFiles]) -> list[dict[str, Any]]:
    """Replay the logs of some tables in one job, each table's in one task.

    Parameters
    ----------
    spark : the session.
    logs : by table, the files to read.

    Returns
    -------
    Of each table ``table``, ``version`` and either ``facts``, as JSON, or its log's ``problem``.
    """
    commits = [f"{table}/{LOG}/{name}" for table, log in logs.items() for name in log.commits]
    checkpoints = [
        f"{table}/{LOG}/{name}" for table, log in logs.items() for name in log.checkpoint
    ]
    parts = []
    if commits:
        files = spark.read.format("binaryFile").load([escaped(path) for path in commits])
        parts.append(files.select(_table("path"), _version("path"), F.col("content").alias("text")))
    if checkpoints:
        parts.append(_of_checkpoints(spark, checkpoints))
    lines = parts[0].union(parts[1]) if len(parts) == 2 else parts[0]
    replayed = lines.groupBy("table").applyInArrow(_replay, REPLAYED)
    rows: list[dict[str, Any]] = replayed.toArrow().to_pylist()
    return rows


def _of_checkpoints(spark: SparkSession, paths: Sequence[str]) -> DataFrame:
    rows = spark.read.schema(CHECKPOINT).parquet(*[escaped(path) for path in paths])
    wanted = F.coalesce("add.path", "metaData.schemaString", "sidecar.path").isNotNull()
    action = F.to_json(F.struct("add", "metaData", "sidecar")).cast("binary").alias("text")
    lines = rows.where(wanted).select(file_read().alias("path"), action)
    return lines.select(_table("path"), _version("path"), "text")


def file_read() -> Column:
    """The path of the file that a row was read from."""
    # It is a URI there, in which a plus sign is one.
    path = F.url_decode(F.replace(F.col("_metadata.file_path"), F.lit("+"), F.lit("%2B")))
    return without_scheme(path)


def without_scheme(path: Column) -> Column:
    """A path without the scheme of local files, as ``core.paths.local`` leaves it."""
    return F.regexp_replace(path, "^file:/+", "/")


def _version(path: str) -> Column:
    return F.regexp_extract(F.col(path), r"/(\d{20})[^/]*$", 1).cast("bigint").alias("version")


def _replay(log: pa.Table) -> pa.Table:
    """One table's log as one row."""
    table = log["table"][0].as_py()
    texts = sorted(
        zip(log["version"].to_pylist(), log["text"].to_pylist(), strict=True), key=lambda t: t[0]
    )
    version, problem, facts = texts[-1][0], None, None
    try:
        lines = (action for _, text in texts for action in actions(text.decode()))
        facts = replay(table, version, lines).to_json()
    except (BrokenLog, UnicodeDecodeError) as error:
        problem = str(error)
    row = {"table": table, "version": version, "problem": problem, "facts": facts}
    kinds = [("table", pa.string()), ("version", pa.int64())]
    kinds += [("problem", pa.string()), ("facts", pa.string())]
    return pa.Table.from_pylist([row], schema=pa.schema(kinds))


def each_or_said(
    items: Sequence[T], read: Callable[[Sequence[T]], list[R]], what: str
) -> tuple[list[R], list[tuple[T, str]]]:
    """Read many at once; where that fails, halve them until those that fail stand alone.

    Parameters
    ----------
    items : what is read.
    read : reads some; it fails if one of them cannot be read.
    what : what is read, for the reasons.

    Returns
    -------
    What was read, and each item that could not be, with the reason.

    Examples
    --------
    >>> each_or_said([1, 2, 0, 4], lambda some: [4 // n for n in some], "")
    ([4, 2, 1], [(0, 'integer division or modulo by zero')])
    """
    if not items:
        return [], []
    try:
        return read(items), []
    except Exception as error:
        if len(items) == 1:
            return [], [(items[0], reason(error, what))]
    middle = len(items) // 2
    halves = [each_or_said(part, read, what) for part in (items[:middle], items[middle:])]
    return halves[0][0] + halves[1][0], halves[0][1] + halves[1][1]


def reason(error: Exception, what: str) -> str:
    """Why something could not be read, in a line."""
    said = error if isinstance(error, LakebalanceError) else for_users(error, what)
    return first_line(said or error)[:500]
