"""A table of a lake at one version, whatever its format."""

from __future__ import annotations

from dataclasses import dataclass

from pyspark.sql import DataFrame, SparkSession

from lakebalance.core.tables import Table, read_delta
from lakebalance.lake.facts import TableFacts
from lakebalance.lake.parquet_folders import read_folder


@dataclass(frozen=True)
class Pinned:
    """A Delta table at one version, or a folder of Parquet, which has none, as it is now."""

    table: str
    version: int
    format: str = "delta"

    @classmethod
    def of(cls, facts: TableFacts) -> Pinned:
        """A table as it was scanned."""
        return cls(facts.table, facts.version, facts.format)

    def read(self, spark: SparkSession) -> DataFrame:
        """Its rows."""
        if self.format == "parquet":
            return read_folder(spark, self.table)
        return read_delta(spark, Table(self.table), self.version)
