"""Gates of fairness: how far groups are apart in an outcome, or from their shares of a population.

Knows no Spark: what it sees of each group is how many rows have which outcome and prediction. Such
counts of parts of the rows add up to those of all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from lakebalance.core.counts import in_order
from lakebalance.core.diagnostics import Cell, Diagnostic
from lakebalance.core.labels import group_text, readable
from lakebalance.expect.verdicts import LINES, Measured, Verdict, named
from lakebalance.recipe.fairness import RATIOS, ColumnIs, Fairness

NOT_COMPARED = "fairness_not_compared"
TRUE_POSITIVES, FALSE_POSITIVES = "true positive rate", "false positive rate"

# The group's values, whether a row has the outcome and the prediction (None: nobody knows), rows.
Entry = tuple[Mapping[str, Any], bool | None, bool | None, int]
# By a group's name, or by its name and its text.
Reference = Mapping[str, int | Fraction] | Mapping[tuple[str, str], int | Fraction]


@dataclass(frozen=True)
class Tally:
    """A group's rows by outcome and prediction."""

    group: Mapping[str, Any]
    counts: Mapping[tuple[bool | None, bool | None], int]

    @property
    def rows(self) -> int:
        """All rows of the group."""
        return sum(self.counts.values())

    @property
    def text(self) -> str:
        """The group, for reports."""
        return group_text(self.group)

    @property
    def name(self) -> str:
        """The group as recipes write it."""
        values = [readable(value) or value for value in self.group.values()]
        return "/".join("null" if value is None else str(value) for value in values)

    def with_(self, outcome: bool | None) -> int:
        """Rows with an outcome, whatever is predicted."""
        return sum(n for (own, _), n in self.counts.items() if own is outcome)

    @property
    def outcome(self) -> Rate:
        """The share of rows with the favourable outcome, of those whose outcome is known."""
        return Rate(self.text, self.with_(True), self.with_(True) + self.with_(False))

    def predicted(self, outcome: bool) -> Rate:
        """The share of rows predicted to be favourable, of those with an outcome."""
        yes, no = (self.counts.get((outcome, predicted), 0) for predicted in (True, False))
        return Rate(self.text, yes, yes + no)


@dataclass(frozen=True)
class Rate:
    """A part of a group's rows."""

    group: str
    part: int
    whole: int

    @property
    def share(self) -> Fraction:
        """The part of the whole, exactly; the whole is not 0."""
        return Fraction(self.part, self.whole)


def tallied(entries: Iterable[Entry]) -> list[Tally]:
    """The rows of each group, in order of the groups' values.

    Parameters
    ----------
    entries : counts, of which several may be of one group.

    Examples
    --------
    >>> one, = tallied([({"g": 1}, True, None, 3), ({"g": 1}, False, None, 2)])
    >>> one.outcome.share
    Fraction(3, 5)
    """
    groups: dict[str, Mapping[str, Any]] = {}
    counts: dict[str, Counter[tuple[bool | None, bool | None]]] = {}
    for group, outcome, predicted, rows in entries:
        key = repr(list(group.items()))
        groups.setdefault(key, group)
        counts.setdefault(key, Counter())[outcome, predicted] += rows
    found = [Tally(groups[key], own) for key, own in counts.items()]
    return sorted(found, key=lambda tally: in_order(tally.group))


def fairness(
    gate: Fairness,
    tallies: Sequence[Tally],
    when: str,
    reference: Reference | None = None,
    size: int = 1,
) -> Measured:
    """Compare groups of rows in their rates of an outcome, or with their shares of a population.

    With r the share of a group's rows that have the favourable outcome: the demographic parity
    difference is max r - min r, the disparate impact ratio min r / max r. The equalised odds
    difference is the larger one of max - min of the true positive rates, of rows with the outcome,
    and max - min of the false positive rates, of rows without it. Representation is the least of a
    group's share of the rows over its share of the reference, among groups that the reference has.
    All is worked out in fractions, so that no threshold is missed by rounding.

    Parameters
    ----------
    gate : the groups, the measure and its threshold.
    tallies : the rows of each group.
    when : ``before`` or ``after``, for the title.
    reference : for representation, how many of the population are in each group, by its name, or
        by its name and its text.
    size : how many of what is counted are a row; of weights, they are parts of one.

    Returns
    -------
    The verdict, and the groups, the worst first.

    References
    ----------
    Agarwal and others, "A reductions approach to fair classification", 2018, for parity and odds;
    Hardt and others, "Equality of opportunity in supervised learning", 2016; Feldman and others,
    "Certifying and removing disparate impact", 2015, and 29 CFR 1607.4 D for four fifths.

    Examples
    --------
    >>> gate = Fairness(groups=["g"], measure="disparate_impact_ratio", outcome="hired")
    >>> groups = [({"g": "a"}, True, None, 30), ({"g": "a"}, False, None, 70),
    ...           ({"g": "b"}, True, None, 60), ({"g": "b"}, False, None, 40)]
    >>> fairness(gate, tallied(groups), "before").verdict.number
    0.5
    """
    least = gate.min_rows * size
    if gate.measure == "representation":
        compared = _represented(tallies, reference or {}, least, size)
    elif gate.measure == "equalized_odds_difference":
        compared = _odds(tallies, least, size)
    else:
        compared = _parity(gate, tallies, least, size)
    return _judged(gate, when, _rows(sum(tally.rows for tally in tallies), size), compared)


