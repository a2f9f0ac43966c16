"""Finds renamed columns: which column of a possible parent holds which of a child's.

Types and statistics rule out what they can, then values do: if a table's rows are all in another,
each of its columns' values are in one column there, as often. Of what is left, likeness of names
and ranges chooses; whether the rows are there, the comparison of whole rows decides, as for all.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from pyspark.sql import SparkSession

from lakebalance.lake.content import Pair, compare
from lakebalance.lake.facts import ColumnFacts, TableFacts
from lakebalance.lake.ranges import column_cuts, has_more_rows
from lakebalance.lake.schema_graph import Edge, Names, holds

# The most pairs of tables whose columns are compared, those that are most alike first.
MOST_PAIRS = 20_000
NAME, RANGE, NULLS = 0.6, 0.3, 0.1
Columns = tuple[str, str]


@dataclass(frozen=True)
class Candidate:
    """Two tables, and of which of their columns one may hold the other's; each with a likeness."""

    child: TableFacts
    parent: TableFacts
    allowed: Mapping[Columns, float]

    @property
    def likeness(self) -> float:
        """The mean over the child's columns of their best."""
        return sum(max(of.values()) for of in self._by_column.values()) / len(self.child.columns)

    @cached_property
    def _by_column(self) -> dict[str, dict[Columns, float]]:
        found: dict[str, dict[Columns, float]] = {c.name: {} for c in self.child.columns}
        for pair, score in self.allowed.items():
            found[pair[0]][pair] = score
        return found

    @cached_property
    def telling(self) -> str:
        """The child's column that fewest of the parent may hold: what is asked first."""
        columns = self._by_column
        return min(columns, key=lambda name: (len(columns[name]), name))

    def without(self, refuted: Collection[Columns]) -> Candidate:
        """The same, with some columns ruled out."""
        left = {pair: score for pair, score in self.allowed.items() if pair not in refuted}
        return replace(self, allowed=left)

    @property
    def is_possible(self) -> bool:
        """Whether some column may hold each of the child's."""
        return all(self._by_column.values())


@dataclass(frozen=True)
class Renamed:
    """Edges in order of the children's and then the parents' paths, and what nobody knows.

    ``not_tried`` counts the pairs beyond ``MOST_PAIRS``; ``problems`` says why a child and a parent
    could not be compared.
    """

    edges: list[Edge]
    not_tried: int
    problems: Mapping[Columns, str]


def candidates(
    tables: Sequence[TableFacts], known: Collection[Columns], names: Names
) -> Iterator[Candidate]:
    """The pairs that types, numbers of rows and statistics leave, but those that are known already.

    Parameters
    ----------
    tables : the inventory.
    known : pairs of a child and a parent of which the names of columns agree.
    names : aliases and case.
    """
    having = [table for table in tables if table.columns and table.rows != 0]
    kinds = {
        table.table: [(c, json.dumps(c.kind, sort_keys=True)) for c in table.columns]
        for table in having
    }
    for child in having:
        for parent in having:
            enough = len(parent.columns) >= len(child.columns) and not has_more_rows(child, parent)
            if enough and child is not parent and (child.table, parent.table) not in known:
                pairs = _possible(child, parent, kinds)
                if pairs is not None:
                    alike = {
                        (own.name, other.name): _likeness(child, parent, own, other, names)
                        for own, other in pairs
                    }
                    yield Candidate(child, parent, alike)


def _possible(
    child: TableFacts, parent: TableFacts, kinds: Mapping[str, Sequence[tuple[ColumnFacts, str]]]
) -> list[tuple[ColumnFacts, ColumnFacts]] | None:
    """Which columns may hold which; None where none may hold one of the child's."""
    found = []
    for own, kind in kinds[child.table]:
        those = [
            (own, other)
            for other, wider in kinds[parent.table]
            if holds(wider, kind) and column_cuts(child, parent, own, other) is None
        ]
        if not those:
            return None
        found += those
    return found


def _likeness(
    child: TableFacts, parent: TableFacts, own: ColumnFacts, other: ColumnFacts, names: Names
) -> float:
    """How alike two columns are, by name, range and share of nulls, from 0 to 1."""
    nulls = _share(own, child.rows), _share(other, parent.rows)
    parts = [(NAME, _of_names(names.of(own.name), names.of(other.name)))]
    if (ranges := _of_ranges(own, other)) is not None:
        parts.append((RANGE, ranges))
    if nulls[0] is not None and nulls[1] is not None:
        parts.append((NULLS, 1 - abs(nulls[0] - nulls[1])))
    return sum(weight * part for weight, part in parts) / sum(weight for weight, _ in parts)


def _of_names(own: str, other: str) -> float:
    from rapidfuzz.distance import JaroWinkler

    return 1.0 if own == other else JaroWinkler.similarity(own.casefold(), other.casefold())


