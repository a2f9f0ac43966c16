"""Decides which tables are kept and from what each other one is rebuilt, at the least cost.

This is facility location without capacities: a table is kept, at the cost of its storage, or served
by a kept one that holds its rows, at the cost of its rebuilds. Costs are whole numbers, so that
sums are exact. Knows no Spark.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from lakebalance.lake.retention_greedy import greedy, lower_bound
from lakebalance.lake.retention_program import integer_program
from lakebalance.lake.retention_tree import on_tree

# An integer program of more pairs takes minutes.
MOST_PAIRS = 4_000
MOST_STATES = 2_000_000


@dataclass(frozen=True)
class Problem:
    """Tables by number: what each costs to keep, and what it costs if rebuilt from another.

    ``sources[v]`` maps each table that could serve v to the cost; ``pinned`` ones are kept.
    """

    keep: Sequence[int]
    sources: Sequence[Mapping[int, int]]
    pinned: frozenset[int] = frozenset()

    def part(self, members: Sequence[int]) -> Problem:
        """The problem of some tables, which no others serve."""
        place = {v: i for i, v in enumerate(members)}
        return Problem(
            [self.keep[v] for v in members],
            [{place[u]: cost for u, cost in self.sources[v].items()} for v in members],
            frozenset(place[v] for v in members if v in self.pinned),
        )

    def cost(self, source: Sequence[int | None]) -> int:
        """What a solution costs, exactly."""
        return sum(self.keep[v] if u is None else self.sources[v][u] for v, u in enumerate(source))


@dataclass(frozen=True)
class Solution:
    """``source[v]`` is what v is rebuilt from, None where it is kept.

    No solution costs less than ``bound``; ``methods`` counts tables by how they were decided.
    """

    source: tuple[int | None, ...]
    cost: int
    bound: int
    methods: Mapping[str, int] = field(default_factory=dict)

    @property
    def gap(self) -> float:
        """How much of the cost might be saved at most, from 0 (none: the solution is best)."""
        return (self.cost - self.bound) / self.cost if self.cost else 0.0


def retention(problem: Problem) -> Solution:
    """The cheapest choice of kept tables; exact unless the solution's bound says otherwise.

    Tables that no containment joins are decided apart: by dynamic programming where they form a
    tree; otherwise greedily where a Lagrangian bound proves that to be best, else by an integer
    program (HiGHS), and greedily where there are too many pairs for one.

    Parameters
    ----------
    problem : costs of keeping and of rebuilding, in whole units.

    Returns
    -------
    A solution in which each table that is not kept has a kept source.

    References
    ----------
    Shah et al., "R2D2: Reducing Redundancy and Duplication in Data Lakes", SIGMOD 2024, has the aim
    (storage and access at least cost under a limit on latency). Its exact objective was not to be
    had: this one is facility location, our own form of it.

    Examples
    --------
    >>> retention(Problem([100, 90], [{}, {0: 5}])).source
    (None, 0)
    >>> retention(Problem([100, 90], [{1: 4}, {0: 5}])).source  # two equal tables: one is kept
    (1, None)
    """
    source: list[int | None] = [None] * len(problem.keep)
    bound = 0
    methods: dict[str, int] = {}
    for members in components(problem.sources):
        part = problem.part(members)
        method, chosen, least = _decided(part)
        for v, u in zip(members, chosen, strict=True):
            source[v] = None if u is None else members[u]
        methods[method] = methods.get(method, 0) + len(members)
        bound += least
    return Solution(tuple(source), problem.cost(source), bound, methods)


def _decided(part: Problem) -> tuple[str, list[int | None], int]:
    """How a component was decided, its sources, and what no others cost less than."""
    data = part.keep, part.sources, part.pinned
    pairs = sum(map(len, part.sources))
    if not pairs:
        return "alone", [None], part.keep[0]
    if pairs <= MOST_STATES and (chosen := on_tree(*data)):
        return "tree", chosen, part.cost(chosen)
    chosen = greedy(*data)
    cost = part.cost(chosen)
    bound = min(lower_bound(*data, cost), cost)
    if bound < cost and pairs <= MOST_PAIRS and (found := integer_program(*data)):
        bound = max(bound, found[1])
        if part.cost(found[0]) <= cost:
            return "integer program", found[0], min(bound, part.cost(found[0]))
    return "greedy", chosen, min(bound, cost)


def components(sources: Sequence[Mapping[int, int]]) -> Iterator[list[int]]:
    """The tables that serve each other, directly or not, in order of their least numbers.

    Examples
    --------
    >>> list(components([{}, {3: 1}, {0: 1}, {}]))
    [[0, 2], [1, 3]]
    """
    root = list(range(len(sources)))

    def find(v: int) -> int:
        while root[v] != v:
            root[v] = root[root[v]]
            v = root[v]
        return v

    for v, serving in enumerate(sources):
        for u in serving:
            a, b = sorted((find(u), find(v)))
            root[b] = a
    groups: dict[int, list[int]] = {}
    for v in range(len(sources)):
        groups.setdefault(find(v), []).append(v)
    yield from groups.values()
