"""What pruning dropped rows as: duplicates first, then what its methods call them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

DUPLICATE = "duplicate"


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
    pruned = result.get("pruned") or [{"dropped": result.get("matches") or 0}]
    found = {DUPLICATE: 0}
    for step in pruned:
        fate = step.get("fate", DUPLICATE)
        found[fate] = found.get(fate, 0) + step["dropped"]
    return found


def in_words(fate: str) -> str:
    """What rows of a fate are called in a table."""
    return "duplicates" if fate == DUPLICATE else fate
