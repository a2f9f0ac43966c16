"""The tables that a recipe makes: the balanced one, its other phases, and what is held out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lakebalance.core.registry import MethodOptions
from lakebalance.core.split import TRAIN
from lakebalance.sample.repeat import Repeat

if TYPE_CHECKING:
    from lakebalance.recipe.models import Recipe, Rules

BALANCED = "balanced"


@dataclass(frozen=True)
class Output:
    """One table: which part's rows, by which rules (none: each row once), with which sampler."""

    name: str
    table: str
    part: str
    rules: Rules | None
    sample: MethodOptions

    @property
    def held_out(self) -> bool:
        """Whether its rows are kept from training."""
        return self.part != TRAIN


def outputs_of(recipe: Recipe) -> list[Output]:
    """The tables that a recipe makes, the balanced one first."""
    main = recipe.publish.table
    outputs = [Output(BALANCED, main, TRAIN, recipe.allocate, recipe.sample)]
    outputs += [
        Output(phase.name, phase.table or beside(main, phase.name), TRAIN, phase, Repeat())
        for phase in recipe.phases
    ]
    tables = {} if recipe.split is None else recipe.split.tables
    return outputs + [
        Output(part, tables.get(part) or beside(main, part), part, None, Repeat())
        for part in recipe.parts
    ]


def beside(table: str, name: str) -> str:
    """The table next to another whose name says what it holds.

    Examples
    --------
    >>> beside("lake/flights/", "test"), beside("db.flights", "test")
    ('lake/flights_test', 'db.flights_test')
    """
    return f"{table.rstrip('/')}_{name}"
