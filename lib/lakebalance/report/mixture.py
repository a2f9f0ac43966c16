"""The mixture: for each source what there is, its share before and after, and what repeats give."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import yaml

from lakebalance.core.repetition import next_value, r_star_of
from lakebalance.core.split import TRAIN
from lakebalance.report.charts import MOST_BARS, Spread, spread
from lakebalance.report.parts import Label, Part, per_source


@dataclass(frozen=True)
class Line:
    """A source: ``next_worth`` is what a row of its next epoch is worth, None where it has none."""

    label: Label
    available: int
    after: int
    epochs: float
    next_worth: float | None
    heavy: bool


@dataclass(frozen=True)
class Others:
    """The sources without a line, summed up."""

    number: int
    available: int
    after: int
    epochs: Spread
    next_worth: Spread | None


@dataclass(frozen=True)
class Mixture:
    """Lines of the sources that give most, all others, and the sums that shares are of."""

    lines: Sequence[Line]
    others: Others | None
    available: int
    after: int
    most_epochs: float
    most_share: float
    r_star: float


def mixture(
    result: Mapping[str, Any], sources: Sequence[Part], most: int = MOST_BARS
) -> Mixture | None:
    """What is mixed; None where there is one source, or none.

    Parameters
    ----------
    result : a run as ``run --json`` prints it; its recipe may say R* of the law of repetition.
    sources : its sources, in any order; ties keep it.
    most : the most lines.

    Examples
    --------
    >>> parts = [Part((), n, n, 30) for n in (10, 500, 20)]
    >>> found = mixture({}, parts, most=1)
    >>> found.lines[0].epochs, round(found.lines[0].next_worth, 3), found.others.available
    (3.0, 0.878, 520)
    """
    if len(sources) < 2:
        return None
    return _mixed(sources, _r_star(result), most)


MOST_OF_A_PHASE = 12
ALL_PHASES = "all phases together"


def phase_mixtures(result: Mapping[str, Any]) -> list[tuple[str, Mixture]]:
    """The mixture of each phase by its name, and of all together; none where there is no phase.

    Parameters
    ----------
    result : a run as ``run --json`` prints it.
    """
    named = [("balanced", "", result.get("groups") or [])]
    named += [
        (str(output["name"]), str(output["name"]), output["groups"])
        for output in result.get("outputs") or []
        if output["part"] == TRAIN
    ]
    phases = [(shown_as, name, per_source(groups)) for shown_as, name, groups in named]
    if len(phases) < 2 or len(phases[0][2]) < 2:
        return []
    found = [
        (shown_as, _mixed(parts, _r_star(result, name), MOST_OF_A_PHASE))
        for shown_as, name, parts in phases
    ]
    together = _together([parts for *_, parts in phases])
    return [*found, (ALL_PHASES, _mixed(together, _r_star(result), MOST_OF_A_PHASE))]


def _together(phases: Sequence[Sequence[Part]]) -> list[Part]:
    """The sources with what all phases show of them."""
    after: Counter[Label] = Counter()
    synthetic: Counter[Label] = Counter()
    for part in (part for parts in phases for part in parts):
        after[part.label] += part.after
        synthetic[part.label] += part.synthetic
    return [
        replace(part, after=after[part.label], synthetic=synthetic[part.label])
        for part in phases[0]
    ]


def _mixed(sources: Sequence[Part], r_star: float, most: int) -> Mixture:
    lines = [_line(part, r_star) for part in sources]
    # One more than there is room for is shown too: "1 other source" would take its place.
    room = most if len(lines) > most + 1 else len(lines)
    order = heapq.nlargest(room, range(len(lines)), key=lambda i: (lines[i].after, -i))
    shown, taken = [lines[i] for i in order], set(order)
    rest = [line for i, line in enumerate(lines) if i not in taken]
    available, after = sum(x.available for x in lines), sum(x.after for x in lines)
    shares = [max(x.available / max(available, 1), x.after / max(after, 1)) for x in shown]
    return Mixture(
        shown,
        _others(rest) if rest else None,
        available,
        after,
        max((x.epochs for x in shown), default=0.0),
        max(shares, default=0.0),
        r_star,
    )


def _line(part: Part, r_star: float) -> Line:
    worth = None
    if part.available:
        worth = next_value(part.available, part.after - part.synthetic, r_star)
    return Line(part.label, part.available, part.after, part.epochs, worth, part.heavy)


def _others(lines: Sequence[Line]) -> Others:
    worths = [line.next_worth for line in lines if line.next_worth is not None]
    return Others(
        len(lines),
        sum(line.available for line in lines),
        sum(line.after for line in lines),
        spread([line.epochs for line in lines]),
        spread(worths) if worths else None,
    )


def _rules(result: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The rules of the tables of a run by their names, as far as its recipe can be read."""
    try:
        recipe = yaml.safe_load(result.get("recipe") or "")
    except yaml.YAMLError:
        return {}
    if not isinstance(recipe, dict):
        return {}
    phases = recipe.get("phases")
    named = [("", recipe.get("allocate")), *((p.get("name"), p) for p in _mappings(phases))]
    return {str(name): rules for name, rules in named if isinstance(rules, dict)}


def _mappings(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _r_star(result: Mapping[str, Any], phase: str = "") -> float:
    """R* as the recipe has it for a phase, the balanced table where there is no name."""
    return r_star_of(_rules(result).get(phase, {}))
