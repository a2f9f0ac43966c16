"""Nests rules: a mixture shares the budget over sources, a balance each part over its groups."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from lakebalance.allocate.proportional import Proportional
from lakebalance.allocate.rounding import InfeasibleBudget, largest_remainder
from lakebalance.allocate.rules import Group, RuleOptions, Value
from lakebalance.core.errors import RecipeError
from lakebalance.core.registry import MethodOptions, function_of

Rule = Callable[[Sequence[Group], int | None, MethodOptions], list[int]]


@dataclass(frozen=True, slots=True)
class Available:
    """Rows available in one group of one source."""

    source: str
    values: Mapping[str, Value]
    rows: int


@dataclass(frozen=True, slots=True)
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

    @property
    def names(self) -> Sequence[str]:
        """What tells this level's groups apart."""
        return ["source"] if self.by is None else self.by

    def values(self, part: Available) -> tuple[Value, ...]:
        """The group of this level that rows belong to, as values of ``names``."""
        if self.by is None:
            return (part.source,)
        return tuple([part.values[name] for name in self.by])


def allocate(
    counts: Sequence[Available],
    rows: int | None,
    mix: MethodOptions | None,
    balance: MethodOptions | None,
    within: Sequence[MethodOptions] = (),
    sources: Sequence[str] = (),
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
    sources : all that there are; the mixture knows those that have no rows today, too.

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
    parts = _parts(counts, range(len(counts)), levels)
    if mix is not None:
        there = {group.values["source"] for group in parts.groups}
        for name in [name for name in sources if name not in there]:
            parts.groups.append(Group({"source": name}, 0, 0))
    _divide(counts, parts, rows, levels, targets)
    return [
        Allocated(c.source, c.values, c.rows, target)
        for c, target in zip(counts, targets, strict=True)
    ]


def _all_names(counts: Sequence[Available]) -> list[str]:
    return list(counts[0].values) if counts else []


@dataclass(frozen=True)
class _Parts:
    """What a level's rule sees as groups: the counts in each, and the parts that it has below."""

    groups: list[Group]
    members: list[list[int]]
    below: list[_Parts]


def _parts(counts: Sequence[Available], members: Sequence[int], levels: Sequence[Level]) -> _Parts:
    """What each level makes groups of, outer first."""
    found: dict[tuple[Value, ...], list[int]] = {}
    level, names, inner = levels[0], levels[0].names, levels[1:]
    for i in members:
        found.setdefault(level.values(counts[i]), []).append(i)
    owned = list(found.values())
    below = [_parts(counts, own, inner) for own in owned] if inner else []
    caps = [_most(parts.groups, inner[0]) for parts in below] if inner else [None] * len(owned)
    groups = [
        Group(dict(zip(names, values, strict=True)), sum([counts[i].rows for i in own]), cap)
        for (values, own), cap in zip(found.items(), caps, strict=True)
    ]
    return _Parts(groups, owned, below)


def _most(groups: Sequence[Group], level: Level) -> int | None:
    """The most rows that groups can give under a level's rule; None where nothing limits."""
    if not isinstance(level.rule, RuleOptions):
        return None
    caps = level.rule.caps(groups)
    known = [cap for cap in caps if cap is not None]
    return sum(known) if len(known) == len(caps) else None


def _divide(
    counts: Sequence[Available],
    parts: _Parts,
    rows: int | None,
    levels: Sequence[Level],
    targets: list[int],
) -> None:
    """Write the targets of the counts in some parts, which share a budget, by the levels' rules."""
    rule = levels[0].rule
    budgets = function_of("allocate", rule)(parts.groups, rows, rule)
    if parts.below:
        # Sources without rows come last, with nothing below them.
        for group, part, budget in zip(parts.groups, parts.below, budgets, strict=False):
            with _inside(group):
                _divide(counts, part, budget, levels[1:], targets)
        return
    for own, budget in zip(parts.members, budgets, strict=False):
        # Nearly every group has one source here; there may be 100,000 of them.
        available = [counts[i].rows for i in own]
        shared = [budget] if len(own) == 1 else largest_remainder(budget, available)
        for i, n, target in zip(own, available, shared, strict=True):
            targets[i] = target if n else 0


@contextmanager
def _inside(group: Group) -> Iterator[None]:
    """Say of an error in which group it is."""
    where = "in " + ", ".join(f'{name} "{value}"' for name, value in group.values.items())
    try:
        yield
    except InfeasibleBudget as error:
        # Braces that came with values are no places for amounts.
        where = where.replace("{", "{{").replace("}", "}}") if error.amounts else where
        raise InfeasibleBudget(f"{where}: {error.said}", error.amounts) from error
    except RecipeError as error:
        raise type(error)(f"{where}: {error}") from error


def _keep_shares() -> MethodOptions:
    return Proportional(method="proportional", max_epochs=None, min_rows=0)