def title(gate: Fairness, when: str) -> str:
    """A gate as reports show it."""
    parts: list[str] = [gate.measure]
    if gate.outcome is not None:
        parts.append(f"of {_condition(gate.outcome)}")
    if gate.prediction is not None:
        parts.append(f"predicted by {_condition(gate.prediction)}")
    return f"{' '.join(parts)} over {', '.join(gate.groups)} {when} balance"


def _condition(rows: ColumnIs | str) -> str:
    return rows if isinstance(rows, str) else f"{rows.column} = {rows.value}"


@dataclass(frozen=True)
class Compared:
    """The number of a measure and what it is of; its lines, and what there is to say besides."""

    number: Fraction | None
    worst: str
    columns: Sequence[str]
    lines: Sequence[Sequence[Cell]]
    notes: Sequence[str]


def _parity(gate: Fairness, tallies: Sequence[Tally], least: int, size: int) -> Compared:
    rates = [tally.outcome for tally in tallies]
    known = sorted((r for r in rates if r.whole), key=lambda r: (r.share, r.group))
    judged = [rate for rate in known if rate.whole >= least]
    ratio = gate.measure in RATIOS
    number = worst = None
    if len(judged) > 1:
        number = _ratio(judged) if ratio else _difference(judged)
        worst = _ends(judged, size)
    highest = judged[-1].share if judged else Fraction(0)
    lines = [
        [
            rate.group,
            _rows(rate.whole, size),
            _rows(rate.part, size),
            float(rate.share),
            float(rate.share / highest if ratio and highest else highest - rate.share),
            "yes" if rate in judged else "no",
        ]
        for rate in [*judged, *[rate for rate in known if rate not in judged]]
    ]
    of_highest = "of the highest" if ratio else "under the highest"
    columns = ["group", "rows", "favourable", "rate", of_highest, "judged"]
    small = [rate.group for rate in rates if rate.whole < least]
    unknown = _rows(sum(tally.with_(None) for tally in tallies), size)
    return Compared(number, worst or "", columns, lines, [_small(small, gate), _unknown(unknown)])


def _difference(rates: Sequence[Rate]) -> Fraction:
    return rates[-1].share - rates[0].share


def _ratio(rates: Sequence[Rate]) -> Fraction:
    """Where no group has the outcome at all, none has it more seldom than another."""
    return rates[0].share / rates[-1].share if rates[-1].part else Fraction(1)


def _ends(rates: Sequence[Rate], size: int) -> str:
    said = [f"{r.group} {float(r.share):.1%} of {_rows(r.whole, size):,} rows" for r in rates]
    return f"{said[0]}, {said[-1]}"


def _odds(tallies: Sequence[Tally], least: int, size: int) -> Compared:
    found: list[tuple[Fraction, str]] = []
    for name, outcome in ((TRUE_POSITIVES, True), (FALSE_POSITIVES, False)):
        rates = [tally.predicted(outcome) for tally in tallies]
        enough = [rate for rate in rates if rate.whole and rate.whole >= least]
        judged = sorted(enough, key=lambda rate: (rate.share, rate.group))
        if len(judged) > 1:
            found.append((_difference(judged), f"{name} of {_ends(judged, size)}"))
    number, worst = max(found, key=lambda each: each[0]) if found else (None, "")
    lines = [[tally.text, *_of(tally, True, size), *_of(tally, False, size)] for tally in tallies]
    columns = ["group", "rows with it", TRUE_POSITIVES, "rows without", FALSE_POSITIVES]
    small = [t.text for t in tallies if any(t.predicted(o).whole < least for o in (True, False))]
    unknown = _rows(sum(n for t in tallies for key, n in t.counts.items() if None in key), size)
    note = f"Too few rows with the outcome, or without it, have {named(small)}." if small else ""
    return Compared(number, worst, columns, lines, [note, _unknown(unknown)])


