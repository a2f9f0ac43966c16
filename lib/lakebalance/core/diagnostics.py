"""Small tables that a method has to say about what it is doing, for plans and reports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lakebalance.core.json_values import json_value

Cell = str | int | float | None


@dataclass(frozen=True)
class Diagnostic:
    """A table of few lines: a title, columns, and what to make of it.

    ``warning`` is the code and the message of one that plans have for it.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    note: str = ""
    warning: tuple[str, str] | None = None

    def to_dict(self) -> dict[str, Any]:
        """The table as ``plan --json`` prints it."""
        return {
            "title": self.title,
            "columns": list(self.columns),
            "rows": [[_in_json(cell) for cell in row] for row in self.rows],
            "note": self.note,
        }


def _in_json(cell: Cell) -> Cell:
    """A cell as JSON can hold it: what is no number to it is a text."""
    value = json_value(cell)
    return str(value["float"]) if isinstance(value, dict) else cell


@dataclass(frozen=True)
class NewRows:
    """Rows that a sampler makes in a group that may be another than their first parent's.

    ``of`` is the id of the parent's group, ``values`` are those by column that the new rows' group
    has instead.
    """

    of: int
    values: Mapping[str, Any]
    rows: int


@dataclass(frozen=True)
class Prepared:
    """What a method found out before it works: its state, as JSON holds it, and diagnostics.

    ``targets`` are the rows that a sampler will put out of each group, by id, where the rows
    themselves and not rules decide it. ``made`` are the rows that come on top of them, where a
    sampler makes such whose group is found out with them.
    """

    state: Mapping[str, Any]
    diagnostics: Sequence[Diagnostic] = field(default_factory=list)
    targets: Mapping[int, int] | None = None
    made: Sequence[NewRows] = ()
