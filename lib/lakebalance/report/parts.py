"""Rows before and after, merged per source, per group, or for each group of each source."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from lakebalance.report.values import Shown, group_label, shown

HEAVY_EPOCHS = 4
Label = tuple[Shown, ...]


@dataclass(frozen=True)
class Part:
    """Some rows: before anything, left after gates and pruning, targeted, and new among those."""

    label: Label
    before: int
    available: int
    after: int
    source: Shown | None = None
    synthetic: int = 0

    @property
    def epochs(self) -> float:
        """How often a row is seen on average, not counting what was made from it."""
        return (self.after - self.synthetic) / self.available if self.available else 0.0

    @property
    def heavy(self) -> bool:
        """Whether its rows repeat so often that a model may learn them by heart."""
        return self.epochs > HEAVY_EPOCHS


@dataclass(frozen=True)
class Balance:
    """How even parts are; parts of 0 rows are counted apart."""

    largest: int | None
    smallest: int | None
    empty: int
    effective: float


def recorded(result: Mapping[str, Any]) -> dict[str, Any]:
    """The parts of a result that have a value: null in JSON is as good as missing."""
    return {name: part for name, part in result.items() if part is not None}


def per_source(groups: Iterable[Mapping[str, Any]]) -> list[Part]:
    """One part per source, in the order of the plan."""
    return _merged(groups, lambda g: g.get("source"), lambda g: (shown(g.get("source")),))


def per_group(groups: Iterable[Mapping[str, Any]]) -> list[Part]:
    """One part per group, whatever source its rows come from."""
    return _merged(
        groups, lambda g: json.dumps(g["group"], default=str), lambda g: group_label(g["group"])
    )


def per_both(groups: Iterable[Mapping[str, Any]]) -> list[Part]:
    """One part for each group of each source: what the allocation decides on."""
    return [
        Part(
            group_label(g["group"]),
            _before(g),
            g["available"],
            g["target"],
            shown(g.get("source")),
            g.get("synthetic") or 0,
        )
        for g in groups
    ]


def balance(sizes: Iterable[int]) -> Balance:
    """How even some sizes are.

    ``effective`` is e to the entropy of the shares: as many equally large groups would be as even.

    Examples
    --------
    >>> balance([50, 50, 0])
    Balance(largest=50, smallest=50, empty=1, effective=2.0)
    """
    known = list(sizes)
    filled = [n for n in known if n > 0]
    total = sum(filled)
    entropy = -math.fsum(n / total * math.log(n / total) for n in filled)
    effective = round(math.exp(entropy), 6) if filled else 0.0
    return Balance(
        max(filled, default=None), min(filled, default=None), len(known) - len(filled), effective
    )


def _merged(
    groups: Iterable[Mapping[str, Any]],
    key_of: Callable[[Mapping[str, Any]], Any],
    label_of: Callable[[Mapping[str, Any]], Label],
) -> list[Part]:
    sums: dict[Any, tuple[Mapping[str, Any], list[int]]] = {}
    for g in groups:
        _, counts = sums.setdefault(key_of(g), (g, [0, 0, 0, 0]))
        counted = (_before(g), g["available"], g["target"], g.get("synthetic") or 0)
        for i, n in enumerate(counted):
            counts[i] += n
    return [Part(label_of(g), n[0], n[1], n[2], None, n[3]) for g, n in sums.values()]


def _before(group: Mapping[str, Any]) -> int:
    rows = group.get("rows")
    return int(group["available"] if rows is None else rows)
