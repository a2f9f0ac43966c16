"""Nests rules: a mixture shares the budget over sources, a balance each part over its groups."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from lakebalance.allocate.proportional import Proportional
from lakebalance.allocate.rounding import largest_remainder
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


@dataclass(frozen=True)
class Level:
    """A rule and the columns whose values make the groups that it sees; None for the source."""

    rule: MethodOptions
    by: Sequence[str] | None

    def values(self, part: Available) -> dict[str, Value]:
        """The group of this level that rows belong to."""
        if self.by is None:
            return {"source": part.source}
        return {name: part.values[name] for name in self.by}


def allocate(
    counts: Sequence[Available],
    rows: int | None,
    mix: MethodOptions | None,
    balance: MethodOptions | None,
    within: Sequence[MethodOptions] = (),
) -> list[Allocated]:
    """Turn counts into targets by a mixture over sources, a balance within each, rules within that.

    Parameters
    ----------
    counts : rows per source and group, in order; a source's groups stand together.
    rows : the budget in rows; None for as many as there are.
    mix : the rule over sources. Without one, the balance rule sees the groups of all sources
        together and the sources of a group share its target by the rows they have.
    balance : the rule over groups; None keeps each group's share.
    within : rules that divide each group further, outer first, each by its own ``by`` columns.

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
    levels = [Level(mix, None)] if mix is not None else []
    if balance is not None:
        levels.append(Level(balance, getattr(balance, "by", None) or _all_names(counts)))
    levels += [Level(rule, rule.by) for rule in within]  # type: ignore[attr-defined]
    if not levels:
        levels = [Level(_keep_shares(), _all_names(counts))]
    targets = [0] * len(counts)
    _divide(counts, range(len(counts)), rows, levels, targets)
    return [
        Allocated(c.source, c.values, c.rows, target)
        for c, target in zip(counts, targets, strict=True)
    ]


def _all_names(counts: Sequence[Available]) -> list[str]:
    return list(counts[0].values) if counts else []


def _divide(
    counts: Sequence[Available],
    members: Sequence[int],
    rows: int | None,
    levels: Sequence[Level],
    targets: list[int],
) -> None:
    """Write the targets of some counts, which share a budget, by the levels' rules in turn."""
    if not levels:
        available = [counts[i].rows for i in members]
        shared = sum(available) if rows is None else rows
        for i, target in zip(members, largest_remainder(shared, available), strict=True):
            targets[i] = target
        return
    level, below = levels[0], levels[1:]
    parts = _parts(counts, members, level)
    groups = [
        Group(dict(values), sum(counts[i].rows for i in own), _most(counts, own, below))
        for values, own in parts.items()
    ]
    budgets = function_of("allocate", level.rule)(groups, rows, level.rule)
    for own, budget in zip(parts.values(), budgets, strict=True):
        # Nearly every group has one source here; there may be 100,000 of them.
        if below or len(own) > 1:
            _divide(counts, own, budget, below, targets)
        elif counts[own[0]].rows:
            targets[own[0]] = budget


def _parts(
    counts: Sequence[Available], members: Sequence[int], level: Level
) -> dict[tuple[tuple[str, Value], ...], list[int]]:
    parts: dict[tuple[tuple[str, Value], ...], list[int]] = {}
    for i in members:
        parts.setdefault(tuple(level.values(counts[i]).items()), []).append(i)
    return parts


def _most(
    counts: Sequence[Available], members: Sequence[int], levels: Sequence[Level]
) -> int | None:
    """The most rows that some counts can give under the rules below; None where nothing limits."""
    if not levels or not isinstance(levels[0].rule, RuleOptions):
        return None
    groups = [
        Group(dict(values), sum(counts[i].rows for i in own), _most(counts, own, levels[1:]))
        for values, own in _parts(counts, members, levels[0]).items()
    ]
    caps = levels[0].rule.caps(groups)
    if any(cap is None for cap in caps):
        return None
    return sum(cap for cap in caps if cap is not None)


def _keep_shares() -> MethodOptions:
    return Proportional(method="proportional", max_epochs=None, min_rows=0)
