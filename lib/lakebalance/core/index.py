"""What a pruning method keeps of rows that stayed, for the batches that come later."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field
from pyspark.sql import DataFrame

from lakebalance.core.registry import MethodOptions

# Which run put an entry into an index.
RUN = "run"

IndexName = Annotated[str, Field(min_length=1, pattern=r"^[A-Za-z0-9_-]+$")]
INDEX = (
    "Name of an index of what stayed in earlier batches, kept beside the ledger: rows are compared "
    "with it, and those that stay are added once they are published."
)


def index_of(options: MethodOptions) -> str | None:
    """The name of the index of a pruning step that has one."""
    name: str | None = getattr(options, "index", None)
    return name


@dataclass(frozen=True)
class Index:
    """An index as a method sees it.

    ``known`` are the entries of other batches, as the method wrote them, with ``run``; None where
    there are none. ``write`` takes the entries of the rows that stay; None while planning.
    """

    name: str
    known: DataFrame | None = None
    write: Callable[[DataFrame], None] | None = None
