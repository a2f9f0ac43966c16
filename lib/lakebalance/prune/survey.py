"""What must be known of all rows before any is dropped: their groups, and that they have places."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakebalance.core.columns import column, require
from lakebalance.core.coordinates import LARGEST, coordinate
from lakebalance.core.counts import GroupCount, count_groups
from lakebalance.core.errors import RecipeError, nearest
from lakebalance.core.places import Places, check_places, is_array, places_of
from lakebalance.core.sources import SOURCE
from lakebalance.core.strategy import meant_by
from lakebalance.prune.options import CleaningOptions, PlaceOptions, ShrinkingOptions


def check_columns(df: DataFrame, options: PlaceOptions, place: str) -> None:
    """Raise where the options name columns that are not there or have no place.

    Parameters
    ----------
    df : the rows, with columns for the bins that groups may be made of.
    options : groups and features.
    place : path in the recipe, for messages.

    Raises
    ------
    RecipeError : with the column and what to write instead.
    """
    require(df, options.by, f"{place}.by")
    check_places(df, options.features, f"{place}.features", "leave it out")
    for name in options.features:
        if options.features.count(name) > 1:
            raise RecipeError(f'{place}.features: column "{name}" is there twice; leave one out')
        if name in options.by:
            raise RecipeError(
                f'{place}.features: column "{name}" is in {place}.by already; leave it out, as no '
                "row has neighbours of other groups by what tells groups apart"
            )


def of_all_sources(df: DataFrame) -> DataFrame:
    """The rows as those of one source: neighbours are looked for among all of them."""
    return df.withColumn(SOURCE, F.lit(""))


@dataclass(frozen=True)
class Survey:
    """The groups over all sources, none where there are no rows, and what makes a row's place."""

    groups: list[GroupCount]
    places: Places

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return sum(group.rows for group in self.groups)


def surveyed(df: DataFrame, options: PlaceOptions, place: str) -> Survey:
    """The groups in order of their values, by one job; another one where features are arrays.

    Parameters
    ----------
    df : the rows that may lose some of them, or be neighbours.
    options : groups, features, what nulls mean.
    place : path in the recipe, for messages.

    Raises
    ------
    RecipeError : all rows are of one group, or features have values without a place.
    """
    sums = {}
    for i, name in enumerate(options.features):
        sums[f"null{i}"], sums[f"large{i}"] = _flaws(df, name)
    census = count_groups([of_all_sources(df)], options.by, [""], sums=sums)
    groups, rows = census.groups, sum(group.rows for group in census.groups)
    if not groups:
        return Survey([], Places(options.features))
    for i, name in enumerate(options.features):
        where = f'{place}.features: column "{name}" is'
        null, large = census.sums[f"null{i}"], census.sums[f"large{i}"]
        if large:
            raise RecipeError(
                f"{where} infinite or over {LARGEST:g} in {large:,} of {rows:,} rows; filter such "
                "rows out"
            )
        if null == rows:
            raise RecipeError(f"{where} null or NaN in all {rows:,} rows; leave it out")
        if null and options.nulls == "refuse":
            raise RecipeError(
                f"{where} null or NaN in {null:,} of {rows:,} rows; write {place}.nulls: ignore "
                "(the mean instead), or filter them out"
            )
    if len(groups) == 1:
        raise RecipeError(
            f"{place}.by: all {rows:,} rows are of one group, {named(groups[0].values)}; name "
            "columns that tell groups apart, or leave the method out"
        )
    return Survey(groups, places_of(df, options.features, f"{place}.features"))


def _flaws(df: DataFrame, name: str) -> tuple[Column, Column]:
    """Whether a row has a gap in a column, and whether a number too large; never null."""
    if not is_array(df, name):
        at = coordinate(df, name)
        return at.isNull(), F.coalesce(F.abs(at) > LARGEST, F.lit(False))
    at = column(name).cast("array<double>")
    gap = F.exists(at, lambda x: x.isNull() | F.isnan(x))
    # NaN is more than all numbers.
    large = F.exists(at, lambda x: F.coalesce((F.abs(x) > LARGEST) & ~F.isnan(x), F.lit(False)))
    return F.coalesce(gap, F.lit(True)), F.coalesce(large, F.lit(False))


def losing(groups: Sequence[GroupCount], options: CleaningOptions, place: str) -> list[GroupCount]:
    """The groups that may lose rows; of several smallest or largest ones, the first counts as it.

    Raises
    ------
    RecipeError : a group is named that is not there.
    """
    strategy = options.sampling_strategy
    if not isinstance(strategy, str):
        return groups_named(groups, options.by, strategy, f"{place}.sampling_strategy")
    word = "not minority" if strategy == "auto" else strategy
    return [groups[i] for i in meant_by(word, [group.rows for group in groups])]


def shrinking(
    groups: Sequence[GroupCount], options: ShrinkingOptions, place: str
) -> list[GroupCount]:
    """The groups that have more rows than are to stay."""
    rows = staying(groups, options)
    return [group for group in losing(groups, options, place) if group.rows > rows]


def staying(groups: Sequence[GroupCount], options: ShrinkingOptions) -> int:
    """How many rows stay of each group that shrinks."""
    return options.rows or smallest_of(groups).rows


def smallest_of(groups: Sequence[GroupCount]) -> GroupCount:
    """The group with the fewest rows, the first of several."""
    return min(groups, key=lambda group: group.rows)


def groups_named(
    groups: Sequence[GroupCount], by: Sequence[str], wanted: Sequence[Any], place: str
) -> list[GroupCount]:
    """The groups that a recipe names, each by its value, or by its values by column.

    Raises
    ------
    RecipeError : one is not there, or is not named by all columns.
    """
    found = []
    for entry in wanted:
        if not isinstance(entry, Mapping) and len(by) > 1:
            raise RecipeError(
                f"{place}: groups have the columns {', '.join(by)}; write each group as "
                f"{{{by[0]}: {json.dumps(entry)}, …}}"
            )
        values = dict(entry) if isinstance(entry, Mapping) else {by[0]: entry}
        group = next((g for g in groups if _same(g.values, values)), None)
        if group is None:
            known = [named(g.values) for g in groups]
            raise RecipeError(f"{place}: no group {named(values)}; {nearest(named(values), known)}")
        found.append(group)
    return found


def named(values: Mapping[str, Any]) -> str:
    """A group in messages."""
    return ", ".join(f"{name}={json.dumps(value)}" for name, value in values.items())


def _same(values: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    # NaN equals nothing, but has one text.
    return values == wanted or json.dumps(values, sort_keys=True) == json.dumps(
        wanted, sort_keys=True
    )
