"""The tables beside the target: ledger, quarantine, matches. Each run's rows are written once."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakebalance.core.tables import Table, newest_version

LEDGER_SCHEMA = (
    "run_id string, name string, finished timestamp, target string, version bigint, rows bigint, "
    "plan string, recipe string, result string"
)


@dataclass(frozen=True)
class State:
    """Where a recipe's runs keep what they must remember."""

    folder: str

    @classmethod
    def beside(cls, target: str, asked: str | None) -> State:
        """The folder asked for, else ``_lakebalance`` beside the target's path."""
        return cls(asked or target.rstrip("/").rpartition("/")[0] + "/_lakebalance")

    def table(self, name: str) -> Table:
        """One of the state's tables: ``ledger``, ``quarantine-RECIPE`` or ``matches-RECIPE``."""
        return Table(f"{self.folder}/{name}")

    def write(self, df: DataFrame, name: str, run: str) -> DataFrame:
        """Write a run's rows to one of the tables, in place of what an earlier try left.

        Returns
        -------
        The rows as they were written.
        """
        path = self.table(name).name
        tagged = df.withColumn("run_id", F.lit(run))
        writer = tagged.write.format("delta").mode("overwrite").partitionBy("run_id")
        writer = writer.option("replaceWhere", f"run_id = '{run}'").option("mergeSchema", "true")
        writer.save(path)
        return self.read(df.sparkSession, name, run)

    def read(self, spark: SparkSession, name: str, run: str) -> DataFrame:
        """A run's rows in one of the tables."""
        return (
            spark.read.format("delta")
            .load(self.table(name).name)
            .where(F.col("run_id") == run)
            .drop("run_id")
        )

    def record(self, spark: SparkSession, entry: dict[str, Any]) -> None:
        """Write a finished run into the ledger; a second time changes nothing."""
        row = {**entry, "finished": dt.datetime.now(dt.timezone.utc)}
        for name in ("plan", "result"):
            row[name] = json.dumps(row[name])
        names = [part.split()[0] for part in LEDGER_SCHEMA.split(", ")]
        df = spark.createDataFrame([tuple(row[name] for name in names)], LEDGER_SCHEMA)
        (
            df.write.format("delta")
            .mode("append")
            .option("txnAppId", f"lakebalance-ledger-{entry['run_id']}-{entry['target']}")
            .option("txnVersion", entry["version"])
            .save(self.table("ledger").name)
        )

    def runs(self, spark: SparkSession) -> DataFrame | None:
        """The ledger, newest first; None before the first run."""
        if newest_version(spark, self.table("ledger")) is None:
            return None
        return (
            spark.read.format("delta").load(self.table("ledger").name)
            .orderBy(F.col("finished").desc(), "run_id")
        )
