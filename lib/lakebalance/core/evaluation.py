"""The tables that a model is evaluated on: read and compared with, never published."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lakebalance.core.sources import Pinned


@dataclass(frozen=True)
class EvaluationTable:
    """An evaluation table at its version; ``columns`` are its texts by the sources' column.

    ``place`` is its path in the recipe, for messages. Rows that overlap it go where it ``prunes``.
    """

    place: str
    pinned: Pinned
    columns: Mapping[str, Sequence[str]]
    prunes: bool = True

    @property
    def name(self) -> str:
        """What the recipe calls it."""
        return self.pinned.name
