"""Reads the hashes of tables' rows: large tables one by one, small ones of a schema in one scan.

Of a small table, opening it through Delta takes far longer than reading it. Where it is nothing but
its files, as the log said when it was scanned, all such tables that have some columns are read as
one frame, and each row's file tells whose it is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce

import pyarrow as pa
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from lakebalance.core.columns import column, kinds
from lakebalance.core.hashing import INTEGRALS, hash128
from lakebalance.lake.log_reading import escaped, file_read
from lakebalance.lake.schema_graph import type_of

# The side of a row of a file that no table has: there must be none.
NOBODY = -1
FILE = "lb_file"


@dataclass(frozen=True)
class Side:
    """Columns of one table, in one order, as types that both tables of a pair share.

    ``own`` are the columns' types in the table, ``kinds`` those that are compared; ``files`` are
    the paths of a table that is read by them. Of a side that is ``probed``, only rows are counted
    that a child of the same job may have.
    """

    table: str
    columns: tuple[str, ...]
    own: tuple[str, ...]
    kinds: tuple[str, ...]
    share: float
    files: tuple[str, ...] = field(compare=False)
    probed: bool = False

    @property
    def form(self) -> tuple[tuple[str, ...], ...]:
        """What sides have in common that are read in one scan."""
        return self.columns, self.own, self.kinds

    @property
    def limit(self) -> int | None:
        """The hashes below it are the sample; None for all."""
        return None if self.share >= 1 else int(self.share * 2**64) - 2**63

    @property
    def scan(self) -> object:
        """What sides of one scan agree in."""
        return self.form if self.files else self


class Hashes:
    """The hashes of rows of sides, each with the number of its side."""

    def __init__(self, spark: SparkSession, frames: Mapping[str, DataFrame], seed: int) -> None:
        """Read tables that are not plain from ``frames``, and the others from their files."""
        self.spark, self.frames, self.seed = spark, frames, seed
        # These take long to put together.
        self._keys: dict[tuple[tuple[str, ...], tuple[str, ...]], Column] = {}

    def of(self, sides: Mapping[Side, int]) -> DataFrame:
        """One row for each row in the samples of some sides: ``side``, ``hi`` and ``lo``."""
        rows = [self._of_one(s, n) for s, n in sides.items() if s.table in self.frames]
        if others := {s: n for s, n in sides.items() if s.table not in self.frames}:
            rows.append(self._of_files(others))
        # Numbers would stand in the code that Spark generates, which it compiled for each side.
        together = reduce(DataFrame.unionByName, rows)
        return together.select(F.col("side").cast("bigint").alias("side"), "hi", "lo")

    def _of_one(self, side: Side, number: int) -> DataFrame:
        key = self._key(self.frames[side.table], side.columns, side.kinds)
        rows = key.select(F.lit(str(number)).alias("side"), "key.hi", "key.lo")
        return rows if side.limit is None else rows.where(F.col("hi") < F.lit(side.limit))

    def _of_files(self, sides: Mapping[Side, int]) -> DataFrame:
        forms: dict[tuple[tuple[str, ...], ...], list[Side]] = defaultdict(list)
        for side in sides:
            forms[side.form].append(side)
        owners = [
            {"form": str(i), "file": path, "side": str(sides[side]), "limit": side.limit}
            for i, members in enumerate(forms.values())
            for side in members
            for path in side.files
        ]
        fields = [("form", pa.string()), ("file", pa.string()), ("side", pa.string())]
        schema = pa.schema([*fields, ("limit", pa.int64())])
        of_file = self.spark.createDataFrame(pa.Table.from_pylist(owners, schema=schema))
        scans = [self._scan(str(i), members) for i, members in enumerate(forms.values())]
        # A file whose path is written in another way than here must not count for nothing.
        rows = reduce(DataFrame.unionByName, scans).join(
            F.broadcast(of_file), ["form", "file"], "left"
        )
        sampled = F.coalesce(F.col("hi") < F.col("limit"), F.lit(True))
        owner = F.coalesce("side", F.lit(str(NOBODY))).alias("side")
        return rows.where(sampled).select(owner, "hi", "lo")

    def _scan(self, form: str, sides: list[Side]) -> DataFrame:
        first = sides[0]
        schema = T.StructType()
        for name, kind in zip(first.columns, first.own, strict=True):
            schema.add(name, type_of(kind))
        paths = dict.fromkeys(path for side in sides for path in side.files)
        # Else folders named a=1 above the tables would be taken for columns.
        reader = self.spark.read.schema(schema).option("recursiveFileLookup", True)
        df = reader.parquet(*[escaped(path) for path in paths])
        rows = self._key(df, first.columns, first.kinds, file_read())
        return rows.select(F.lit(form).alias("form"), "file", "key.hi", "key.lo")

    def _key(
        self,
        df: DataFrame,
        columns: tuple[str, ...],
        wanted: tuple[str, ...],
        file: Column | None = None,
    ) -> DataFrame:
        """The hash of some columns as some types, and the file beside it, if it is asked for."""
        own, to = kinds(df), dict(zip(columns, map(type_of, wanted), strict=True))
        if cast := {name for name in columns if not _hash_alike(own[name], to[name])}:
            # Columns keep their names: of a filter on many that are renamed, Spark derives all 2^n.
            values = [
                column(name).cast(to[name]).alias(name) if name in cast else column(name)
                for name in columns
            ]
            if file is not None:
                besides = unused(FILE, columns)
                values.append(file.alias(besides))
                file = column(besides)
            df = df.select(*values)
        if (columns, wanted) not in self._keys:
            self._keys[columns, wanted] = hash128(df, columns, "lake", self.seed).alias("key")
        key = self._keys[columns, wanted]
        return df.select(key) if file is None else df.select(file.alias("file"), key)


def unused(name: str, columns: Sequence[str]) -> str:
    """A name, longer where columns have it.

    Examples
    --------
    >>> unused("file", ["a", "File"])
    'file_'
    """
    taken = {column.casefold() for column in columns}
    while name.casefold() in taken:
        name += "_"
    return name


def _hash_alike(a: T.DataType, b: T.DataType) -> bool:
    """Whether equal values of two types have the same hash as they are."""
    families: tuple[tuple[type[T.DataType], ...], ...] = (
        INTEGRALS,
        (T.FloatType, T.DoubleType),
        (T.DecimalType,),
    )
    alike = any(isinstance(a, family) and isinstance(b, family) for family in families)
    return alike or a.simpleString() == b.simpleString()
