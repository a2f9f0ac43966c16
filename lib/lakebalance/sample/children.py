"""Children of some points of a group: on the way to a neighbour, or around a parent."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lakebalance.core import chance
from lakebalance.core.coordinates import LARGEST
from lakebalance.core.errors import RecipeError
from lakebalance.core.neighbours import BLOCK, Floats, Ints, centred
from lakebalance.core.places import Places
from lakebalance.core.probed_neighbours import nearest
from lakebalance.sample.options import FeatureOptions, NeighbourOptions, NoiseOptions

MOST_CATEGORIES = 1000


@dataclass(frozen=True)
class Parents:
    """All rows of a group in the order of their keys.

    ``places`` are the columns whose numbers ``at`` are, NaN where there is none; ``hash`` is the
    number that decides about a row; ``copies`` says how many children each has; ``categories`` are
    the categorical columns, ``texts`` the same as texts where they are asked for.
    """

    places: Places
    at: Floats
    hash: Ints
    copies: Ints
    categories: Sequence[pa.Array]
    texts: Sequence[pa.Array] = ()


@dataclass(frozen=True)
class Children:
    """New rows: positions of their parents, the first first; coordinates, categorical values."""

    parents: Ints
    at: Floats
    categories: Sequence[pa.Array]

    def part(self, start: int, end: int) -> Children:
        """Some of them, in order."""
        return Children(
            self.parents[start:end],
            self.at[start:end],
            [values.slice(start, end - start) for values in self.categories],
        )


def between_neighbours(parents: Parents, options: NeighbourOptions) -> Children:
    """Children on the way from a parent to one of its neighbours in the group.

    Parameters
    ----------
    parents : all rows of the group.
    options : neighbours, scaling, what nulls mean.

    Raises
    ------
    RecipeError : a coordinate is null where that is refused, or infinite; too many categories.
    """
    place = measured(parents, options)
    asked, of, count = births(parents)
    k = min(options.k_neighbors, len(place) - 1)
    near = nearest(place, asked, k)[0] if k else asked[:, None]
    both, at = towards(parents, asked[of], near[of], count)
    chosen = [commonest(values, near).take(pa.array(of)) for values in parents.categories]
    return Children(both, at, chosen)


def towards(parents: Parents, first: Ints, near: Ints, count: Ints) -> tuple[Ints, Floats]:
    """Places on the way from parents to one of their neighbours, which chance picks.

    Parameters
    ----------
    parents : all rows of the group.
    first : the position of each child's first parent.
    near : those of the neighbours; a row per child.
    count : the how many-th child of its parent each is, from 0.

    Returns
    -------
    Positions of both parents, and coordinates; a row per child.
    """
    seed = parents.hash[first]
    which = chance.below(chance.words(seed, count, chance.salt_of("neighbour")), near.shape[1])
    second = near[np.arange(len(first)), which]
    step = chance.unit(chance.words(seed, count, chance.salt_of("step")))[:, None]
    at = np.empty((len(first), parents.at.shape[1]))
    for begin in range(0, len(first), BLOCK):
        part = slice(begin, begin + BLOCK)
        start, end = parents.at[first[part]], parents.at[second[part]]
        # A parent's null stays; towards a neighbour's null there is no way to go.
        at[part] = np.where(np.isnan(end), start, start + step[part] * (end - start))
    return np.column_stack([first, second]), at


def births(parents: Parents) -> tuple[Ints, Ints, Ints]:
    """Who has children; and for each child: whose of them it is, and the how many-th, from 0."""
    asked = np.flatnonzero(parents.copies > 0)
    copies = parents.copies[asked]
    of = np.repeat(np.arange(len(copies)), copies)
    return asked, of, np.arange(len(of)) - np.repeat(np.cumsum(copies) - copies, copies)


def around_parents(parents: Parents, options: NoiseOptions) -> Children:
    """Children around a parent, away from it by normal noise in each feature.

    Parameters
    ----------
    parents : all rows of the group.
    options : shrinkage, bounds, what nulls mean.

    Raises
    ------
    RecipeError : a coordinate is null where that is refused, or infinite.
    """
    check_coordinates(parents, options)
    asked, of, count = births(parents)
    first = asked[of]
    rows, width = parents.at.shape
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a column without any value
        spread = np.nanstd(parents.at, axis=0)
        low, high = np.nanmin(parents.at, axis=0), np.nanmax(parents.at, axis=0)
    # Rounded, as the last bit of a power may differ from one processor to another.
    factor = round((4 / ((width + 2) * rows)) ** (1 / (width + 4)), 12)
    width_of_kernel = options.shrinkage * factor * spread
    numbers = _numbered(parents.places)
    noise = np.column_stack(
        [
            chance.normal(parents.hash[first], count, chance.salt_of("noise", *number))
            for number in numbers
        ]
    )
    at = parents.at[first] + noise * width_of_kernel
    if options.clip == "observed":
        at = np.clip(at, low, high)
    for i, (name, *_) in enumerate(numbers):
        least, most = options.bounds.get(name, (None, None))
        at[:, i] = np.clip(at[:, i], least, most) if (least, most) != (None, None) else at[:, i]
    return Children(first[:, None], at, [])


def _numbered(places: Places) -> list[tuple[str, ...]]:
    """A name for each number of a place: its column's, with its position in an array."""
    named: list[tuple[str, ...]] = []
    for name in places.names:
        length = places.lengths.get(name)
        named += [(name,)] if length is None else [(name, str(i)) for i in range(length)]
    return named


