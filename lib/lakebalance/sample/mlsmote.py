"""``mlsmote``: new rows for rare labels, where rows have several, with labels by vote."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from pydantic import Field
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from lakebalance.core.columns import column, kinds
from lakebalance.core.counts import PLAIN, count_groups
from lakebalance.core.diagnostics import NewRows, Prepared
from lakebalance.core.errors import RecipeError
from lakebalance.core.exact_neighbours import nearest_others
from lakebalance.core.label_tables import imbalance
from lakebalance.core.labels import label_sets
from lakebalance.core.places import Places
from lakebalance.core.registry import Method
from lakebalance.core.sources import KEY, SOURCE, unite
from lakebalance.sample import checks
from lakebalance.sample.children import Children, Parents, births, commonest, measured, towards
from lakebalance.sample.label_bags import OF, Bag, bags_of, in_bags, sets_of
from lakebalance.sample.label_columns import PLACE, check_labels, labels_of
from lakebalance.sample.label_votes import voted
from lakebalance.sample.options import NeighbourOptions
from lakebalance.sample.synthesis import LENGTHS, State, born, found_places, without_parents
from lakebalance.sample.tasks import Asked
from lakebalance.sample.thresholds import (
    GROUP,
    HASH,
    Share,
    Threshold,
    find_thresholds,
    keep,
    with_copies,
)

KEPT = "kept"


class MLSmote(NeighbourOptions):
    """Like smote, where rows have several labels: rare ones get new rows, with labels by vote."""

    method: Literal["mlsmote"]
    labels: list[str] = Field(
        min_length=1,
        description="One array column of labels, or several of 0 and 1; they stand in `by` too.",
    )
    categorical: list[str] = Field(
        default_factory=list,
        description="Columns whose value is the commonest among the neighbours.",
    )
    children: int = Field(
        1,
        ge=1,
        le=1000,
        description="New rows of each row that has a rare label, for each such label.",
    )

    @property
    def categories(self) -> Sequence[str]:
        """The columns that take the commonest value among neighbours."""
        return self.categorical

    @property
    def voted(self) -> Sequence[str]:
        """The columns about which neighbours vote in some way."""
        return [*self.categorical, *self.labels]


def mlsmote(
    frames: Sequence[DataFrame], shares: Mapping[int, Share], options: MLSmote, state: State
) -> DataFrame:
    """Every row that is kept, and ``children`` new ones of each for every rare label that it has.

    Rules may take rows away first, as ``ml_rus`` does those of frequent labels; the method then
    sees what is left, as if it came from a table of its own, and nothing of the others. Labels are
    rare whose imbalance ratio is over the mean of all, of the rows kept. The rows
    of a source that have one are a bag (only those that agree in all other columns of ``by``). A
    new row is as in ``smote``: ``x + u · (z - x)``, x in the bag, z one of the ``k_neighbors``
    nearest there; or as in ``smote_nc``, with categorical columns. It has the labels of at least
    half of x and all these neighbours. Unknown labels are not negative: what a label unknown to
    some could decide is unknown, a null, in the new row as well. So new rows can have label sets
    that no row has; the plan counts them before anything is written, by making them once without
    the columns that play no part. Neighbours are exact, so that this count and the rows agree.

    Parameters
    ----------
    frames : frames of one schema with ``__lb_group``, ``__lb_hash`` and ``__lb_key``.
    shares : per group: rows available, threshold, values, source.
    options : labels, features, categorical columns, neighbours, scaling, what becomes of others.
    state : what ``prepare`` found.

    Returns
    -------
    One frame without the first two columns, with the column of the keys of all who voted.

    References
    ----------
    Charte, Rivera, del Jesus, Herrera, "MLSMOTE: Approaching imbalanced multilabel learning through
    synthetic instance generation", Knowledge-Based Systems 89, 2015; labels by its "ranking".
    Its text says half or more; its pseudo-code, and mldr.resampling after it, more than half, which
    differs where k is odd: here the text holds. There, values of nominal columns are as far apart
    as the shares of a label among their rows; here as in SMOTE-NC.
    """
    rows = frames[0].drop(GROUP, HASH)
    kept = keep(frames, {group: share.threshold for group, share in shares.items()})
    kept = without_parents(kept.select(*map(column, rows.columns)), options)
    left = {
        group: replace(share, available=state.get(KEPT, {}).get(str(group), share.available))
        for group, share in shares.items()
    }
    bags = bags_of(left, options.labels, set(state["rare"]))
    if not bags:
        return kept
    places = Places(options.features, state[LENGTHS])
    return unite([_children(_staying(frames, shares), bags, options, places).drop(OF), kept])


def _staying(frames: Sequence[DataFrame], shares: Mapping[int, Share]) -> list[DataFrame]:
    """The rows that rules leave, as they came."""
    if all(share.threshold == Threshold(1) for share in shares.values()):
        return list(frames)
    thresholds = {group: share.threshold for group, share in shares.items()}
    names = list(map(column, frames[0].columns))
    return [rows.select(*names) for rows in with_copies(frames, thresholds)]


def _children(
    frames: Sequence[DataFrame], bags: Sequence[Bag], options: MLSmote, places: Places
) -> DataFrame:
    """The new rows alone, with the group of their first parent in ``__lb_of``."""
    times = 1 + options.children
    growing = {i: Share(b.rows, b.rows * times, Threshold(times)) for i, b in enumerate(bags)}
    return born(in_bags(frames, bags), growing, Asked(options, places, born_in_bag, exact=True))


def born_in_bag(parents: Parents, options: MLSmote) -> Children:
    """Children on the way to a neighbour in the bag, with the labels that all neighbours vote for.

    Parameters
    ----------
    parents : all rows of the bag; its last categories are the labels.
    options : neighbours, scaling, what nulls mean.

    Raises
    ------
    RecipeError : a coordinate is null where that is refused, or infinite; too many categories.
    """
    categories = parents.categories[: len(options.categorical)]
    labels = parents.categories[len(options.categorical) :]
    place = measured(replace(parents, categories=categories), options)
    asked, of, count = births(parents)
    k = min(options.k_neighbors, len(place) - 1)
    near = asked[:, None]
    if k and len(asked):
        near = nearest_others(place, asked, k)[0]
    both, at = towards(parents, asked[of], near[of], count)
    voters = np.hstack([asked[:, None], near]) if k else near
    chosen = [commonest(values, near) for values in categories]
    chosen += [voted(values, voters) for values in labels]
    everyone = np.hstack([both, near[of]])
    return Children(everyone, at, [values.take(pa.array(of)) for values in chosen])


def prepare(frames: Sequence[DataFrame], shares: Mapping[int, Share], options: MLSmote) -> Prepared:
    """Find rare labels by counts, and the label sets of the new rows by making them once.

    Raises
    ------
    RecipeError : a bag has fewer rows than neighbours, or too many for a task.
    """
    fewer = {str(g): s.target for g, s in shares.items() if s.target < s.available}
    if fewer:
        frames, shares = _after_rules(frames, shares)
    sets = sets_of(shares, options.labels)
    rare = [name for name, is_rare in zip(sets.names, sets.minority, strict=True) if is_rare]
    bags = bags_of(shares, options.labels, set(rare))
    for bag in bags:
        checks.check_rows(options, f'rare label "{bag.name}"', bag.rows, "")
    places = found_places(frames, options) if bags else Places(options.features)
    made = _counted(frames, bags, options, places) if bags else []
    values = [labels_of(share.values, options.labels) for share in shares.values()]
    after = label_sets(
        [*values, *[rows.values for rows in made]],
        [*[share.available for share in shares.values()], *[rows.rows for rows in made]],
    )
    unseen = {repr(rows.values) for rows in made} - {repr(given) for given in values}
    new = sum(rows.rows for rows in made)
    note = (
        f"{len(rare):,} labels are rare, and each of the {sum(bag.rows for bag in bags):,} times "
        f"that a row has one makes {options.children:,} new: {new:,} rows, with {len(unseen):,} "
        "label sets that no row has."
    )
    single, in_all = imbalance(sets, after if made else None)
    single = replace(single, note=f"{note} {single.note}")
    state = {"rare": rare, LENGTHS: places.lengths, **({KEPT: fewer} if fewer else {})}
    return Prepared(state, [single, in_all], made=made)


def _after_rules(
    frames: Sequence[DataFrame], shares: Mapping[int, Share]
) -> tuple[list[DataFrame], dict[int, Share]]:
    """The rows that rules leave, and the groups as if these were all that there are.

    A plan that is only looked at has no thresholds yet, which it takes to know which rows stay.
    """
    if any(share.threshold == Threshold(0) and share.target for share in shares.values()):
        wanted = {group: (share.available, share.target) for group, share in shares.items()}
        found = find_thresholds(frames, wanted)
        shares = {group: replace(s, threshold=found[group]) for group, s in shares.items()}
    left = {
        group: replace(share, available=share.target, threshold=Threshold(1))
        for group, share in shares.items()
    }
    return _staying(frames, shares), left


def _counted(
    frames: Sequence[DataFrame], bags: Sequence[Bag], options: MLSmote, places: Places
) -> list[NewRows]:
    """How many new rows come about of which label sets, by the groups of their first parents."""
    needed = [*options.features, *options.voted, SOURCE, KEY, GROUP, HASH]
    narrow = [frame.select(*map(column, dict.fromkeys(needed))) for frame in frames]
    children = _children(narrow, bags, options.model_copy(update={"blank": []}), places)
    by_parent = children.withColumn(SOURCE, F.col(OF).cast("string"))
    groups = sorted({str(group) for bag in bags for group in bag.groups})
    census = count_groups([by_parent], options.labels, groups)
    return [NewRows(int(group.source), group.values, group.rows) for group in census.groups]


def children_of(values: Mapping[str, Any], options: MLSmote, state: State) -> int:
    """Of how many new rows a row with these values is the first parent."""
    sets = label_sets([labels_of(values, options.labels)], [1])
    had = {sets.names[label] for label in sets.label_of.tolist()}
    return options.children * len(had & set(state["rare"]))


def check_columns(df: DataFrame, options: MLSmote, by: Sequence[str]) -> None:
    """Raise where columns are not there or cannot be what the options say.

    Raises
    ------
    RecipeError : with the column and what to write instead.
    """
    check_labels(df, options.labels, by, "so their label sets are not known")
    checks.check_columns(df, options, by)
    kind = kinds(df)[options.labels[0]]
    if isinstance(kind, T.ArrayType) and not isinstance(kind.elementType, PLAIN):
        raise RecipeError(
            f'{PLACE}: column "{options.labels[0]}" is {kind.simpleString()}; write an array of '
            "texts, whole numbers, dates or booleans, or several columns of 0 and 1"
        )


def check_group(options: MLSmote, name: str, available: int, target: int) -> None:
    """Raise where rules want more rows than there are.

    Raises
    ------
    RecipeError : with what to write instead.
    """
    if target > available:
        raise checks.refused_target(
            name,
            available,
            target,
            "sample.method: mlsmote itself decides which rows are new, by their rare labels, and "
            "copies would be neighbours of each other; write method: none in allocate.balance, or "
            "a rule that only takes rows away, such as ml_rus, and say by sample.children how many "
            "are made; or sample.method: smote, whose new rows have the label set of their group",
        )


METHOD = Method(
    "mlsmote",
    MLSmote,
    mlsmote,
    example="{method: mlsmote, labels: [labels], features: [x, y], k_neighbors: 5}",
    check_columns=check_columns,
    check_group=check_group,
    has_children=True,
    prepare=prepare,
    children_of=children_of,
)
