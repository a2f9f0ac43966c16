"""What the rules of a recipe have to say about the groups that they shared rows over."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lakebalance.allocate.rules import Group
from lakebalance.core.registry import MethodOptions, method_of
from lakebalance.plans import PlannedGroup
from lakebalance.recipe.models import Allocate


def diagnoses_of(rules: Allocate, planned: Sequence[PlannedGroup]) -> list[dict[str, Any]]:
    """The diagnostics of each rule, in the recipe's order, as JSON holds them."""
    found: list[dict[str, Any]] = []
    for rule in (rules.mix, rules.balance, *rules.within):
        if rule is None:
            continue
        diagnose = method_of("allocate", rule).diagnose
        if diagnose is not None:
            groups, targets = _groups_of(rule, planned)
            found += [diagnostic.to_dict() for diagnostic in diagnose(groups, targets, rule)]
    return found


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
