"""A table as an event describes it."""

from __future__ import annotations

from dataclasses import dataclass

from pyspark.sql import types as T

from lakebalance.lineage.naming import Dataset


@dataclass(frozen=True)
class Described:
    """A table that a run reads or wrote: where it lies, its columns, its version and its rows."""

    dataset: Dataset
    columns: T.StructType
    version: int | str
    rows: int | None = None