def measured(parents: Parents, options: NeighbourOptions) -> Floats:
    """The points between which distances are taken: centred, scaled, without gaps.

    A differing category adds the median of the features' standard deviations, as in SMOTE-NC.
    """
    check_coordinates(parents, options)
    at, spread = centred(parents.at)
    apart = parents.places.deviations(spread)
    if options.scale == "standard":
        at = at / parents.places.in_units(spread)
        apart = np.where(apart > 0, 1.0, 0.0)
    if not parents.categories:
        return at
    # Two ends of a differing category are apart by its weight, half of it squared in each column.
    weight = float(np.median(apart)) / np.sqrt(2)
    hot = [_one_hot(values) * weight for values in parents.categories]
    width = sum(columns.shape[1] for columns in hot)
    if width > MOST_CATEGORIES:
        raise RecipeError(
            f"sample.categorical: a group that is to grow has {width:,} different values in these "
            f"columns, and distances are taken over at most {MOST_CATEGORIES:,}; leave out columns "
            "that are more names than categories"
        )
    return np.hstack([at, *hot])


def check_coordinates(parents: Parents, options: FeatureOptions) -> None:
    """Raise where a coordinate is infinite or nearly so, or null where nulls are refused.

    Raises
    ------
    RecipeError : with the column that has most of them.
    """
    too_large = np.abs(parents.at) > LARGEST
    _refuse(too_large, parents.places, f"infinite or over {LARGEST:g}", "filter such rows out")
    if options.nulls == "refuse":
        instead = "write sample.nulls: ignore, or filter them out"
        _refuse(np.isnan(parents.at), parents.places, "null or NaN", instead)


def _refuse(wrong: NDArray[np.bool_], places: Places, what: str, instead: str) -> None:
    if not wrong.any():
        return
    counts = [int(own.any(axis=1).sum()) for own in places.by_column(wrong)]
    name, rows = max(zip(places.names, counts, strict=True), key=lambda found: found[1])
    has = f"has {what} elements" if name in places.lengths else f"is {what}"
    raise RecipeError(
        f'sample.features: column "{name}" {has} in {rows:,} of {len(wrong):,} rows of a group '
        f"that is to grow; {instead}"
    )


def _one_hot(values: pa.Array) -> Floats:
    codes, distinct = _codes(values)
    hot = np.zeros((len(codes), len(distinct)))
    hot[np.arange(len(codes)), codes] = 1.0
    return hot


def _codes(values: pa.Array) -> tuple[Ints, pa.Array]:
    """Numbers for values in their order, null last, and the values."""
    if pa.types.is_floating(values.type):
        values = pc.add(values, pa.scalar(0.0, values.type))  # -0.0 is 0.0
    distinct = values.unique()
    distinct = distinct.take(pc.sort_indices(distinct))
    encoded = pc.index_in(values, value_set=distinct)
    return encoded.to_numpy(zero_copy_only=False).astype(np.int64), distinct


def commonest(values: pa.Array, voters: Ints) -> pa.Array:
    """The commonest value among some rows, ties to the least; null comes last.

    Parameters
    ----------
    values : the values of all rows.
    voters : positions of rows; a row for each value that is wanted.

    Examples
    --------
    >>> commonest(pa.array(["b", "a", None, "b"]), np.array([[0, 1, 3], [0, 1, 2]])).to_pylist()
    ['b', 'a']
    """
    codes, distinct = _codes(values)
    of_voters = codes[voters]
    votes = np.zeros_like(of_voters)
    for voter in range(voters.shape[1]):
        votes += of_voters == of_voters[:, [voter]]
    best = np.lexsort((of_voters, -votes), axis=-1)[:, 0]
    return distinct.take(pa.array(of_voters[np.arange(len(voters)), best]))
