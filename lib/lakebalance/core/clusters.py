"""Sub-classes: large classes divided into parts of similar size, each of rows that lie together.

After Hou, Zhang, Wang, Zhou, "Subclass-balancing contrastive learning for long-tailed recognition",
2023. As there, a part has the size of the smallest class, or ``floor`` if that is more (10 in the
authors' code); a class has as many parts as keep to it, where their code rounds down and leaves
parts of up to twice the size. There, parts are found by k-means; here a class is halved
again and again, along the axis and at the value that take most out of the squared distances from
the middle. So parts are boxes: which one a row lies in follows from its own values and not from an
order of rows, and the bound on their sizes is kept exactly wherever values differ.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Protocol

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from lakebalance.core.cells import bound_of, divided, floor_needed, parts_of
from lakebalance.core.columns import column, kinds, require, require_free
from lakebalance.core.coordinates import coordinate
from lakebalance.core.counts import GroupCount, class_id, count_groups
from lakebalance.core.diagnostics import Cell, Diagnostic
from lakebalance.core.division import AT, ROOT, Division, divide
from lakebalance.core.errors import RecipeError
from lakebalance.core.forest import Forest, listed
from lakebalance.core.places import check_places, places_of
from lakebalance.core.sources import SOURCE, unite

MOST_CLUSTERS = 1000
LARGEST = 1e300
WHOLE = "all"


class ClusterSpec(Protocol):
    """How classes are divided; ``recipe.made_groups.Cluster`` is one."""

    @property
    def of(self) -> Sequence[str]: ...
    @property
    def floor(self) -> int: ...
    @property
    def slack(self) -> float: ...
    @property
    def scale(self) -> str: ...
    @property
    def nulls(self) -> str: ...


@dataclass(frozen=True)
class DividedClass:
    """A class that is to have ``wanted`` parts of at most ``most`` rows, and its parts' sizes."""

    id: int
    name: str
    rows: int
    wanted: int
    most: int
    sizes: Sequence[int]


