"""How values of categorical columns stand in groups: what their distances are measured by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakebalance.core.columns import column, kinds
from lakebalance.core.counts import value_text
from lakebalance.core.errors import RecipeError
from lakebalance.core.neighbours import Floats, Ints
from lakebalance.core.sources import unite
from lakebalance.sample.thresholds import GROUP

STEPS = 2.0**40


@dataclass(frozen=True)
class ValueTable:
    """The values of a column as texts, and how many rows of each group have each: value by group.

    Examples
    --------
    >>> table = ValueTable("colour", ["red", None], np.array([[3, 1], [0, 2]]))
    >>> table.codes(pa.array([None, "red", "red"])).tolist()
    [1, 0, 0]
    """

    column: str
    texts: Sequence[str | None]
    counts: Ints

    def codes(self, texts: pa.Array) -> Ints:
        """The place of each value among those of the table."""
        known = pa.array(self.texts, pa.string())
        codes = pc.index_in(texts.cast(pa.string()), value_set=known)
        return np.asarray(codes.to_numpy(zero_copy_only=False), dtype=np.int64)

    def distances(self, codes: Ints) -> Floats:
        """How far some values are apart: the groups' shares of their rows differ by so much.

        What they differ by is added up over the groups and squared: the Value Difference Metric.
        Multiples of 2^-40, so that sums of them are exact, whatever their order.

        Parameters
        ----------
        codes : places of the values.

        References
        ----------
        Stanfill, Waltz, "Toward memory-based reasoning", 1986.

        Examples
        --------
        >>> table = ValueTable("colour", ["red", "blue"], np.array([[3, 1], [0, 2]]))
        >>> table.distances(np.array([0, 1])).tolist()
        [[0.0, 2.25], [2.25, 0.0]]
        """
        counts = self.counts[codes]
        rows = counts.sum(axis=1)
        differ = np.zeros((len(codes), len(codes)))
        for of_group in counts.T:
            share = of_group / rows
            differ += np.abs(share[:, None] - share)
        return np.asarray(np.rint(differ * differ * STEPS) / STEPS)


def value_tables(
    frames: Sequence[DataFrame], names: Sequence[str], groups: Sequence[int], most: int
) -> list[ValueTable]:
    """Count the rows of each group by the values of some columns; one Spark job.

    Parameters
    ----------
    frames : frames of one schema with ``__lb_group``.
    names : the columns.
    groups : the ids of all groups.
    most : most cells of all tables: by value and group, and by value and value.

    Raises
    ------
    RecipeError : the tables would have more cells.
    """
    kind_of = kinds(frames[0])
    pairs = F.array(
        *[
            F.struct(F.lit(i).alias("place"), value_text(column(n), kind_of[n]).alias("value"))
            for i, n in enumerate(names)
        ]
    )
    rows = unite([frame.select(GROUP, F.explode(pairs).alias("of")) for frame in frames])
    counted = rows.groupBy("of.place", "of.value", GROUP).agg(F.count(F.lit(1)).alias("rows"))
    # More than are accepted never come to the driver.
    found = counted.limit(most + 1).toArrow()
    if len(found) > most:
        distinct = counted.select("place", "value").distinct().groupBy("place").count()
        values = {names[row["place"]]: row["count"] for row in distinct.collect()}
        _check_cells({name: values[name] for name in names}, len(groups), most)
    tables = [
        _table(found.filter(pc.equal(found["place"], i)), name, groups)
        for i, name in enumerate(names)
    ]
    _check_cells({table.column: len(table.texts) for table in tables}, len(groups), most)
    return tables


def _table(found: pa.Table, name: str, groups: Sequence[int]) -> ValueTable:
    distinct = found["value"].unique()
    texts = distinct.take(pc.sort_indices(distinct))
    counts = np.zeros((len(texts), len(groups)), dtype=np.int64)
    value = pc.index_in(found["value"], value_set=texts).to_numpy()
    group = pc.index_in(found[GROUP], value_set=pa.array(groups, pa.int64())).to_numpy()
    counts[value, group] = found["rows"].to_numpy()
    return ValueTable(name, texts.to_pylist(), counts)


def _check_cells(values: Mapping[str, int], groups: int, most: int) -> None:
    cells = sum(n * (groups + n) for n in values.values())
    if cells <= most:
        return
    worst = max(values, key=values.__getitem__)
    raise RecipeError(
        f'sample.categorical: column "{worst}" has {values[worst]:,} different values; with those '
        f"of all columns by {groups:,} groups, and by one another, that makes {cells:,} numbers, "
        f"and {most:,} are accepted; leave out columns that are more names than categories, or "
        f"write sample.max_cells: {cells} where workers have {-(-cells * 32 // 2**20):,} MiB for "
        "Python"
    )


def to_state(tables: Sequence[ValueTable], groups: Sequence[int]) -> dict[str, Any]:
    """The tables as JSON holds them."""
    columns = [
        {"column": t.column, "values": list(t.texts), "rows": t.counts.tolist()} for t in tables
    ]
    return {"groups": list(groups), "columns": columns}


def from_state(state: Mapping[str, Any]) -> list[ValueTable]:
    """The tables that ``to_state`` wrote."""
    return [
        ValueTable(column["column"], column["values"], np.array(column["rows"], dtype=np.int64))
        for column in state["columns"]
    ]
