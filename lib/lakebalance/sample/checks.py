"""What samplers of synthetic rows refuse before any job runs: columns, and groups by their rows."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import DataFrame
from pyspark.sql import types as T

from lakebalance.core.columns import kinds, require, require_free
from lakebalance.core.errors import RecipeError
from lakebalance.core.neighbours import mib_for
from lakebalance.core.places import check_places
from lakebalance.sample.options import SyntheticOptions


def check_groups(options: SyntheticOptions, name: str, available: int, target: int) -> None:
    """Raise where a group cannot have children as asked.

    Parameters
    ----------
    name : the group, for the message.
    available : its rows.
    target : its rows in the output.

    Raises
    ------
    RecipeError : it has fewer rows than neighbours are asked for, or too many for a task.
    """
    if target > available > 0:
        more = ", or a target of no more than it has"
        check_rows(options, f'group "{name}"', available, more)


def refused_target(name: str, available: int, target: int, instead: str) -> RecipeError:
    """What to raise where rules want a number of rows of a group that a sampler cannot make.

    Parameters
    ----------
    name : the group, for the message.
    available : its rows.
    target : its rows in the output.
    instead : what the sampler does and what to write instead, for the message.
    """
    return RecipeError(
        f'allocate: group "{name}" has {available:,} rows and a target of {target:,}, but {instead}'
    )


def check_rows(options: SyntheticOptions, what: str, available: int, more: str) -> None:
    """Raise where the rows among which neighbours are searched are too few or too many.

    Parameters
    ----------
    what : whose rows they are, for the message.
    available : how many there are.
    more : what else can be done where they are too few, for the message.

    Raises
    ------
    RecipeError : with what to write instead.
    """
    k = options.neighbours_needed
    if available <= k and options.fewer == "refuse":
        raise RecipeError(
            f"sample: {what} has {available:,} rows and is to grow, but {k} neighbours need "
            f"{k + 1}; write sample.k_neighbors: {max(available - 1, 1)}, sample.fewer: reduce "
            f"(as many neighbours as there are){more}"
        )
    if available > options.max_group_rows:
        width = len(options.coordinates) + len(options.categories)
        raise RecipeError(
            f"sample: {what} has {available:,} rows and is to grow, but a task searches at "
            f"most {options.max_group_rows:,}; write sample.max_group_rows: {available} where "
            f"workers have at least {mib_for(available, width):,} MiB for Python, or prune or "
            "split the group"
        )


def check_columns(df: DataFrame, options: SyntheticOptions, by: Sequence[str]) -> None:
    """Raise where the options name columns that are not there or cannot be what they say.

    Raises
    ------
    RecipeError : with the column and what to write instead.
    """
    instead = (
        "leave it out, and synthetic rows take it from their parent, or list it under categorical"
    )
    check_places(df, options.coordinates, "sample.features", instead)
    require(df, options.blank, "sample.blank")
    roles = {
        "features": options.coordinates,
        "categorical": options.categories,
        "blank": options.blank,
    }
    require(df, roles["categorical"], "sample.categorical")
    seen = {name: "allocate.balance.by" for name in by}
    for role, names in roles.items():
        for name in names:
            if name in seen:
                raise RecipeError(
                    f'sample.{role}: column "{name}" is in {seen[name]} already; leave it out'
                )
            seen[name] = f"sample.{role}"
    if options.parents is not None:
        require_free(df, options.parents, "sample.parents")
    kind_of = kinds(df)
    for name in roles["categorical"]:
        if isinstance(kind_of[name], T.ArrayType | T.MapType | T.StructType | T.VariantType):
            raise RecipeError(
                f'sample.categorical: column "{name}" is {kind_of[name].simpleString()}, which has '
                "no order; leave it out, and synthetic rows take it from their parent"
            )
