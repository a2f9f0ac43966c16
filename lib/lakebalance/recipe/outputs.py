"""The tables that a recipe makes: the balanced one, its other phases, and what is held out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lakebalance.core.paths import one_path
from lakebalance.core.registry import MethodOptions
from lakebalance.core.split import TRAIN
from lakebalance.core.tables import Table
from lakebalance.sample.repeat import Repeat

if TYPE_CHECKING:
    from lakebalance.recipe.models import Recipe
    from lakebalance.recipe.rules import Rules

BALANCED = "balanced"


@dataclass(frozen=True)
class Output:
    """One table: which part's rows, by which rules (none: each row once), with which sampler.

    ``phase`` counts those of an ordered training run from 0; one that is ``inside`` is no table of
    its own but rows of the balanced one.
    """

    name: str
    table: str
    part: str
    rules: Rules | None
    sample: MethodOptions
    phase: int | None = None
    inside: bool = False

    @property
    def held_out(self) -> bool:
        """Whether its rows are kept from training."""
        return self.part != TRAIN


def outputs_of(recipe: Recipe) -> list[Output]:
    """The tables that a recipe makes, the balanced one first."""
    main = recipe.publish.table
    ordered, inside = recipe.order is not None, recipe.one_table
    first = 0 if ordered else None
    outputs = [Output(BALANCED, main, TRAIN, recipe.allocate, recipe.sample, first)]
    for i, phase in enumerate(recipe.phases, start=1):
        table = main if inside else phase.table or beside(main, phase.name)
        number = i if ordered else None
        outputs.append(Output(phase.name, table, TRAIN, phase, Repeat(), number, inside))
    tables = {} if recipe.split is None else recipe.split.tables
    return outputs + [
        Output(part, tables.get(part) or beside(main, part), part, None, Repeat())
        for part in recipe.parts
    ]


def one_name(table: str) -> str:
    """One name for a table that is written in several ways; a catalog and a path may be one still.

    Examples
    --------
    >>> one_name("/lake/./a/"), one_name("file:/lake/b/../a"), one_name("Db.`T`")
    ('/lake/a', '/lake/a', 'db.t')
    """
    if not Table(table).is_path:
        return ".".join(Table(table).parts).lower()
    return one_path(table)


def beside(table: str, name: str) -> str:
    """The table next to another whose name says what it holds.

    Examples
    --------
    >>> beside("lake/flights/", "test"), beside("db.flights", "test")
    ('lake/flights_test', 'db.flights_test')
    """
    return f"{table.rstrip('/')}_{name}"