@dataclass(frozen=True)
class Clusters:
    """The parts of classes, as a plan keeps them.

    ``widths`` are the numbers that each column has, one or an array's length; ``whole`` is how many
    classes are not divided, as they have at most ``size`` rows. The trees of ``forest`` are those
    of ``classes``.
    """

    name: str
    of: Sequence[str]
    widths: Sequence[int]
    within: Sequence[str]
    size: int
    whole: int
    classes: Sequence[DividedClass]
    forest: Forest

    @cached_property
    def _labels(self) -> list[str]:
        """The part of each leaf, numbered so that they sort."""
        labels = [WHOLE] * len(self.forest.axis)
        width = len(str(max((len(c.sizes) for c in self.classes), default=1)))
        for root, divided_class in enumerate(self.classes):
            if len(divided_class.sizes) > 1:
                for i, leaf in enumerate(self.forest.leaves(root), 1):
                    labels[leaf] = f"{i:0{width}}"
        return labels

    def group(self, df: DataFrame) -> Column:
        """The part of each row as a text; null where a column has no value.

        Parameters
        ----------
        df : the rows, with a column for each of the bins that classes are made of.
        """
        if not self.classes:
            return F.when(_placed(df, self.of, self.widths), F.lit(WHOLE))
        root = _root(df, self.within, [c.id for c in self.classes])
        part = F.get(listed(self._labels, "string"), self.forest.leaf(root, _place(df, self.of)))
        part = F.when(root < 0, F.lit(WHOLE)).otherwise(part)
        return F.when(_placed(df, self.of, self.widths), part)

    @property
    def diagnostic(self) -> Diagnostic:
        """How many parts each class got, and of what sizes."""
        columns = ["class", "rows", "parts", "smallest", "largest", "bound"]
        rows: list[list[Cell]] = [
            [c.name, c.rows, len(c.sizes), min(c.sizes), max(c.sizes), c.most] for c in self.classes
        ]
        note = (
            f"Classes of more than {self.size:,} rows are divided by {', '.join(self.of)}; "
            f"{self.whole:,} of {self.whole + len(self.classes):,} are whole."
        )
        return Diagnostic(f"Parts of classes: {self.name}", columns, rows, note)

    def to_dict(self) -> dict[str, Any]:
        """The parts as JSON holds them."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Clusters:
        """What ``to_dict`` wrote."""
        classes = [DividedClass(**entry) for entry in data["classes"]]
        return cls(**{**data, "classes": classes, "forest": Forest(**data["forest"])})


def check_clusters(
    df: DataFrame, name: str, spec: ClusterSpec, within: Sequence[str], place: str
) -> None:
    """Raise where classes cannot be divided so, before any job runs.

    Parameters
    ----------
    df : rows, with a column for each of the bins that classes may be made of.
    name : the name of the parts.
    spec : how classes are divided.
    within : the columns that make the classes.
    place : path in the recipe, for messages.

    Raises
    ------
    RecipeError : a column is not there or has no place.
    """
    require_free(df, name, place)
    require(df, within, f"{place}.within")
    check_places(df, spec.of, f"{place}.of", "name numbers, times, or an array of numbers")


def find_clusters(
    frames: Sequence[DataFrame], name: str, spec: ClusterSpec, within: Sequence[str], place: str
) -> Clusters:
    """Divide the classes that are larger than the smallest one.

    Exact, and the same however the rows lie; one or two Spark jobs for all cuts of one level, and
    two or three before them.

    Parameters
    ----------
    frames : frames of one schema, the rows, with a column for each bin that classes are made of.
    name : the name of the parts.
    spec : how classes are divided.
    within : the columns that make the classes.
    place : path in the recipe, for messages.

    Raises
    ------
    RecipeError : a row has no place, or there would be too many parts.
    """
    df = unite(frames)
    check_clusters(df, name, spec, within, place)
    widths = places_of(df, spec.of, f"{place}.of").widths
    counted = [group for group in _classes(df, spec, widths, within, place) if group.left]
    smallest = min((group.left for group in counted), default=0)
    size = max(smallest, spec.floor)
    _not_too_many([group.left for group in counted], size, smallest, place)
    large = [group for group in counted if group.left > size]
    parts = [parts_of(group.left, size) for group in large]
    bounds = [bound_of(g.left, n, spec.slack) for g, n in zip(large, parts, strict=True)]
    found = Division(Forest(), [])
    if large:
        ids = [group.id for group in large]
        rows = (
            df.where(_placed(df, spec.of, widths))
            .select(_root(df, within, ids).alias(ROOT), _place(df, spec.of).alias(AT))
            .where(F.col(ROOT) >= 0)
        )
        units = [
            i if spec.scale == "standard" else 0 for i, n in enumerate(widths) for _ in range(n)
        ]
        found = divide(rows, parts, bounds, units)
    classes = [
        DividedClass(g.id, _named(g.values), g.left, n, bound.most, sizes)
        for g, n, bound, sizes in zip(large, parts, bounds, found.sizes, strict=True)
    ]
    whole = len(counted) - len(large)
    return Clusters(name, list(spec.of), widths, list(within), size, whole, classes, found.forest)


def _classes(
    df: DataFrame,
    spec: ClusterSpec,
    widths: Sequence[int],
    within: Sequence[str],
    place: str,
) -> list[GroupCount]:
    """The classes, with the rows that have a place as those that are left; one job."""
    sums = {}
    for i, name in enumerate(spec.of):
        far = F.exists(_place(df, [name]), lambda x: (F.abs(x) > LARGEST) & ~F.isnan(x))
        sums[f"null{i}"] = ~_placed(df, [name], [widths[i]])
        sums[f"large{i}"] = F.coalesce(far, F.lit(False))
    tagged = [df.withColumn(SOURCE, F.lit(""))]
    census = count_groups(tagged, within, [""], left=_placed(df, spec.of, widths), sums=sums)
    rows = sum(group.rows for group in census.groups)
    for i, name in enumerate(spec.of):
        null, large = census.sums[f"null{i}"], census.sums[f"large{i}"]
        where = f'{place}.of: column "{name}" is'
        if large:
            raise RecipeError(
                f"{where} infinite, or over {LARGEST:.0e}, in {large:,} of {rows:,} rows; filter "
                "such rows out"
            )
        if null and spec.nulls == "refuse":
            raise RecipeError(
                f"{where} null or NaN in {null:,} of {rows:,} rows; write {place}.nulls: own_part "
                "(such rows are a part of their own), or filter them out"
            )
    return census.groups


def _not_too_many(sizes: Sequence[int], size: int, smallest: int, place: str) -> None:
    parts = divided(sizes, size)
    if parts > MOST_CLUSTERS:
        raise RecipeError(
            f"{place}.floor: classes would be divided into {parts:,} parts of about {size:,} rows, "
            f"where {MOST_CLUSTERS:,} is the most; the smallest class has {smallest:,} rows; write "
            f"floor: {floor_needed(sizes, MOST_CLUSTERS)} or more"
        )


def _place(df: DataFrame, of: Sequence[str]) -> Column:
    """The coordinates of a row that has them all, as one array of doubles."""
    kind_of = kinds(df)
    return F.concat(
        *[
            _doubles(name)
            if isinstance(kind_of[name], T.ArrayType)
            else F.array(coordinate(df, name))
            for name in of
        ]
    )


def _doubles(name: str) -> Column:
    return column(name).cast("array<double>")


def _placed(df: DataFrame, of: Sequence[str], widths: Sequence[int]) -> Column:
    """Whether a row has all coordinates; never null."""
    kind_of, all_there = kinds(df), F.lit(True)
    for name, width in zip(of, widths, strict=True):
        if not isinstance(kind_of[name], T.ArrayType):
            all_there = all_there & coordinate(df, name).isNotNull()
            continue
        # Null where an element is null and none is NaN; a test of each by itself would be slow.
        odd = F.array_contains(_doubles(name), F.lit(math.nan))
        all_there = all_there & F.coalesce(~odd & (F.size(column(name)) == width), F.lit(False))
    return all_there


def _root(df: DataFrame, within: Sequence[str], ids: Sequence[int]) -> Column:
    """The place of the row's class among those that are divided; -1 where it is not."""
    return (F.array_position(listed(ids, "bigint"), class_id(df, within)) - 1).cast("int")


def _named(values: Mapping[str, Any]) -> str:
    if len(values) == 1:
        (value,) = values.values()
        return value if isinstance(value, str) else json.dumps(value)
    return ", ".join(f"{name}={json.dumps(value)}" for name, value in values.items())
