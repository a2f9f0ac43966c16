"""Finds how a table's rows can be made again from its parent's, and proves it on all of them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from lakebalance.core.columns import column, quoted
from lakebalance.core.errors import TableError
from lakebalance.core.row_hash import HALVES, Fingerprint, fingerprint_of, hashed, sums
from lakebalance.lake.conditions import (
    Measured,
    as_text,
    condition,
    literal,
    measured,
    measures,
    with_few_values,
)
from lakebalance.lake.pinned import Pinned
from lakebalance.lake.rebuild import Rebuild, columns_of, selected_by

HASH = list(HALVES)
# Bytes that a row's hash and count take, once compressed: hashes cannot be.
BYTES_A_ROW = 17
# A column that only the parent has may select the rows by one of so many values.
MOST_GROUPS = 1000
# All choices of so many conditions are tried, for the shortest.
MOST_TRIED = 4


@dataclass(frozen=True)
class Found:
    """How a table is made again, and the fingerprint of its rows.

    ``different`` is the number of hashes that must be kept for it; 0 for none.
    """

    rebuild: Rebuild
    fingerprint: Fingerprint
    different: int = 0


def kept_bytes(different: int) -> int:
    """About how many bytes the hashes of so many different rows take."""
    return BYTES_A_ROW * different


def find(
    spark: SparkSession, child: Pinned, parent: Pinned, names: Sequence[tuple[str, str]]
) -> Found:
    """Find how a table's rows are made from its parent's: all, by a condition, or by their hashes.

    All but the last are proven by this: the parent's rows that are selected have the fingerprint of
    the child's. Of the last, all rows are counted in both tables.

    Parameters
    ----------
    spark : a session, classic or Connect.
    child, parent : the tables at their versions, the parent a Delta table.
    names : pairs of the child's and the parent's name of a column.

    Raises
    ------
    TableError : the parent has not all columns, or not all rows, of the child.
    """
    rows, source = child.read(spark), parent.read(spark)
    schema = rows.schema
    try:
        columns = columns_of(schema, source.schema, names)
    except KeyError as error:
        raise TableError(
            f"{child.table}: {parent.table} has no column for {error}; lake graph finds the pairs "
            "of today"
        ) from error
    search = _Search(rows, source, schema, columns)
    rebuild = Rebuild(parent.table, parent.version, schema.json(), columns)
    return search.done(rebuild, child.table)


class _Search:
    """The steps from what takes least to keep to what takes most."""

    def __init__(
        self,
        rows: DataFrame,
        source: DataFrame,
        schema: T.StructType,
        columns: tuple[tuple[str, str, str | None], ...],
    ) -> None:
        self.rows, self.source, self.schema = rows, source, schema
        self.parents = {name: parents for name, parents, _ in columns}
        self.selected = selected_by(columns)

    def done(self, rebuild: Rebuild, child: str) -> Found:
        own, known = self._measured()
        said = {n: c for n, m in known.items() if (c := condition(self.parents[n], m))}
        rebuild = replace(rebuild, box=" AND ".join(said.values()) or None)
        if own.rows == 0:
            return Found(replace(rebuild, condition="false"), own)
        of_each = self._fingerprints([None, *said.values(), rebuild.box])
        if of_each[0] == own:
            return Found(rebuild, own)
        alone = zip(said.values(), of_each[1:-1], strict=True)
        if text := next((c for c, found in alone if found == own), None):
            return Found(replace(rebuild, condition=text), own)
        if rebuild.box is not None and of_each[-1] == own:
            counts = [found.rows for found in of_each[1:-1]]
            return Found(replace(rebuild, condition=self._fewest(said, counts, own)), own)
        if text := self._by_columns_of_the_parent(own):
            return Found(replace(rebuild, condition=text), own)
        different, missing = self._missing()
        if missing:
            raise TableError(
                f"{child}: {missing:,} of its {own.rows:,} rows are not in {rebuild.parent} "
                f"at version {rebuild.version}"
            )
        return Found(rebuild, own, different)

    def _measured(self) -> tuple[Fingerprint, dict[str, Measured]]:
        parts = measures(self.schema)
        df = hashed(self.rows, self.schema, "*")
        aggregates = [c.alias(f"s{i}") for i, c in enumerate([*sums(), *parts])]
        values = df.agg(*aggregates).collect()[0]
        known = measured(self.schema, values[3:])
        return fingerprint_of(values[:3]), with_few_values(self.rows, known)

    def _fingerprints(self, conditions: Sequence[str | None]) -> list[Fingerprint]:
        """Of the parent's rows that meet each condition, in one job."""
        flags = [f"lb_c{i}" for i in range(len(conditions))]
        said = [f"{c or 'true'} AS {flag}" for c, flag in zip(conditions, flags, strict=True)]
        df = hashed(self.source.selectExpr(*self.selected, *said), self.schema, *flags)
        parts = [part for flag in flags for part in sums(F.col(flag))]
        values = df.agg(*[c.alias(f"s{i}") for i, c in enumerate(parts)]).collect()[0]
        return [fingerprint_of(values[3 * i : 3 * i + 3]) for i in range(len(conditions))]

    def _fewest(self, said: dict[str, str], counts: Sequence[int], own: Fingerprint) -> str:
        """As few of the columns' conditions as select the rows."""
        # Those that select least come first, of which few are needed.
        ordered = [c for _, c in sorted(zip(counts, said.values(), strict=True))]
        first = self._first([ordered[:n] for n in range(1, len(ordered) + 1)], own)
        *others, last = first
        if len(others) <= MOST_TRIED:
            sizes = range(1, len(others) + 1)
            tried = (some for n in sizes for some in itertools.combinations(others, n))
            first = self._first([[*some, last] for some in tried], own)
        return " AND ".join(first)

    def _first(self, tried: Sequence[Sequence[str]], own: Fingerprint) -> Sequence[str]:
        """The first of some lists of conditions that, taken together, select the rows."""
        found = self._fingerprints([" AND ".join(some) for some in tried])
        return next(some for some, f in zip(tried, found, strict=True) if f == own)

    def _by_columns_of_the_parent(self, own: Fingerprint) -> str | None:
        """A value of a column that only the parent has, where it selects the rows."""
        taken = set(self.parents.values())
        others = T.StructType([f for f in self.source.schema.fields if f.name not in taken])
        parts = measures(others)
        if not parts:
            return None
        values = self.source.agg(*[c.alias(f"s{i}") for i, c in enumerate(parts)]).collect()[0]
        known = {n: m for n, m in measured(others, values).items() if m.distinct <= MOST_GROUPS}
        if not known:
            return None
        items = [
            F.struct(F.lit(name).alias("column"), as_text(column(name), m.kind).alias("value"))
            for name, m in known.items()
        ]
        kept = self.source.select(F.array(*items).alias("lb_items"), *map(F.expr, self.selected))
        found = (
            hashed(kept, self.schema, "lb_items")
            .selectExpr("explode(lb_items) AS item", "lb_hi", "lb_lo")
            .groupBy("item")
            .agg(*[c.alias(f"s{i}") for i, c in enumerate(sums())])
            .where((F.col("s0") == own.rows) & (F.col("s1") == own.hi) & (F.col("s2") == own.lo))
            .select("item.column", "item.value")
            .collect()
        )
        for name, value in sorted(found, key=lambda r: (r[0], str(r[1]))):
            if value is None:
                return f"{quoted(name)} IS NULL"
            return f"{quoted(name)} = {literal(value, known[name].kind)}"
        return None

    def _missing(self) -> tuple[int, int]:
        """The child's different rows, and how many of its rows have no partner in the parent."""
        found = short_of(self.rows, self.source.selectExpr(*self.selected), self.schema)
        different, missing = found.agg(F.count("*"), F.sum("lb_short")).collect()[0]
        return int(different), int(missing or 0)


def counted(rows: DataFrame, schema: T.StructType) -> DataFrame:
    """The different rows' hashes, and how often each is there: ``lb_hi``, ``lb_lo``, ``lb_copies``.

    Parameters
    ----------
    rows : the rows.
    schema : the columns that count.
    """
    groups = hashed(rows, schema).groupBy("lb_hi", "lb_lo")
    return groups.agg(F.count("*").alias("lb_copies"))


def short_of(rows: DataFrame, others: DataFrame, schema: T.StructType) -> DataFrame:
    """Different rows' hashes, and how many copies others lack: ``lb_hi``, ``lb_lo``, ``lb_short``.

    Parameters
    ----------
    rows, others : what is looked for, and where.
    schema : the columns that count, in both.
    """
    there = counted(others, schema).withColumnRenamed("lb_copies", "lb_others")
    short = F.col("lb_copies") - F.coalesce(F.col("lb_others"), F.lit(0))
    both = counted(rows, schema).join(there, HASH, "left")
    return both.select(*HASH, F.greatest(short, F.lit(0)).alias("lb_short"))
