"""Finds methods: one module a method in its stage's package, or an entry point elsewhere.

A module is a method when it has a ``METHOD``. Another package adds one with an entry point in the
group ``lakebalance.<stage>`` that names its ``METHOD``.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, reduce
from importlib.metadata import entry_points
from operator import or_
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from lakebalance.core.diagnostics import Diagnostic, Prepared
from lakebalance.core.strict import Strict

Stage = Literal["prune", "allocate", "sample"]


class MethodOptions(Strict):
    """Base of every method's options."""

    if TYPE_CHECKING:
        # Each method narrows it to the literal of its own name.
        @property
        def method(self) -> Any: ...


def target_rows(available: int, target: int) -> int:
    """Rows that most samplers put out for a group: its target."""
    return target


@dataclass(frozen=True)
class Method:
    """A method: its name in recipes, its options, and the function that does it.

    ``rows_out`` is for samplers: rows put out for a group of so many rows available and targeted.
    So are ``check_columns(df, options, by)``, called before any job, and ``check_group(options,
    name, available, target)``, called for each group as soon as it is planned; both raise. For
    pruning it is ``check_columns(df, options, place)``, with the path in the recipe.
    ``fate`` is what a row is called that a pruning method drops; ``training_only`` says that it
    sees, and drops, no row that is held out, as what it does is meant for training.
    ``has_children`` says that what a row has beyond its first copy are new rows of its own,
    ``weighs`` that rows have weights: in the column that ``options.column`` names, or, where it is
    not put out, each as many copies as its weight asks for.
    ``find_thresholds(frames, wanted)``, for samplers that do not keep rows by the order of their
    hashes, finds each group's threshold; ``decided(threshold, hash)`` then says the fewest and most
    copies of a row, and the numbers that decide it.
    ``find_cuts(frames, wanted)``, for the same samplers, finds where each group's part of a budget
    in another unit than rows ends; others keep all rows as often as a part holds them.
    ``prepare(frames, shares, options)``, for samplers, looks at the rows once before they are
    sampled and returns a ``Prepared``, whose state the plan keeps and the function takes as a
    fourth argument; for pruning it is ``prepare(df, options, place)``, and only the run keeps it.
    ``put_out_as(groups, options, state)``, for samplers that change the groups of rows, says for
    the values of each group by column the values of each row that a row of it is put out as;
    ``rows_out`` counts rows before that. ``children_of(values, options, state)``, for samplers
    whose new rows may be of other groups than their parents, which ``prepare`` then finds out, says
    of how many a row with these values is the first parent. ``diagnose(groups, targets, options)``,
    for rules, returns a list of ``Diagnostic`` about the groups that it shared rows over; for
    pruning it is ``diagnose(df, options, place)``, about the rows that it works on, whatever goes.
    ``any_unit`` says that a rule's shares are the same whatever unit there is a budget of, and that
    a sampler keeps rows as they are counted in such a unit.
    ``scratch``, for pruning, says that the function takes by this name what writes a frame under a
    name and returns it as written, or None where nothing may be written, as while planning.
    ``edit(df, options, matches)``, for pruning, takes out of rows what its matches say goes of
    them, where not the whole row does.
    ``sides``, for pruning, says that rows come with the part of the split that they belong to.
    ``evaluation``, for pruning, says that the function, ``prepare`` and ``check_columns`` take by
    this name the tables that a model is evaluated on; ``summarise(matches, options, place)`` then,
    too. It says of what was dropped what a run's report is to show, as a list of ``Diagnostic``.
    ``made_with(options)``, for pruning methods that have an option ``index``, says what entries of
    such an index depend on, as JSON holds it; the function then takes an ``Index`` by this name.
    ``example`` is for the documentation: the options as one line of YAML.
    """

    name: str
    options: type[MethodOptions]
    function: Callable[..., Any]
    rows_out: Callable[[int, int], int] = target_rows
    example: str = ""
    check_columns: Callable[..., None] | None = None
    check_group: Callable[..., None] | None = None
    has_children: bool = False
    weighs: bool = False
    find_thresholds: Callable[..., dict[int, Any]] | None = None
    find_cuts: Callable[..., dict[int, Any]] | None = None
    decided: Callable[[Any, int], tuple[int, int, dict[str, Any]]] | None = None
    prepare: Callable[..., Prepared] | None = None
    put_out_as: Callable[..., list[list[dict[str, Any]]]] | None = None
    children_of: Callable[..., int] | None = None
    diagnose: Callable[..., list[Diagnostic]] | None = None
    fate: str = "duplicate"
    training_only: bool = False
    any_unit: bool = False
    scratch: bool = False
    edit: Callable[..., Any] | None = None
    evaluation: bool = False
    sides: bool = False
    summarise: Callable[..., list[Diagnostic]] | None = None
    made_with: Callable[[Any], dict[str, Any]] | None = None

    def new_rows(self, available: int, target: int) -> int:
        """Rows of a group's output that a sampler makes anew."""
        return max(target - available, 0) if self.has_children else 0

    @property
    def changes_groups(self) -> bool:
        """Whether rows put out may be of another group than those they come from."""
        return self.put_out_as is not None or self.children_of is not None

    @property
    def summary(self) -> str:
        """The first line of the options' docstring."""
        return (self.options.__doc__ or "").strip().splitlines()[0]


@cache
def methods(stage: Stage) -> dict[str, Method]:
    """All methods of a stage by name, sorted.

    Examples
    --------
    >>> "temperature" in methods("allocate")
    True
    """
    package = importlib.import_module(f"lakebalance.{stage}")
    found: dict[str, Method] = {}
    for info in pkgutil.iter_modules(package.__path__):
        method = getattr(importlib.import_module(f"{package.__name__}.{info.name}"), "METHOD", None)
        if isinstance(method, Method):
            found[method.name] = method
    for entry in entry_points(group=f"lakebalance.{stage}"):
        method = entry.load()
        if method.name in found:
            raise ValueError(f"{entry.value}: a {stage} method {method.name!r} exists already")
        found[method.name] = method
    return dict(sorted(found.items()))


def options_union(stage: Stage) -> Any:
    """The type of a recipe field that takes any method of the stage, told apart by ``method``."""
    models = [method.options for method in methods(stage).values()]
    return (
        models[0]
        if len(models) == 1
        else Annotated[reduce(or_, models), Field(discriminator="method")]
    )


def method_of(stage: Stage, options: MethodOptions) -> Method:
    """The method that options belong to."""
    return methods(stage)[options.method]


def function_of(stage: Stage, options: MethodOptions) -> Callable[..., Any]:
    """The function that belongs to a method's options."""
    return method_of(stage, options).function
