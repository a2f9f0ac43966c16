"""What an inventory knows of a table, from its Delta log alone, or of a folder of Parquet."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from lakebalance.lake.values import Value, comparable, greatest, least, parsed, written

BOUNDS = ("min_low", "min_high", "max_low", "max_high")


@dataclass(frozen=True)
class ColumnFacts:
    """Nulls and values of a column: each number between two, as far as the log says.

    ``min_low`` and ``max_high`` enclose all values; where ``bounded_below`` or ``bounded_above`` is
    false, a file without statistics may have others. The least value is at most ``min_high`` (or a
    text that starts with it), the greatest at least ``max_low``.
    """

    name: str
    kind: Any
    nulls_low: int = 0
    nulls_high: int | None = 0
    min_low: Value | None = None
    min_high: Value | None = None
    max_low: Value | None = None
    max_high: Value | None = None
    bounded_below: bool = True
    bounded_above: bool = True

    def and_nulls(self, low: int, high: int | None) -> ColumnFacts:
        """The column with a file's nulls added."""
        known = None if high is None or self.nulls_high is None else self.nulls_high + high
        return replace(self, nulls_low=self.nulls_low + low, nulls_high=known)

    def and_unknown(self) -> ColumnFacts:
        """The column with a file that may hold any values."""
        return replace(self, bounded_below=False, bounded_above=False)

    def and_values(self, low: Any, high: Any, *, tight: bool) -> ColumnFacts:
        """The column with a file's least and greatest value, as the log has them.

        Parameters
        ----------
        low, high : as JSON has them; None where the log does not say.
        tight : whether rows of the file have these values; else they only lie between.
        """
        if not comparable(self.kind):
            return self
        (min_low, min_high), (max_low, max_high) = least(low, self.kind), greatest(high, self.kind)
        return replace(
            self,
            min_low=_lesser(self.min_low, min_low),
            max_high=_greater(self.max_high, max_high),
            min_high=_lesser(self.min_high, min_high if tight else None),
            max_low=_greater(self.max_low, max_low if tight else None),
            bounded_below=self.bounded_below and min_low is not None,
            bounded_above=self.bounded_above and max_high is not None,
        )


def _lesser(a: Value | None, b: Value | None) -> Value | None:
    if a is None or b is None:
        return b if a is None else a
    return min(a, b)


def _greater(a: Value | None, b: Value | None) -> Value | None:
    if a is None or b is None:
        return b if a is None else a
    return max(a, b)


@dataclass(frozen=True)
class TableFacts:
    """A table at one version, of Parquet at none. ``rows`` is None where the log does not tell.

    ``bytes`` are those of files in the table's own folder; ``borrowed`` are folders of other tables
    whose files it refers to, as a shallow clone does. ``id`` is Delta's, which a table that is
    deleted and made again does not keep, or a hash of the list of Parquet files. ``plain`` are the
    paths of its files, of a small table that is nothing but its files: their rows and columns, by
    name, are the table's.
    """

    table: str
    version: int
    rows: int | None
    bytes: int
    files: int
    columns: tuple[ColumnFacts, ...]
    partition_by: tuple[str, ...] = ()
    last_written: int | None = None
    borrowed: tuple[str, ...] = ()
    without_statistics: int = 0
    id: str = ""
    format: str = "delta"
    plain: tuple[str, ...] = ()
    by_name: Mapping[str, ColumnFacts] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Index the columns."""
        object.__setattr__(self, "by_name", {column.name: column for column in self.columns})

    def to_json(self) -> str:
        """The facts as text, for the inventory's table."""
        columns = []
        for column in self.columns:
            data = asdict(column)
            columns.append({**data, **{name: written(data[name]) for name in BOUNDS}})
        data = {name: getattr(self, name) for name in FIELDS}
        return json.dumps({**data, "columns": columns})

    @classmethod
    def from_json(cls, text: str) -> TableFacts:
        """The facts as ``to_json`` wrote them."""
        data = json.loads(text)
        columns = tuple(
            ColumnFacts(
                **{**c, **{b: None if c[b] is None else parsed(c[b], c["kind"]) for b in BOUNDS}}
            )
            for c in data.pop("columns")
        )
        for name in ("partition_by", "borrowed", "plain"):
            data[name] = tuple(data.get(name, ()))
        return cls(columns=columns, **data)


def is_below(path: str, folder: str) -> bool:
    """Whether a path is a folder or lies below it."""
    return path == folder or path.startswith(folder.rstrip("/") + "/")


FIELDS = (
    "table", "version", "rows", "bytes", "files", "partition_by", "last_written", "borrowed",
    "without_statistics", "id", "format", "plain",
)  # fmt: skip
