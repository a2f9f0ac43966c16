"""The headline: what a reader of a model card wants to know first."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from lakebalance.report.flow import rows_published, rows_read
from lakebalance.report.parts import HEAVY_EPOCHS, Balance, Part, balance


@dataclass(frozen=True)
class EpochClass:
    """Groups whose rows are seen about as often."""

    name: str
    groups: int
    rows: int


@dataclass(frozen=True)
class Facts:
    """Numbers of the whole run."""

    before: int
    planned: int
    after: int
    published: bool
    groups: int
    sources: int
    by: list[str]
    balance_before: Balance
    balance_after: Balance
    heavy: int
    heavy_rows: int
    most_repeated: Part | None
    sampler: str


def facts(result: Mapping[str, Any], groups: Sequence[Part], both: Sequence[Part]) -> Facts:
    """Sum a run up.

    Parameters
    ----------
    result : a run or plan as ``--json`` prints it.
    groups : its groups over all sources.
    both : each group of each source.
    """
    published = rows_published(result)
    planned = result.get("rows")
    planned = sum(part.after for part in groups) if planned is None else planned
    entries = result.get("groups", [])
    heavy = [part for part in both if part.heavy]
    return Facts(
        before=rows_read(result),
        planned=planned,
        after=planned if published is None else published,
        published=published is not None,
        groups=len(groups),
        sources=len(result.get("sources") or {g.get("source") for g in entries}),
        by=list(entries[0]["group"]) if entries else [],
        balance_before=balance(part.before for part in groups),
        balance_after=balance(part.after for part in groups),
        heavy=len(heavy),
        heavy_rows=sum(part.after for part in heavy),
        most_repeated=max(both, key=lambda part: part.epochs, default=None),
        sampler=sampler_of(result),
    )


def epoch_classes(both: Sequence[Part]) -> list[EpochClass]:
    """Groups and output rows by how often their rows are seen; classes without groups left out."""
    classes: dict[str, Callable[[float], bool]] = {
        "0: not used": lambda e: e == 0,
        "under 1: sampled down": lambda e: 0 < e < 1,
        "1: each row once": lambda e: e == 1,
        f"over 1, up to {HEAVY_EPOCHS}: repeated": lambda e: 1 < e <= HEAVY_EPOCHS,
        f"over {HEAVY_EPOCHS}: heavy repetition": lambda e: e > HEAVY_EPOCHS,
    }
    found = [(name, [p for p in both if holds(p.epochs)]) for name, holds in classes.items()]
    return [
        EpochClass(name, len(inside), sum(p.after for p in inside))
        for name, inside in found
        if inside
    ]


def sampler_of(result: Mapping[str, Any]) -> str:
    """The sampling method that the recipe names; ``repeat`` is the recipe's own default."""
    try:
        recipe = yaml.safe_load(result.get("recipe") or "")
        return str(recipe["sample"]["method"])
    except (yaml.YAMLError, TypeError, KeyError):
        return "repeat"
