"""How a table is made again from another one: a SELECT, kept as data and written as SQL."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from pyspark.sql import types as T

from lakebalance.core.columns import quoted
from lakebalance.core.row_hash import hash_columns
from lakebalance.core.sql_types import sql_type
from lakebalance.core.tables import Table


@dataclass(frozen=True)
class Rebuild:
    """All that it takes to make a child's rows from its parent's.

    ``columns`` has for each of the child's columns its name, the parent's name of it, and the type
    to cast to, None where they agree. ``condition`` selects the child's rows, over the parent's
    columns; ``box`` holds for all of them, if for others too. ``kept`` is a table of the child's
    hashes and how often each is there, where no condition selects them.
    """

    parent: str
    version: int
    schema: str
    columns: tuple[tuple[str, str, str | None], ...]
    condition: str | None = None
    box: str | None = None
    kept: str | None = None

    @property
    def kind(self) -> str:
        """``whole``, ``condition`` or ``rows``: what tells the child's rows from the parent's."""
        if self.kept is not None:
            return "rows"
        return "whole" if self.condition is None else "condition"

    @property
    def child_schema(self) -> T.StructType:
        """The child's columns."""
        return T.StructType.fromJson(json.loads(self.schema))

    @property
    def selected(self) -> list[str]:
        """The child's columns, as SQL over the parent's."""
        return selected_by(self.columns)

    def within_box(self) -> Rebuild:
        """The same, of the rows alone that could be the child's: others may have come since."""
        conditions = [f"({c})" for c in (self.condition, self.box) if c]
        return replace(self, condition=" AND ".join(conditions) or None)

    def of(self, version: int) -> Rebuild:
        """The same from another version of the parent."""
        return replace(self, version=version)

    def sql(self) -> str:
        """The rebuild as one SELECT."""
        source = f"{Table(self.parent).sql} VERSION AS OF {self.version}"
        inner = "SELECT\n  " + ",\n  ".join(self.selected) + f"\nFROM {source}"
        if self.condition is not None:
            inner += f"\nWHERE {self.condition}"
        if self.kept is None:
            return inner
        names = ", ".join(quoted(name) for name, _, _ in self.columns)
        hashes = ", ".join(hash_columns(self.child_schema))
        # Rows of one hash are equal, so it does not matter which of them are taken.
        return (
            f"SELECT {names} FROM (\n"
            "SELECT *, row_number() OVER (PARTITION BY lb_hi, lb_lo ORDER BY lb_hi) AS lb_nth FROM "
            f"(\nSELECT *, {hashes} FROM (\n{inner}\n))\n"
            f"JOIN {Table(self.kept).sql} USING (lb_hi, lb_lo)\n) WHERE lb_nth <= lb_copies"
        )

    def to_json(self) -> str:
        """The rebuild as text, for the record."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Rebuild:
        """The rebuild as ``to_json`` wrote it."""
        data = json.loads(text)
        columns = tuple((a, b, cast) for a, b, cast in data.pop("columns"))
        return cls(columns=columns, **data)


def selected_by(columns: Sequence[tuple[str, str, str | None]]) -> list[str]:
    """The child's columns, as ``columns_of`` pairs them, as SQL over the parent's."""
    return [_selected(*column) for column in columns]


def _selected(name: str, parents: str, cast: str | None) -> str:
    # Of rows that are not the child's, a value may not fit its type.
    value = quoted(parents) if cast is None else f"TRY_CAST({quoted(parents)} AS {cast})"
    return value if value == quoted(name) else f"{value} AS {quoted(name)}"


def columns_of(
    child: T.StructType, parent: T.StructType, names: Sequence[tuple[str, str]]
) -> tuple[tuple[str, str, str | None], ...]:
    """The child's columns in its order, each with the parent's name and the type to cast to.

    Parameters
    ----------
    child, parent : the tables' schemas.
    names : pairs of the child's and the parent's name of a column.

    Raises
    ------
    KeyError : one of the two has not, or not any more, the column that it names.

    Examples
    --------
    >>> child, parent = (T.StructType().add(n, k) for n, k in (("a", "integer"), ("b", "long")))
    >>> columns_of(child, parent, [("a", "b")])
    (('a', 'b', 'INT'),)
    """
    parents, kinds = dict(names), {field.name: field.dataType for field in parent.fields}
    found = []
    for field in child.fields:
        name = parents[field.name]
        same = kinds[name].simpleString() == field.dataType.simpleString()
        found.append((field.name, name, None if same else sql_type(field.dataType)))
    return tuple(found)
