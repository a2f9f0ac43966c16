"""What rows are worth that are seen again: the law of data-constrained scaling."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

# R*, as fitted to language models of 7 million to 9 billion parameters on text (appendix A).
R_STAR = 15.387756


def effective_rows(available: int, rows: float, r_star: float = R_STAR) -> float:
    """Rows never seen before that would be worth as much as these, some of them repeats.

    D' = U + U · R* · (1 - e^(-R / R*)), where the U rows available are repeated R = rows / U - 1
    times; within the first epoch, the rows themselves.

    Parameters
    ----------
    available : U, the rows there are.
    rows : how many are seen, repeats counted.
    r_star : R* > 0, the repeats after which a row is worth 1/e of a new one.

    References
    ----------
    Muennighoff et al., "Scaling Data-Constrained Language Models", NeurIPS 2023, equation 5.

    Examples
    --------
    >>> [round(effective_rows(100, 100 * e) / (100 * e), 3) for e in (1, 2, 4, 8, 16, 40)]
    [1.0, 0.984, 0.931, 0.828, 0.661, 0.379]
    """
    if rows <= available:
        return float(rows)
    repeats = rows / available - 1
    return available * (1 - r_star * math.expm1(-repeats / r_star))


def next_value(available: int, rows: float, r_star: float = R_STAR) -> float:
    """What the next row is worth, in rows never seen before: e^(-R / R*), 1 in the first epoch.

    Examples
    --------
    >>> [round(next_value(100, 100 * e), 3) for e in (0.5, 1, 4, 16)]
    [1.0, 1.0, 0.823, 0.377]
    """
    return math.exp(-(rows / available - 1) / r_star) if rows > available else 1.0


def r_star_of(rules: Mapping[str, Any]) -> float:
    """R* as the rules of a table have it, the mixture's first; else as it was fitted to text.

    Parameters
    ----------
    rules : ``mix`` and ``balance``, where there are any: options, or what JSON has of them.

    Examples
    --------
    >>> r_star_of({"mix": {"method": "data_constrained", "r_star": 5}}), r_star_of({"mix": None})
    (5.0, 15.387756)
    """
    for name in ("mix", "balance"):
        rule = rules.get(name)
        own = rule.get("r_star") if isinstance(rule, Mapping) else getattr(rule, "r_star", None)
        if isinstance(own, int | float) and math.isfinite(own) and own > 0:
            return float(own)
    return R_STAR
