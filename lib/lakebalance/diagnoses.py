"""What the rules of a recipe have to say about the groups that they shared rows over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from lakebalance.allocate.advice import advise, diagnose_advice
from lakebalance.allocate.repetition import TITLE, diagnose_repetition, shown_name
from lakebalance.allocate.rules import Group
from lakebalance.core.diagnostics import Diagnostic
from lakebalance.core.registry import MethodOptions, method_of
from lakebalance.core.repetition import r_star_of
from lakebalance.plans import PlannedGroup
from lakebalance.recipe.rules import Rules


def diagnoses_of(rules: Rules, planned: Sequence[PlannedGroup]) -> list[dict[str, Any]]:
    """The diagnostics of each rule, in the recipe's order, and of repetition, as JSON."""
    found: list[Diagnostic] = []
    for rule in (rules.mix, rules.balance, *rules.within):
        if rule is None:
            continue
        diagnose = method_of("allocate", rule).diagnose
        if diagnose is not None:
            groups, targets = _groups_of(rule, planned)
            found += diagnose(groups, targets, rule)
    told = any(diagnostic.title == TITLE for diagnostic in found)
    found += _repetition(planned, rules.mix is not None, r_star_in(rules), told)
    return [diagnostic.to_dict() for diagnostic in found]


ALL_PHASES = "all phases"


def diagnoses_of_phases(
    phases: Sequence[tuple[str, Rules, Sequence[PlannedGroup]]],
) -> list[dict[str, Any]]:
    """Of repetition in each phase but the first, and in all of them together, as JSON.

    Trained on one after the other, phases show a row as often as the sum of what each does; so what
    repeats are worth, and whether to weigh rows, is a question to all of them.

    Parameters
    ----------
    phases : name, rules and groups of each in order, the balanced table's first; all of the same
        groups. ``diagnoses_of`` has said of the first alone what there is to say.
    """
    if len(phases) < 2:
        return []
    found: list[Diagnostic] = []
    for name, rules, planned in phases[1:]:
        own = _repetition(planned, rules.mix is not None, r_star_in(rules), told=False)
        found += [replace(diagnostic, title=f"{name}: {diagnostic.title}") for diagnostic in own]
    together = [
        replace(
            same[0], target=sum(g.target for g in same), synthetic=sum(g.synthetic for g in same)
        )
        for same in zip(*[planned for *_, planned in phases], strict=True)
    ]
    mixed = any(rules.mix is not None for _, rules, _ in phases)
    own = _repetition(together, mixed, r_star_in(phases[0][1]), told=False)
    found += [replace(diagnostic, title=f"{ALL_PHASES}: {diagnostic.title}") for diagnostic in own]
    return [diagnostic.to_dict() for diagnostic in found]


def r_star_in(rules: Rules) -> float:
    """R* of the law of repetition, as the rules of a table have it."""
    return r_star_of({"mix": rules.mix, "balance": rules.balance})


def _repetition(
    planned: Sequence[PlannedGroup], mixed: bool, r_star: float, told: bool
) -> list[Diagnostic]:
    """What repeated rows are worth, and whether to weigh them instead; nothing without repeats.

    ``mixed`` says that there is a mixture, ``told`` that a rule has said already what they are
    worth.
    """
    if not any(group.target - group.synthetic > group.available > 0 for group in planned):
        return []
    tables, advice = [], []
    for level in _levels(planned, mixed):
        one = advise(level.available, level.rows, r_star)
        if one is not None:
            most = one.most_repeated
            name = shown_name(Group(level.values[most], level.available[most]))
            advice.append((level.over, name, one))
            if not told:
                tables.append(_of_repeated(level, r_star))
    return [*tables, diagnose_advice(advice)] if advice else tables


@dataclass(frozen=True)
class _Level:
    """Sources, or groups: what they are called, what there is of them, and what is seen."""

    over: str
    values: Sequence[dict[str, Any]]
    available: Sequence[int]
    rows: Sequence[int]


def _of_repeated(level: _Level, r_star: float) -> Diagnostic:
    """What the rows of the groups are worth that are seen more than once on average."""
    repeated = [i for i, (n, rows) in enumerate(zip(level.available, level.rows, strict=True))
                if rows > n > 0]  # fmt: skip
    groups = [Group(level.values[i], level.available[i]) for i in repeated]
    table = diagnose_repetition(groups, [level.rows[i] for i in repeated], r_star)
    others = len(level.rows) - len(repeated)
    left_out = f" {others:,} groups that are not repeated are left out." if others else ""
    return replace(table, note=table.note + left_out)


def _levels(planned: Sequence[PlannedGroup], mixed: bool) -> list[_Level]:
    """The sources of a mixture, and the groups in which rows are repeated alike.

    A mixture has groups of each source by themselves; without one, all sources of a group are
    repeated alike.
    """
    sources = [{"source": group.source} for group in planned]
    grouped = any(group.group for group in planned)
    levels = [_merged("sources", sources, planned)] if mixed or not grouped else []
    if grouped and mixed:
        own = [{"source": group.source, **group.group} for group in planned]
        levels.append(_unmerged("groups of each source", own, planned))
    elif grouped:
        one = len({group.source for group in planned}) == 1
        level = _unmerged if one else _merged
        levels.append(level("groups", [group.group for group in planned], planned))
    return levels


def _unmerged(
    over: str, values: Sequence[dict[str, Any]], planned: Sequence[PlannedGroup]
) -> _Level:
    rows = [group.target - group.synthetic for group in planned]
    return _Level(over, values, [group.available for group in planned], rows)


def _merged(over: str, values: Sequence[dict[str, Any]], planned: Sequence[PlannedGroup]) -> _Level:
    place: dict[str, int] = {}
    first: list[dict[str, Any]] = []
    available: list[int] = []
    rows: list[int] = []
    for own, group in zip(values, planned, strict=True):
        at = place.setdefault(repr(tuple(own.values())), len(first))
        if at == len(first):
            first.append(own)
            available.append(0)
            rows.append(0)
        available[at] += group.available
        rows[at] += group.target - group.synthetic
    return _Level(over, first, available, rows)


def _groups_of(
    rule: MethodOptions, planned: Sequence[PlannedGroup]
) -> tuple[list[Group], list[int]]:
    """The groups of a rule over all sources, or the sources of a mixture, with their targets."""
    sums: dict[str, tuple[dict[str, Any], list[int]]] = {}
    for group in planned:
        by = rule.by  # type: ignore[attr-defined]
        values = {"source": group.source} if by == "source" else {n: group.group[n] for n in by}
        _, counts = sums.setdefault(repr(values), (values, [0, 0]))
        counts[0] += group.available
        counts[1] += group.target
    groups = [Group(values, available) for values, (available, _) in sums.values()]
    return groups, [target for _, (_, target) in sums.values()]
