"""Gates of drift: how far the rows are from those of a version, a run, a source or a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pyspark.sql import DataFrame

from lakebalance.core.columns import column, require
from lakebalance.core.diagnostics import Cell, Diagnostic
from lakebalance.core.errors import RecipeError, TableError
from lakebalance.core.histograms import (
    Counts,
    Scale,
    check_alike,
    check_countable,
    count_both,
    find_scales,
    is_ordered,
)
from lakebalance.core.labels import group_text
from lakebalance.core.sources import unite
from lakebalance.expect.measures import Given, Pair, limit_of
from lakebalance.expect.verdicts import LINES, Measured, Verdict, named
from lakebalance.recipe.drift import Drift

NOT_COMPARED = "drift_not_compared"


def drift(
    gate: Drift, new: Sequence[DataFrame], old: Sequence[DataFrame], against: str, place: str
) -> Measured:
    """Compare columns of the rows with those of a reference, by themselves or in groups.

    Bins are found in the reference alone: equal parts of its rows, a value each where there are no
    more values than parts, or its commonest texts; null, NaN and all other texts have bins of their
    own. A number beyond all of the reference's is in the first or the last part. Then one job reads
    the columns of both sides once and counts rows by group, column and bin; all numbers follow from
    these counts. Besides it, the reference is read in one job for texts, and in two to seven for
    all columns of numbers and times together.

    Parameters
    ----------
    gate : columns, groups, measure and threshold.
    new, old : the frames of both sides, each of one schema.
    against : what ``old`` is, for messages.
    place : path in the recipe, for messages.

    Returns
    -------
    The verdict, with the number farthest beyond its limit, and the worst lines.

    Raises
    ------
    RecipeError : a column is not there, or is of a type that cannot be compared.
    TableError : the reference has no row.

    References
    ----------
    PSI: Yurdakul, "Statistical properties of population stability index", 2018. Jensen-Shannon:
    Lin, "Divergence measures based on the Shannon entropy", 1991.

    Examples
    --------
    >>> drift(gate, [july], [january], "version 3", "expect.drift.0")  # doctest: +SKIP
    """
    check_columns(gate, new[0], place)
    _check_reference(gate, new[0], old[0], against, place)
    by = [*gate.within, *gate.given]
    reference = unite([frame.select(*map(column, gate.columns)) for frame in old])
    scales = find_scales(reference, gate.columns, gate.parts, gate.top)
    found = Compared(gate, scales, count_both(new, old, scales, by), against)
    if not found.rows[1]:
        raise TableError(
            f"{place}.against: {against} has no row to compare with; write another one, or a where "
            "that some of its rows meet"
        )
    return found.judged()


def not_compared(gate: Drift, against: str, why: str) -> Measured:
    """The verdict of a gate that has nothing to compare with: it passes, and says so."""
    verdict = Verdict(gate.source, title(gate, against), gate.on_fail, None, 0, True, "drift")
    return Measured(verdict, Diagnostic(verdict.expectation, _header(gate), [], why))


def check_columns(gate: Drift, df: DataFrame, place: str) -> None:
    """Raise where the gate names columns that the rows do not have, or that it cannot compare.

    Raises
    ------
    RecipeError : with the column.
    """
    check_countable(df, gate.columns, f"{place}.columns")
    for option, names in (("within", gate.within), ("given", gate.given)):
        require(df, names, f"{place}.{option}")
    for name in gate.columns:
        if gate.measure == "ks" and not is_ordered(df, name):
            raise RecipeError(
                f'{place}.measure: ks compares values in order, and the texts of "{name}" have '
                "none; write jensen_shannon, psi or chi_square, or take the column out"
            )


def title(gate: Drift, against: str) -> str:
    """A gate as reports show it."""
    groups = [
        f"{word} {', '.join(names)}"
        for word, names in (("within", gate.within), ("given", gate.given))
        if names
    ]
    what = " ".join([", ".join(gate.columns), *groups])
    return f"drift of {what} by {gate.measure} against {against}"


def _check_reference(gate: Drift, new: DataFrame, old: DataFrame, against: str, place: str) -> None:
    for option, names in (
        ("columns", gate.columns),
        ("within", gate.within),
        ("given", gate.given),
    ):
        require(old, names, f"{place}.{option}, in {against}")
        check_alike(new, old, names, f"{place}.{option}", numbers=option == "columns")


def _header(gate: Drift) -> list[str]:
    groups = ["group"] if gate.within or gate.given else []
    changed = "changed most, before and now"
    return ["column", *groups, gate.measure, "limit", "rows before", "now", changed, "drifted"]


@dataclass(frozen=True)
class Line:
    """One comparison: of a column in a group, or of it given groups."""

    column: str
    group: str
    number: float
    limit: float
    rows: tuple[int, int]
    most: str

    @property
    def drifted(self) -> bool:
        return self.number > self.limit

    @property
    def far(self) -> float:
        """How much of the limit is used up."""
        return self.number / self.limit if self.limit else 0.0

    @property
    def named(self) -> str:
        return f"{self.column} in {self.group}" if self.group else self.column


@dataclass(frozen=True)
class Compared:
    """The counts of a gate, and what follows from them."""

    gate: Drift
    scales: Sequence[Scale]
    counts: Sequence[tuple[dict[str, Any], Counts]]
    against: str

    @property
    def rows(self) -> tuple[int, int]:
        """Rows of both sides."""
        first = [counts for _, counts in self.counts if counts.column == 0]
        return sum(sum(c.new) for c in first), sum(sum(c.old) for c in first)

    @cached_property
    def small(self) -> dict[str, tuple[int, int]]:
        """Rows of both sides of the groups that have too few on one of them."""
        pairs = [(values, Pair(c.new, c.old).rows) for values, c in self.counts if not c.column]
        return {group_text(v): rows for v, rows in pairs if min(rows) < self.gate.min_rows}

    @cached_property
    def groups(self) -> dict[tuple[str, int], list[tuple[dict[str, Any], Pair]]]:
        """By group and column the pairs that have rows enough, one for each group of ``given``."""
        found: dict[tuple[str, int], list[tuple[dict[str, Any], Pair]]] = {}
        for values, counts in self.counts:
            if group_text(values) not in self.small:
                within = {name: values[name] for name in self.gate.within}
                given = {name: values[name] for name in self.gate.given}
                entry = found.setdefault((_text(within), counts.column), [])
                entry.append((given, Pair(counts.new, counts.old)))
        return found

    @cached_property
    def lines(self) -> list[Line]:
        """All comparisons, that which is farthest beyond its limit first."""
        made = [
            self._line(group, self.scales[column], pairs)
            for (group, column), pairs in self.groups.items()
        ]
        place = {scale.name: i for i, scale in enumerate(self.scales)}
        return sorted(made, key=lambda line: (-line.far, line.group, place[line.column]))

    def _line(
        self, group: str, scale: Scale, pairs: Sequence[tuple[Mapping[str, Any], Pair]]
    ) -> Line:
        gate, tries = self.gate, len(self.groups)
        # So that chance exceeds one of all limits as seldom as asked for.
        chance = None if gate.chance is None else gate.chance / tries
        threshold = gate.limit / tries if gate.measure == "chi_square" else gate.limit
        if gate.given:
            given = Given([pair for _, pair in pairs])
            parts = given.parts(gate.measure)
            most = parts.index(max(parts))
            values, pair = pairs[most]
            said = f"{group_text(values)}: {_moved(scale, pair)}"
            number, limit = given.number(gate.measure), given.limit(gate.measure, threshold, chance)
            return Line(scale.name, group, number, limit, given.rows, said)
        pair = pairs[0][1]
        number, limit = pair.number(gate.measure), limit_of(gate.measure, pair, threshold, chance)
        return Line(scale.name, group, number, limit, pair.rows, _moved(scale, pair))

    def judged(self) -> Measured:
        """The verdict, and the worst lines with what there is to say of them."""
        gate, worst = self.gate, self.lines[0] if self.lines else None
        verdict = Verdict(
            gate.source,
            title(gate, self.against),
            gate.on_fail,
            None,
            self.rows[0],
            not any(line.drifted for line in self.lines),
            "drift",
            None if worst is None else worst.number,
            None if worst is None else worst.limit,
            None if worst is None else f"{worst.named} ({worst.most})",
        )
        rows = [self._cells(line) for line in self.lines[:LINES]]
        warning = None
        if worst is None:
            why = f"{verdict.expectation}: {self._small()} Nothing was compared."
            warning = (NOT_COMPARED, why)
        note = " ".join(filter(None, [self._said(), self._small()]))
        return Measured(
            verdict, Diagnostic(verdict.expectation, _header(gate), rows, note, warning)
        )

    def _cells(self, line: Line) -> list[Cell]:
        group = [line.group] if self.gate.within or self.gate.given else []
        n, m = line.rows
        said = "yes" if line.drifted else "no"
        return [line.column, *group, line.number, line.limit, m, n, line.most, said]

    def _said(self) -> str:
        drifted = sum(line.drifted for line in self.lines)
        said = f"{drifted:,} of {len(self.lines):,} comparisons drifted."
        if len(self.lines) > LINES:
            said += f" The {LINES:,} farthest are shown."
        if self.gate.given:
            said += f" Each is a mean over groups of {', '.join(self.gate.given)}."
        return said

    def _small(self) -> str:
        """Which groups have too few rows to be compared."""
        if not self.small:
            return ""
        said = [f"{name} ({m:,} rows before, {n:,} now)" for name, (n, m) in self.small.items()]
        return f"Fewer than {self.gate.min_rows:,} rows on one side have {named(said)}."


def _text(group: Mapping[str, Any]) -> str:
    return group_text(group) if group else ""


def _moved(scale: Scale, pair: Pair) -> str:
    """The bin whose share has changed most, with both shares."""
    (n, m), i = pair.rows, pair.most
    return f"{scale.shown(i)}: {pair.old[i] / m:.1%} to {pair.new[i] / n:.1%}"
