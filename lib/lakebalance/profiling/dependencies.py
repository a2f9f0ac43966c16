"""Functional dependencies: columns whose values are settled by those of others, and where not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import sqrt
from typing import Any

from pyspark.sql import DataFrame

from lakebalance.profiling.breaks import Measured, Pair, explain, measure
from lakebalance.profiling.facts import ColumnFacts
from lakebalance.profiling.lattice import Set, disagreeing, numbered, sets_of
from lakebalance.profiling.sample import Sample

# Of wider tables, so many columns are looked at; the result says so.
MOST_COLUMNS = 60
MOST_CHECKED = 60
MOST_TRIED = 1_000
MOST_EXPLAINED = 20
# Left sides of more values in the sample are tried on all rows of about so many of their values.
MANY_VALUES, FIRST_TRY = 1_000, 20_000
FIRST_LOOK = 1_000
# How far a share of a first try may lie from that of all rows.
ROOM = 0.05


@dataclass
class Dependency:
    """Rows that agree on the left agree on the right, but for some.

    ``disagreeing`` rows have another value on the right than most rows of their left side; dropped,
    they leave a dependency without exceptions. ``clusters`` are the left sides with most of them.
    """

    left: list[str]
    right: str
    rows: int
    disagreeing: int
    groups: int
    broken: int
    clusters: list[dict[str, Any]] = field(default_factory=list)

    @property
    def error(self) -> float:
        """The share of rows to drop, known as g3."""
        return self.disagreeing / self.rows if self.rows else 0.0

    def to_dict(self) -> dict[str, Any]:
        """The dependency as ``profile --json`` prints it."""
        return {
            "left": self.left,
            "right": self.right,
            "exact": self.disagreeing == 0,
            "error": self.error,
            "disagreeing": self.disagreeing,
            "groups": self.groups,
            "broken_groups": self.broken,
            "clusters": self.clusters,
        }


@dataclass(frozen=True)
class Dependencies:
    """What was found; ``one_to_one`` are columns that settle each other, the first stands for all.

    Other dependencies name the first column of such a class alone.
    """

    found: list[Dependency]
    one_to_one: list[list[str]]
    complete: bool


def find_dependencies(
    df: DataFrame,
    facts: Sequence[ColumnFacts],
    sample: Sample,
    keys: Sequence[Sequence[str]],
    size: int,
    error: float,
) -> Dependencies:
    """Find minimal dependencies X → A, exact and with few exceptions; two jobs a size, two more.

    A null counts as a value, and so does NaN. Left out are X that no two rows share, A that is
    constant, and X that holds more columns than it needs. With exceptions, a dependency is said
    if dropping ``error`` of the rows, and of those that share X with another row, takes them away,
    if no part of X does as well, and if A has not one value in nearly all rows anyway.

    Parameters
    ----------
    df : the table.
    facts : its columns.
    sample : some of its rows.
    keys : its keys, which settle everything.
    size : most columns of X.
    error : the most rows to drop, as a share; 0 for exact ones alone.
    """
    search = _Search(facts, sample, keys, error)
    for level in range(1, size + 1):
        pairs = search.candidates(level)
        pairs = search.first_try(df, pairs)
        search.take(measure(df, sample.names, pairs, 1.0) if pairs else {}, pairs)
        if level == 1:
            search.join_equals()
    found = sorted(search.found, key=lambda d: (d.error > 0, len(d.left), d.error))
    broken = [d for d in found if d.disagreeing][:MOST_EXPLAINED]
    if broken:
        place = {name: i for i, name in enumerate(sample.names)}
        asked = [(tuple(place[n] for n in d.left), place[d.right]) for d in broken]
        for d, clusters in zip(broken, explain(df, sample.names, asked), strict=True):
            d.clusters = clusters
    classes = [[facts[i].name for i in one] for one in search.classes]
    return Dependencies(found, classes, search.complete)


class _Search:
    """Which pairs are left to be looked at, by what was found."""

    def __init__(
        self,
        facts: Sequence[ColumnFacts],
        sample: Sample,
        keys: Sequence[Sequence[str]],
        error: float,
    ) -> None:
        place = {f.name: i for i, f in enumerate(facts)}
        varied = [i for i, f in enumerate(facts) if not f.constant]
        self.facts, self.sample, self.error = facts, sample, error
        self.items = varied[:MOST_COLUMNS]
        self.complete = len(varied) <= MOST_COLUMNS
        self.keys: list[Set] = [tuple(sorted(place[n] for n in key)) for key in keys]
        self.exact: list[Pair] = []
        self.nearly: list[Pair] = []
        self.found: list[Dependency] = []
        self.classes: list[list[int]] = []
        self.groups: dict[Set, int] = {}

    def candidates(self, level: int) -> list[Pair]:
        """Pairs that hold on the sample, those with few values on the left first."""
        needless = [tuple(sorted((*left, right))) for left, right in self.exact]
        lefts, whole = sets_of(self.items, level, [*self.keys, *needless])
        rows = len(self.sample.codes)
        found: list[Pair] = []
        for left in lefts:
            numbers = numbered(self.sample.codes, left)
            self.groups[left] = int(numbers.max()) + 1
            for right in self.items:
                if right in left or _known(self.exact, left, right):
                    continue
                most = self._most((left, right), rows)
                others = self.sample.codes[:, right]
                # Most pairs fail on the first rows already.
                if all(disagreeing(numbers[:n], others[:n]) <= most for n in (FIRST_LOOK, rows)):
                    found.append((left, right))
        found.sort(key=lambda pair: (self.groups[pair[0]], pair))
        self.complete &= whole and len(found) <= MOST_TRIED
        return found[:MOST_TRIED]

    def _most(self, pair: Pair, rows: int) -> float:
        """Rows of the sample that may disagree if few enough do of all."""
        if not self._may_break(*pair):
            return 0
        share = self.error
        return rows * share + 4 * sqrt(rows * share * (1 - share))

    def _may_break(self, left: Set, right: int) -> bool:
        """Whether a pair is worth saying if some rows break it."""
        top = self.facts[right].top
        settled = bool(top) and top[0]["share"] >= 1 - self.error
        nulls = self.facts[right].nulls >= (1 - self.error) * self.facts[right].rows
        return self.error > 0 and not (settled or nulls or _known(self.nearly, left, right))

    def first_try(self, df: DataFrame, pairs: list[Pair]) -> list[Pair]:
        """Without those of many left values that fail on all rows of some of these values."""
        rows = self.facts[0].rows
        share = FIRST_TRY / rows
        doubtful = [p for p in pairs if self.groups[p[0]] > MANY_VALUES]
        kept = pairs
        if share < 0.5 and doubtful:
            tried = measure(df, self.sample.names, doubtful, share)
            wrong = {p for p in doubtful if p in tried and not self._likely(p, tried[p])}
            kept = [p for p in pairs if p not in wrong]
        self.complete &= len(kept) <= MOST_CHECKED
        return kept[:MOST_CHECKED]

    def _likely(self, pair: Pair, tried: Measured) -> bool:
        if not tried.disagreeing:
            return True
        return self._may_break(*pair) and tried.disagreeing <= (self.error + ROOM) * tried.shared

    def take(self, measured: Mapping[Pair, Measured], pairs: Sequence[Pair]) -> None:
        """Keep what holds over all rows."""
        for pair in pairs:
            found = measured[pair]
            (left, right), wrong = pair, found.disagreeing
            if not found.shared:
                continue
            if not wrong:
                self.exact.append(pair)
            elif self._may_break(*pair) and wrong <= self.error * found.shared:
                self.nearly.append(pair)
            else:
                continue
            names = [self.facts[i].name for i in left]
            self.found.append(
                Dependency(
                    names, self.facts[right].name, found.rows, wrong, found.groups, found.broken
                )
            )

    def join_equals(self) -> None:
        """Let one column stand for all that settle it and are settled by it."""
        known = {(left[0], right) for left, right in self.exact}
        for i in list(self.items):
            like = [j for j in self.items if (i, j) in known and (j, i) in known]
            if like and i < min(like):
                self.classes.append([i, *like])
        dropped = {j for one in self.classes for j in one[1:]}
        self.items = [i for i in self.items if i not in dropped]
        names = {self.facts[j].name for j in dropped}
        self.found = [d for d in self.found if not names & {*d.left, d.right}]


def _known(pairs: Sequence[Pair], left: Set, right: int) -> bool:
    """Whether a part of the left side settles the right one."""
    return any(right == r and set(part) <= set(left) for part, r in pairs)
