"""The tables beside the target: ledger, allocations, quarantine, matches.

Each run's rows lie in a partition of their own. They replace what an earlier try of it left, or are
the same.
"""

from __future__ import annotations

import datetime as dt
import json
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, DataFrameWriter, Row, SparkSession, Window
from pyspark.sql import functions as F

from lakebalance.core.columns import column, sql_text
from lakebalance.core.errors import TableError, first_line
from lakebalance.core.secrets import hide, reveal
from lakebalance.core.spark_errors import is_conflict
from lakebalance.core.tables import (
    MAPPING,
    REPLACED,
    Table,
    detail,
    needs_mapping,
    newest_version,
)

LEDGER = pa.schema(
    [("run_id", pa.string()), ("name", pa.string()), ("target", pa.string()),
     ("version", pa.int64()), ("rows", pa.int64()), ("started", pa.timestamp("us", "UTC")),
     ("finished", pa.timestamp("us", "UTC")), ("plan", pa.string()), ("recipe", pa.string()),
     ("result", pa.string()), (REPLACED, pa.string())]
)  # fmt: skip
TRIES = 8
WIDENING, OTHER_TYPES = "delta.enableTypeWidening", "DELTA_FAILED_TO_MERGE_FIELDS"
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)
# Not a name that the rows put aside may have themselves.
RUN = "lb_run_id"


class BrokenEntry(TableError):
    """A line of the ledger that somebody else has written over."""


@dataclass(frozen=True)
class State:
    """Where a recipe's runs keep what they must remember."""

    folder: str

    @classmethod
    def beside(cls, target: str, asked: str | None) -> State:
        """The folder asked for, else ``_lakebalance`` beside the target's path."""
        return cls(asked or target.rstrip("/").rpartition("/")[0] + "/_lakebalance")

    def table(self, name: str) -> Table:
        """One of the state's tables, such as ``ledger`` or ``quarantine-RECIPE``."""
        return Table(f"{self.folder.rstrip('/')}/{name}")

    def write(self, df: DataFrame, name: str, run: str) -> DataFrame:
        """Write a run's rows to one of the tables, in place of what an earlier try left.

        Returns
        -------
        The rows as they were written.
        """
        spark, table = df.sparkSession, self.table(name)
        writer = _writer(df, run).mode("overwrite").option("replaceWhere", f"{RUN} = '{run}'")
        if needs_mapping(df.schema):
            writer = writer.option(MAPPING, "name")
            if _is_unmapped(spark, table):
                # An earlier run's rows had plain names.
                spark.sql(f"ALTER TABLE {table.sql} SET TBLPROPERTIES ('{MAPPING}' = 'name')")
        _save(spark, writer, table)
        # The table may have columns of earlier runs besides, which another method wrote.
        return self.read(spark, name, run).select(*map(column, df.columns))

    def add(self, df: DataFrame, name: str, run: str) -> None:
        """Add a run's rows to one of the tables, beside those that an earlier try left.

        Sooner done than ``write``, as Delta need not look for what is replaced. It is for rows that
        each try makes the same, and whose reader takes each once.
        """
        writer = _writer(df, run).mode("append")
        if needs_mapping(df.schema):
            writer = writer.option(MAPPING, "name")
        again_on_conflict(lambda: writer.save(self.table(name).name))

    def read(self, spark: SparkSession, name: str, run: str) -> DataFrame:
        """A run's rows in one of the tables."""
        return self.read_runs(spark, name, [run]).drop(RUN)

    def read_runs(self, spark: SparkSession, name: str, runs: Sequence[str]) -> DataFrame:
        """Several runs' rows in one of the tables, with ``lb_run_id``."""
        rows = spark.read.format("delta").load(self.table(name).name)
        return rows.where(F.col(RUN).isin(*runs))

    def clear(self, spark: SparkSession, name: str, run: str) -> None:
        """Take a run's rows out of one of the tables; VACUUM takes the files."""
        delete = f"DELETE FROM {self.table(name).sql} WHERE {RUN} = '{run}'"

        def clear() -> None:
            spark.sql(delete)

        again_on_conflict(clear)

    def record(self, spark: SparkSession, entry: Mapping[str, Any], *, anew: bool = False) -> None:
        """Write a finished run into the ledger; a second time changes nothing.

        Parameters
        ----------
        entry : run_id, name, target, replace_where, version, rows, started, plan, recipe, result.
        anew : in place of what the ledger has of the run.
        """
        entry = hide(entry)
        row = {
            **entry,
            "finished": self._now(spark, entry["target"]),
            "plan": json.dumps(entry["plan"]),
            "result": json.dumps(entry["result"]),
        }
        df = spark.createDataFrame(pa.Table.from_pylist([row], schema=LEDGER))
        # A ledger of an older version has fewer columns.
        writer = df.write.format("delta").option("mergeSchema", "true")
        if anew:
            own = [f"{name} = {sql_text(entry[name])}" for name in ("run_id", "target")]
            writer = writer.mode("overwrite").option("replaceWhere", " AND ".join(own))
        else:
            writer = (
                writer.mode("append")
                .option("txnAppId", f"lakebalance-ledger-{entry['run_id']}-{entry['target']}")
                .option("txnVersion", entry["version"])
            )
        again_on_conflict(lambda: writer.save(self.table("ledger").name))

    def _now(self, spark: SparkSession, target: str) -> dt.datetime:
        """The time, after that of all runs to the target: clocks jump, their order must not."""
        now, runs = dt.datetime.now(dt.timezone.utc), self.runs(spark)
        if runs is None:
            return now
        own = runs.where(F.col("target") == F.lit(target)).agg(F.unix_micros(F.max("finished")))
        last = own.collect()[0][0]
        if last is None:
            return now
        return max(now, EPOCH + dt.timedelta(microseconds=last + 1))

    def runs(self, spark: SparkSession) -> DataFrame | None:
        """The ledger, newest first; None before the first run."""
        if newest_version(spark, self.table("ledger")) is None:
            return None
        rows = spark.read.format("delta").load(self.table("ledger").name)
        if REPLACED not in rows.columns:
            rows = rows.withColumn(REPLACED, F.lit(None).cast("string"))
        return rows.orderBy(F.col("finished").desc(), "run_id")

    def entry(
        self, spark: SparkSession, conditions: Sequence[tuple[str, str | int | None]]
    ) -> dict[str, Any] | None:
        """The newest run in the ledger that meets the conditions, JSON read; None if none does.

        Parameters
        ----------
        conditions : pairs of a column of the ledger and its value.
        """
        runs = self.runs(spark)
        if runs is None:
            return None
        for name, value in conditions:
            runs = runs.where(F.col(name).eqNullSafe(F.lit(hide(value))))
        rows = runs.limit(1).collect()
        return _entry(rows[0]) if rows else None

    def newest(self, spark: SparkSession) -> list[dict[str, Any]]:
        """The newest run to each target, or to each condition whose rows runs replace there.

        JSON read, in the order in which they finished; of a target that a run has replaced as a
        whole, what came before it is not there any more.
        """
        runs = self.runs(spark)
        if runs is None:
            return []
        newest = Window.partitionBy("target", REPLACED).orderBy(F.col("finished").desc(), "run_id")
        placed = runs.withColumn("__lb_place", F.row_number().over(newest))
        newest_rows = placed.where("__lb_place = 1").drop("__lb_place")
        rows = newest_rows.orderBy("finished", "run_id").collect()
        whole = {row["target"]: i for i, row in enumerate(rows) if row[REPLACED] is None}
        return [_entry(row) for i, row in enumerate(rows) if i >= whole.get(row["target"], 0)]

    def former(self, spark: SparkSession) -> list[dict[str, Any]]:
        """The newest run of each recipe's name and sources that is not the newest to its target.

        JSON read. Rows that it put aside are still beside the tables, under its own names.
        """
        runs = self.runs(spark)
        if runs is None:
            return []
        read = [F.get_json_object("plan", f"$.sources[*].{what}") for what in ("name", "table")]
        own = Window.partitionBy("name", *read).orderBy(F.col("finished").desc(), "run_id")
        rows = runs.withColumn("__lb_place", F.row_number().over(own)).where("__lb_place = 1")
        newest = {entry["run_id"] for entry in self.newest(spark)}
        found = rows.drop("__lb_place").orderBy("finished", "run_id").collect()
        return [_entry(row) for row in found if row["run_id"] not in newest]