def _of(tally: Tally, outcome: bool, size: int) -> list[Cell]:
    rate = tally.predicted(outcome)
    return [_rows(rate.whole, size), float(rate.share) if rate.whole else None]


def _represented(tallies: Sequence[Tally], reference: Reference, least: int, size: int) -> Compared:
    known_as = _names(tallies, reference)
    rows: Counter[str] = Counter()
    for tally in tallies:
        rows[known_as(tally.name, tally.text)] += tally.rows
    population = {
        known_as(*key) if isinstance(key, tuple) else key: Fraction(n)
        for key, n in reference.items()
        if n
    }
    everyone, known = sum(population.values()), sum(rows[name] for name in population)
    expected = {name: n / everyone * known for name, n in population.items()}
    far = {name: rows[name] / n if n else Fraction(1) for name, n in expected.items()}
    judged = sorted((n for n in far if expected[n] >= least), key=lambda name: (far[name], name))
    others = sorted((n for n in far if n not in judged), key=lambda name: (far[name], name))
    lines = [
        [
            name,
            _rows(rows[name], size),
            float(Fraction(rows[name], known)) if known else None,
            float(population[name] / everyone),
            float(far[name]),
            "yes" if name in judged else "no",
        ]
        for name in [*judged, *others]
    ]
    worst = ""
    if judged:
        first = judged[0]
        share = Fraction(rows[first], known)
        of = float(population[first] / everyone)
        worst = f"{first} {float(share):.1%} of rows, {of:.1%} of the reference"
    strange = [
        f"{name} ({_rows(n, size):,} rows)" for name, n in rows.items() if name not in population
    ]
    notes = [
        f"The reference lets expect too few rows of {named(others)}." if others else "",
        f"The reference does not have {named(strange)}, which do not count." if strange else "",
    ]
    columns = ["group", "rows", "share", "share of reference", "ratio", "judged"]
    return Compared(far[judged[0]] if judged else None, worst, columns, lines, notes)


def _names(tallies: Sequence[Tally], reference: Reference) -> Callable[[str, str], str]:
    """What groups are called: by their names, or their texts where two have one name."""
    ours = [tally.name for tally in tallies]
    theirs = [key[0] for key in reference if isinstance(key, tuple)]
    alike = any(len(set(names)) < len(names) for names in (ours, theirs))
    return (lambda _, text: text) if alike and theirs else (lambda name, _: name)


def _judged(gate: Fairness, when: str, rows: int, compared: Compared) -> Measured:
    number, said = compared.number, title(gate, when)
    met = number is None or (
        number >= gate.limit if gate.measure in RATIOS else number <= gate.limit
    )
    note = " ".join(filter(None, [*_shown(compared), *compared.notes]))
    warning = None
    if number is None:
        few = f"{said}: fewer than two groups have {gate.min_rows:,} rows, so nothing was compared"
        if gate.measure == "representation":
            few = f"{said}: no group should have {gate.min_rows:,} rows, so nothing was compared"
        warning = (NOT_COMPARED, few)
    verdict = Verdict(
        None,
        said,
        gate.on_fail,
        None,
        rows,
        met,
        "fairness",
        None if number is None else float(number),
        None if number is None else float(gate.limit),
        None if number is None else compared.worst,
    )
    diagnostic = Diagnostic(said, compared.columns, compared.lines[:LINES], note, warning)
    return Measured(verdict, diagnostic)


def _shown(compared: Compared) -> list[str]:
    if len(compared.lines) <= LINES:
        return []
    return [f"Of {len(compared.lines):,} groups, the first {LINES:,} are shown."]


def _rows(counted: int, size: int) -> int:
    """The nearest number of rows."""
    return (counted + size // 2) // size


def _small(groups: Sequence[str], gate: Fairness) -> str:
    if not groups:
        return ""
    return f"Fewer than {gate.min_rows:,} rows have {named(groups)}: they are not judged."


def _unknown(rows: int) -> str:
    return f"{rows:,} rows do not count, as nobody knows their outcome." if rows else ""
