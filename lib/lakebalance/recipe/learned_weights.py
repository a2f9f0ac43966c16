"""Weights of a mixture that were learned elsewhere: JSON files beside a recipe."""

from __future__ import annotations

import json
from typing import Any

DOREMI = "train_domain_weights"  # where DoReMi's configurations hold them


def learned_weights(text: str) -> dict[str, float]:
    """Shares by group: a JSON object of numbers, or DoReMi's configuration, which has one.

    Parameters
    ----------
    text : the file's text.

    Raises
    ------
    ValueError : it is no such object, or a group is there twice.

    Examples
    --------
    >>> learned_weights('{"web": 0.75, "books": 0.25}')
    {'web': 0.75, 'books': 0.25}
    """
    found = json.loads(text, object_pairs_hook=_each_once)
    if isinstance(found, dict) and isinstance(found.get(DOREMI), dict):
        found = found[DOREMI]
    if not isinstance(found, dict):
        raise ValueError(f"must be an object of groups and shares; there was {str(found)[:40]}")
    for name, share in found.items():
        if isinstance(share, bool) or not isinstance(share, int | float):
            raise ValueError(f'the share of "{name}" must be a number; there was {share!r}')
    return found


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f'"{name}" is there twice')
        found[name] = value
    return found
