"""What keeping and rebuilding tables costs, in the user's prices."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from pydantic import BaseModel, ConfigDict, Field

from lakebalance.lake.facts import TableFacts, is_below
from lakebalance.lake.retention import Problem

GIGABYTE = 10**9
UNITS = 10**12  # costs are whole numbers of a millionth of a millionth of the currency


class Prices(BaseModel):
    """Prices in any one currency. The defaults are round list prices of clouds, to be replaced.

    Examples
    --------
    >>> Prices(storage=0.02).storage
    0.02
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    storage: float = Field(0.023, ge=0, description="Of a gigabyte (10^9 bytes) for a month.")
    read: float = Field(
        0.005, ge=0, description="Of reading a gigabyte of the source when a table is rebuilt."
    )
    rebuild: float = Field(
        0.0, ge=0, description="Of each rebuild besides, such as a cluster's start."
    )
    throughput: float = Field(
        100.0, gt=0, description="Megabytes (10^6 bytes) that a rebuild reads in a second."
    )
    reads: float = Field(
        1.0, ge=0, description="How often a month a table is read where nothing else is said."
    )
    max_latency: float | None = Field(
        None, gt=0, description="The most seconds that a rebuild may take; no limit if left out."
    )


def storage_cost(table: TableFacts, prices: Prices) -> int:
    """What a month of a table's newest version costs, in units."""
    return round(table.bytes / GIGABYTE * prices.storage * UNITS)


def rebuild_cost(source: TableFacts, reads: float, prices: Prices) -> int:
    """What rebuilding a table from a source whenever it is read costs in a month, in units.

    All of the source is taken to be read: fewer of its columns may do.
    """
    once = source.bytes / GIGABYTE * prices.read + prices.rebuild
    return round(reads * once * UNITS)


def latency(source: TableFacts, prices: Prices) -> float:
    """How many seconds a rebuild from a source takes."""
    return source.bytes / (prices.throughput * 10**6)


def sharing(tables: Sequence[TableFacts]) -> tuple[set[str], set[str]]:
    """The tables that have files of others, as shallow clones do; and those whose files they are.

    Parameters
    ----------
    tables : the inventory.
    """
    clones = {table.table for table in tables if table.borrowed}
    lenders = {
        table.table
        for table in tables
        if any(is_below(folder, table.table) for clone in tables for folder in clone.borrowed)
    }
    return clones, lenders


def problem_of(
    tables: Sequence[TableFacts],
    parents: Collection[tuple[str, str]],
    prices: Prices,
    reads: Mapping[str, float],
    pinned: Collection[str],
) -> Problem:
    """The question of which tables to keep, in whole units of cost.

    A table with files of another one, as a shallow clone has, is kept, and so is the one that has
    the files: the first costs next to nothing, and the second cannot go without it. Nothing is
    rebuilt from folders of Parquet.

    Parameters
    ----------
    tables : the inventory.
    parents : pairs of a child and a parent that holds its rows.
    prices : the prices.
    reads : by table, how often a month it is read, where that is known.
    pinned : tables that are kept in any case.
    """
    place = {table.table: i for i, table in enumerate(tables)}
    clones, lenders = sharing(tables)
    sources: list[dict[int, int]] = [{} for _ in tables]
    for child, parent in sorted(parents):
        source = tables[place[parent]]
        too_slow = prices.max_latency is not None and latency(source, prices) > prices.max_latency
        # What has no versions may be others' rows at any time.
        lasting = source.format == "delta" and parent not in clones
        # An empty table costs nothing and is not emptied.
        if lasting and not too_slow and tables[place[child]].rows != 0:
            often = reads.get(child, prices.reads)
            sources[place[child]][place[parent]] = rebuild_cost(source, often, prices)
    kept = clones | lenders | set(pinned)
    return Problem(
        [storage_cost(table, prices) for table in tables],
        sources,
        frozenset(place[name] for name in kept if name in place),
    )
