"""Finds which tables have all columns of which, without comparing all pairs.

Tables of one schema are taken together. An inverted index leads from a column's name to the schemas
that have it; a schema is compared only with those that have its rarest column. Knows no session.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

from pyspark.sql import types as T

from lakebalance.core.types import wider
from lakebalance.lake.facts import TableFacts

Schema = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Names:
    """When two columns' names are taken as one: by aliases, and without regard to case.

    Examples
    --------
    >>> Names(aliases={"dep_dly": "dep_delay"}, ignore_case=True).of("DEP_DLY")
    'dep_delay'
    """

    aliases: Mapping[str, str] = field(default_factory=dict)
    ignore_case: bool = False

    def of(self, name: str) -> str:
        """The name under which a column is compared."""
        if not self.ignore_case:
            return self.aliases.get(name, name)
        folded = {alias.casefold(): to.casefold() for alias, to in self.aliases.items()}
        return folded.get(name.casefold(), name.casefold())


@dataclass(frozen=True)
class Edge:
    """A table that may hold all rows of another: ``columns`` leads from child's to parent's."""

    child: str
    parent: str
    columns: tuple[tuple[str, str], ...]


def edges(tables: Sequence[TableFacts], names: Names | None = None) -> Iterator[Edge]:
    """The pairs of which the parent has every column of the child, in a type that holds its values.

    Parameters
    ----------
    tables : the inventory; a table without columns is in no pair.
    names : aliases and case.

    Returns
    -------
    Edges in order of the children's and then the parents' paths. A table is no parent of its own;
    two of one schema are parents of each other.

    References
    ----------
    Shah et al., "R2D2: Reducing Redundancy and Duplication in Data Lakes", SIGMOD 2024: the schema
    containment graph. The paper clusters schemas by size; the index by rarest column is our own.

    Examples
    --------
    >>> from lakebalance.lake.facts import ColumnFacts
    >>> def table(name, **kinds):
    ...     columns = tuple(ColumnFacts(n, kind) for n, kind in kinds.items())
    ...     return TableFacts(name, 0, 1, 1, 1, columns)
    >>> tables = [table("wide", id="long", x="double"), table("narrow", id="integer")]
    >>> [(e.child, e.parent) for e in edges(tables)]
    [('narrow', 'wide')]
    """
    names = names or Names()
    of_schema: dict[Schema, list[TableFacts]] = defaultdict(list)
    spelt: dict[str, dict[str, str]] = {}
    for table in tables:
        # Where two names of a table fall together, the table can't be told what is meant.
        spelling = {names.of(column.name): column.name for column in table.columns}
        if spelling and len(spelling) == len(table.columns):
            kinds = {names.of(c.name): json.dumps(c.kind, sort_keys=True) for c in table.columns}
            of_schema[tuple(sorted(kinds.items()))].append(table)
            spelt[table.table] = spelling
    parents = _parents(list(of_schema))
    found = (
        (child, parent, schema)
        for schema, members in of_schema.items()
        for child in members
        for wider_schema in parents[schema]
        for parent in of_schema[wider_schema]
        if child.table != parent.table
    )
    for child, parent, schema in sorted(found, key=lambda f: (f[0].table, f[1].table)):
        pairs = [(spelt[child.table][name], spelt[parent.table][name]) for name, _ in schema]
        yield Edge(child.table, parent.table, tuple(sorted(pairs)))


def _parents(schemas: Sequence[Schema]) -> dict[Schema, list[Schema]]:
    having: dict[str, list[int]] = defaultdict(list)
    kinds = [dict(schema) for schema in schemas]
    for i, schema in enumerate(schemas):
        for name, _ in schema:
            having[name].append(i)
    parents: dict[Schema, list[Schema]] = {}
    for schema in schemas:
        rarest = min((name for name, _ in schema), key=lambda name: len(having[name]))
        parents[schema] = [
            schemas[i]
            for i in having[rarest]
            if len(kinds[i]) >= len(schema)
            and all(name in kinds[i] and holds(kinds[i][name], kind) for name, kind in schema)
        ]
    return parents


@cache
def holds(parent: str, child: str) -> bool:
    """Whether a type holds all values of another, each as the same value.

    Types are JSON, as in Delta's schema. A date is in a timestamp without zone, not in one with
    zone, where midnight depends on the zone.

    Examples
    --------
    >>> holds('"long"', '"integer"'), holds('"double"', '"long"')
    (True, False)
    >>> holds('"decimal(12,4)"', '"decimal(10,2)"'), holds('"decimal(12,4)"', '"decimal(11,2)"')
    (True, False)
    """
    if parent == child:
        return True
    a, b = type_of(parent), type_of(child)
    if a.simpleString() == b.simpleString():
        return True
    both = wider(b, a)
    return both is not None and both.simpleString() == a.simpleString()


def type_of(kind: str) -> T.DataType:
    """A type that is JSON, as in Delta's schema.

    Examples
    --------
    >>> type_of('"decimal(12,4)"').simpleString()
    'decimal(12,4)'
    """
    field = {"name": "c", "type": json.loads(kind), "nullable": True, "metadata": {}}
    return T.StructType.fromJson({"type": "struct", "fields": [field]}).fields[0].dataType
