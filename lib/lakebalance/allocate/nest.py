"""Nests rules: a mixture shares the budget over sources, a balance each part over its groups."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from lakebalance.allocate.rules import Group, RuleOptions, Value
from lakebalance.core.registry import MethodOptions, function_of

Rule = Callable[[Sequence[Group], int | None, MethodOptions], list[int]]


@dataclass(frozen=True)
class Available:
    """Rows available in one group of one source."""

    source: str
    values: Mapping[str, Value]
    rows: int


@dataclass(frozen=True)
class Allocated:
    """The target of one group of one source."""

    source: str
    values: Mapping[str, Value]
    available: int
    target: int

    @property
    def epochs(self) -> float:
        """How often a row is seen on average."""
        return self.target / self.available if self.available else 0.0


def allocate(
    counts: Sequence[Available],
    rows: int | None,
    mix: MethodOptions | None,
    balance: MethodOptions | None,
) -> list[Allocated]:
    """Turn counts into targets by a mixture over sources and a balance within each.

    Parameters
    ----------
    counts : rows per source and group, in order; a source's groups stand together.
    rows : the budget in rows; None for as many as there are.
    mix : the rule over sources. Without one, the balance rule sees the groups of all sources
        together and the sources of a group share its target by the rows they have.
    balance : the rule over groups; None keeps each group's share.

    Raises
    ------
    RecipeError : the rules cannot be met.

    Examples
    --------
    >>> from lakebalance.allocate.equal import Equal
    >>> counts = [Available("s", {"c": "a"}, 90), Available("s", {"c": "b"}, 10)]
    >>> [a.target for a in allocate(counts, 20, None, Equal(method="equal"))]
    [10, 10]
    """
    if mix is not None:
        return _mixed(counts, rows, mix, balance)
    if balance is None:
        return _shared(counts, rows, _default_rule())
    return _shared(counts, rows, balance)


def _mixed(
    counts: Sequence[Available],
    rows: int | None,
    mix: MethodOptions,
    balance: MethodOptions | None,
) -> list[Allocated]:
    by_source: dict[str, list[Available]] = {}
    for count in counts:
        by_source.setdefault(count.source, []).append(count)
    inner = balance or _default_rule()
    sources = [
        Group({"source": name}, sum(p.rows for p in parts), _largest(parts, inner, balance))
        for name, parts in by_source.items()
    ]
    budgets = _rule(mix)(sources, rows, mix)
    allocated: list[Allocated] = []
    for parts, budget in zip(by_source.values(), budgets, strict=True):
        groups = [Group(p.values, p.rows) for p in parts]
        allocated += _with_targets(parts, _rule(inner)(groups, budget, inner))
    return allocated


def _shared(counts: Sequence[Available], rows: int | None, rule: MethodOptions) -> list[Allocated]:
    from lakebalance.allocate.rounding import largest_remainder

    merged: dict[tuple[tuple[str, Value], ...], list[int]] = {}
    for i, count in enumerate(counts):
        merged.setdefault(tuple(count.values.items()), []).append(i)
    groups = [
        Group(dict(values), sum(counts[i].rows for i in members))
        for values, members in merged.items()
    ]
    result = [0] * len(counts)
    targets = _rule(rule)(groups, rows, rule)
    for members, target in zip(merged.values(), targets, strict=True):
        parts = largest_remainder(target, [counts[i].rows for i in members])
        for i, part in zip(members, parts, strict=True):
            result[i] = part
    return _with_targets(counts, result)


def _with_targets(counts: Sequence[Available], targets: Sequence[int]) -> list[Allocated]:
    return [
        Allocated(c.source, c.values, c.rows, target)
        for c, target in zip(counts, targets, strict=True)
    ]


def _largest(
    parts: Sequence[Available], rule: MethodOptions, balance: MethodOptions | None
) -> int | None:
    """The most rows a source can give under its balance rule; None where nothing limits it."""
    if balance is None or not isinstance(rule, RuleOptions):
        return None
    caps = rule.caps([Group(p.values, p.rows) for p in parts])
    if any(cap is None for cap in caps):
        return None
    return sum(cap for cap in caps if cap is not None)


def _default_rule() -> MethodOptions:
    from lakebalance.allocate.proportional import Proportional

    return Proportional(method="proportional", max_epochs=None, min_rows=0)


def _rule(options: MethodOptions) -> Rule:
    return function_of("allocate", options)
