"""What a recipe says about the order of a training run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from lakebalance.core.errors import nearest
from lakebalance.recipe.outputs import BALANCED
from lakebalance.recipe.parts import Part

if TYPE_CHECKING:
    from lakebalance.recipe.models import Recipe


class ByScore(Part):
    """Within a phase, rows by a score instead of by chance."""

    column: str = Field(min_length=1, description="Column of numbers; null and NaN come last.")
    direction: Literal["ascending", "descending"] = Field(
        "ascending",
        description="Ascending puts the rows of the largest score last: the hardest, as a "
        "curriculum does, or the best, as annealing does.",
    )


class Order(Part):
    """Rows in the order in which they are to be trained on, each prefix with the shares of all."""

    into: Literal["one", "each"] = Field(
        "one",
        description="All phases in the balanced table, one after the other, with a column for the "
        "phase; or each phase in a table of its own, with positions from 0.",
    )
    max_epochs: float | None = Field(
        None,
        gt=0,
        allow_inf_nan=False,
        description="Most often that the rows of a source's group may be seen on average over all "
        "phases together.",
    )
    scores: dict[str, ByScore] = Field(
        default_factory=dict,
        description="By the name of a phase (balanced is the first): a score that orders its rows.",
    )
    position: str = Field(
        "lb_position", min_length=1, description="New column: 0, 1, 2, … in the order of training."
    )
    phase: str = Field(
        "lb_phase",
        min_length=1,
        description="New column with into: one: 1 for the balanced rows, 2, 3, … for the phases; "
        "it partitions the table.",
    )
    rows_per_file: int = Field(
        1_000_000, gt=0, description="About how many rows each file of the table holds."
    )


def check_order(recipe: Recipe) -> None:
    """Raise where the order does not fit the rest of the recipe.

    Raises
    ------
    ValueError : with the field, and what to write instead.
    """
    order = recipe.order
    if order is None:
        return
    if recipe.sample.method != "repeat":
        raise ValueError(
            f"order: sample.method {recipe.sample.method} has no order; write {{method: repeat}}, "
            "or leave order out"
        )
    if recipe.publish.replace_where is not None:
        raise ValueError(
            "order: its positions number the rows of a whole table; leave out publish.replace_where"
        )
    if recipe.publish.partition_by or recipe.publish.cluster_by:
        raise ValueError(
            "order: it says how the table lies in files; leave out publish.partition_by and "
            "publish.cluster_by"
        )
    units = [rules.budget and rules.budget.unit for rules in (recipe.allocate, *recipe.phases)]
    if len(set(units)) > 1:
        # Phases go on where the one before stopped, and where that is in another unit is unknown.
        both = " and ".join(sorted({unit or "rows" for unit in units}))
        raise ValueError(
            f"order: each phase goes on where the one before stopped, so all are budgets in one "
            f"unit; there are {both}"
        )
    names = [BALANCED, *[phase.name for phase in recipe.phases]]
    if unknown := order.scores.keys() - set(names):
        name = min(unknown)
        raise ValueError(f"order.scores.{name}: no phase has that name; {nearest(name, names)}")
    if order.into == "one":
        if placed := [phase.name for phase in recipe.phases if phase.table is not None]:
            raise ValueError(
                f"order: the phase {placed[0]!r} has a table, but all are in the balanced one; "
                "leave the table out, or write into: each"
            )
        if order.phase == order.position:
            raise ValueError("order: phase and position are two columns; write another name")
