"""What pruning dropped rows as: duplicates first, then what its methods call them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

DUPLICATE = "duplicate"


def steps(result: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """What each method dropped; of all together where a result has no more than their number."""
    return result.get("pruned") or [{"method": "", "dropped": result.get("matches") or 0}]


def dropped_by_fate(result: Mapping[str, Any]) -> dict[str, int]:
    """Rows that pruning dropped by their fate; duplicates first, even where there are none.

    Parameters
    ----------
    result : a run or plan as ``--json`` prints it; runs of earlier releases have no fates.

    Examples
    --------
    >>> dropped_by_fate({"pruned": [{"method": "enn", "dropped": 7, "fate": "cleaned"}]})
    {'duplicate': 0, 'cleaned': 7}
    """
    found = {DUPLICATE: 0}
    for step in steps(result):
        fate = fate_of(step)
        found[fate] = found.get(fate, 0) + step["dropped"]
    return found


def fate_of(step: Mapping[str, Any]) -> str:
    """What a pruning step dropped rows as; steps of earlier releases do not say it."""
    fate: str = step.get("fate", DUPLICATE)
    return fate


def in_words(fate: str) -> str:
    """What rows of a fate are called in a table."""
    return "duplicates" if fate == DUPLICATE else fate