def _of_ranges(own: ColumnFacts, other: ColumnFacts) -> float | None:
    """The share of one range in another that encloses it; None where they are not known."""
    bounds = own.min_low, own.max_high, other.min_low, other.max_high
    if any(bound is None for bound in bounds):
        return None
    if (own.min_low, own.max_high) == (other.min_low, other.max_high):
        return 1.0
    try:
        low, high, least, most = (float(bound) for bound in bounds)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return 0.0
    share = (high - low) / (most - least) if most > least else 0.0
    return min(max(share, 0.0), 1.0) if math.isfinite(share) else 0.0


def _share(column: ColumnFacts, rows: int | None) -> float | None:
    return None if column.nulls_high is None or not rows else column.nulls_high / rows


def renamed(
    spark: SparkSession,
    tables: Sequence[TableFacts],
    known: Collection[Columns],
    names: Names,
    size: int,
    seed: int,
) -> Renamed:
    """Pairs of which the parent has all columns of the child under some names.

    Parameters
    ----------
    spark : a session, classic or Connect.
    tables : the inventory.
    known : pairs of a child and a parent of which the names of columns agree.
    names : aliases and case.
    size : how many rows of a child to look at.
    seed : of the sample.

    Returns
    -------
    The pairs, each as one edge.

    References
    ----------
    Koutras et al., "Valentine: Evaluating Matching Techniques for Dataset Discovery", ICDE 2021:
    the kinds of evidence. Containment as often, and asking the most telling column first, are own.
    """
    found = sorted(
        candidates(tables, known, names),
        key=lambda c: (-c.likeness, c.child.table, c.parent.table),
    )
    tried = found[:MOST_PAIRS]
    asked = [{pair for pair in c.allowed if pair[0] == c.telling} for c in tried]
    tried, failed = _asked(spark, tried, asked, size, seed)
    others = [{pair for pair in c.allowed if pair[0] != c.telling} for c in tried]
    tried, more = _asked(spark, tried, others, size, seed)
    edges = [edge for candidate in tried if (edge := assigned(candidate)) is not None]
    ordered = sorted(edges, key=lambda edge: (edge.child, edge.parent))
    return Renamed(ordered, max(len(found) - MOST_PAIRS, 0), failed | more)


def _asked(
    spark: SparkSession,
    tried: Sequence[Candidate],
    asked: Sequence[Collection[Columns]],
    size: int,
    seed: int,
) -> tuple[list[Candidate], dict[Columns, str]]:
    """Compare values of columns; what is still possible, and why pairs could not be compared."""
    pairs = [
        Pair.sampled(Edge(c.child.table, c.parent.table, (pair,)), c.child, c.parent, size)
        for c, columns in zip(tried, asked, strict=True)
        for pair in columns
    ]
    refuted: dict[Columns, set[Columns]] = {}
    results, failed = compare(spark, pairs, seed)
    gone = [edge for edge, result in results if result.missing]
    for edge in [*gone, *(edge for edge, _ in failed)]:
        refuted.setdefault((edge.child, edge.parent), set()).update(edge.columns)
    left = [c.without(refuted.get((c.child.table, c.parent.table), ())) for c in tried]
    said = {(edge.child, edge.parent): why for edge, why in failed}
    return [candidate for candidate in left if candidate.is_possible], said


def assigned(candidate: Candidate) -> Edge | None:
    """The columns of a parent for those of a child, each once, that are most alike in sum.

    Returns
    -------
    The edge; None if there are not enough columns for all.

    Examples
    --------
    >>> a, b, x, y = (ColumnFacts(name, "long") for name in ("a", "b", "x", "y"))
    >>> child, parent = TableFacts("c", 0, 1, 1, 1, (a, b)), TableFacts("p", 0, 1, 1, 1, (x, y))
    >>> assigned(Candidate(child, parent, {("a", "x"): 0.9, ("b", "x"): 1.0, ("a", "y"): 0.1}))
    Edge(child='c', parent='p', columns=(('a', 'y'), ('b', 'x')))
    """
    from scipy.optimize import linear_sum_assignment

    own, others = (
        {column.name: i for i, column in enumerate(table.columns)}
        for table in (candidate.child, candidate.parent)
    )
    likeness = np.full((len(own), len(others)), -1.0)
    for (name, other), score in candidate.allowed.items():
        likeness[own[name], others[other]] = score
    # One that is ruled out must cost more than all others can gain.
    rows, columns = linear_sum_assignment(
        np.where(likeness < 0, -2.0 * len(own), likeness), maximize=True
    )
    if (likeness[rows, columns] < 0).any():
        return None
    pairs = sorted(
        (candidate.child.columns[i].name, candidate.parent.columns[j].name)
        for i, j in zip(rows, columns, strict=True)
    )
    return Edge(candidate.child.table, candidate.parent.table, tuple(pairs))