def _entry(row: Row) -> dict[str, Any]:
    """A line of the ledger, JSON read; the recipe's text is as ``Recipe.of_yaml`` takes it."""
    read = json_of(row, "plan", "result")
    named = {name: row[name] for name in ("target", REPLACED)}
    return {**row.asDict(), **reveal({**named, **read})}


def json_of(row: Row, *names: str) -> dict[str, Any]:
    """What some columns of a line of the ledger hold as JSON; secrets stay hidden.

    Raises
    ------
    BrokenEntry : it cannot be read.
    """
    try:
        return {name: json.loads(row[name]) for name in names}
    except (TypeError, ValueError) as error:
        raise BrokenEntry(
            f"what the ledger has of run {row['run_id']} to {row['target']} cannot be read "
            f"({error}); run its recipe again at the versions that it had, which writes it anew"
        ) from error


def _save(spark: SparkSession, writer: DataFrameWriter, table: Table) -> None:
    """Write rows, of which columns may have wider types than those of earlier runs.

    Raises
    ------
    TableError : their types are others, and not wider.
    """
    for widened in (False, True):
        try:
            again_on_conflict(lambda: writer.save(table.name))
            return
        except AnalysisException as error:
            if OTHER_TYPES not in str(error):
                raise
            if widened:
                raise TableError(
                    f"{table.name} has columns of earlier runs that are of other types now: "
                    f"{first_line(error)}; give the recipe another name, or drop that table where "
                    "its rows are not wanted any more"
                ) from error
            spark.sql(f"ALTER TABLE {table.sql} SET TBLPROPERTIES ('{WIDENING}' = 'true')")


def _writer(df: DataFrame, run: str) -> DataFrameWriter:
    """Writes a run's rows into a partition of their own; columns may be new to the table."""
    writer = df.withColumn(RUN, F.lit(run)).write.format("delta")
    return writer.partitionBy(RUN).option("mergeSchema", "true")


def _is_unmapped(spark: SparkSession, table: Table) -> bool:
    """Whether a table is there and holds plain names alone."""
    if newest_version(spark, table) is None:
        return False
    return bool(detail(spark, table)["properties"].get(MAPPING, "none") == "none")


def again_on_conflict(write: Callable[[], None], may: Callable[[], bool] = lambda: True) -> None:
    """Write into a table that other runs share, again where one of them came first.

    Parameters
    ----------
    write : what to do.
    may : asked after each conflict, whether what came first stays true beside it.
    """
    for left in range(TRIES, 0, -1):
        try:
            write()
            return
        except Exception as error:
            if left == 1 or not is_conflict(error) or not may():
                raise
        time.sleep(random.uniform(0.1, 0.5))
