"""Tables for what is needed on the way, which are emptied again."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field

from pyspark.sql import DataFrame, SparkSession

from lakebalance.core.beside import each
from lakebalance.publish.state import State


@dataclass
class ScratchTables:
    """Writes frames beside the ledger and returns them as written, under names of one try's own.

    Not shared with another try of the same run, which takes its own away when it is done.
    """

    state: State
    spark: SparkSession
    recipe: str
    run: str
    written: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.attempt = f"{self.run}-{secrets.token_hex(4)}"

    def __call__(self, rows: DataFrame, name: str) -> DataFrame:
        """Write a frame, and return it as it was written."""
        # A recipe may be changed under its name, and have other columns in the same step.
        kind = hashlib.sha256(rows.schema.json().encode()).hexdigest()[:8]
        self.written.append(f"scratch-{self.recipe}-{name}-{kind}")
        self.state.add(rows, self.written[-1], self.attempt)
        return self.state.read(self.spark, self.written[-1], self.attempt)

    def clear(self) -> None:
        """Take all of it out of the tables again, at once; VACUUM takes the files."""
        names, self.written = self.written, []
        each(self.spark, names, lambda name: self.state.clear(self.spark, name, self.attempt))

    def clearing(self) -> Callable[[], None]:
        """What takes out of the tables all that is in them now, and nothing that comes later."""
        names, self.written = self.written, []

        def clear() -> None:
            for name in reversed(names):
                self.state.clear(self.spark, name, self.attempt)

        return clear
