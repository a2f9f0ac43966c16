"""How similar two records are: each field by a measure of its own, all of them by a weighted mean.

What decides is computed pair by pair, field after field, so that it is the same whatever other
records are looked at beside.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lakebalance.core.record_values import Flags, Floats, Ints, Values, jaccard_of

Measure = Literal["jaro_winkler", "levenshtein"]
Texts = Sequence[str] | NDArray[np.object_]
Kind = Literal["text", "set", "numeric", "exact"]
# What rounding can do to a mean of similarities is far less.
SLACK = 1e-12
DIGITS = 12


class Comparison(NamedTuple):
    """How a column of two records is compared, and what it weighs."""

    column: str
    kind: Kind
    weight: float = 1.0
    measure: Measure = "jaro_winkler"
    tolerance: float = 0.0
    relative: bool = False

    def similarity(self, values: Values, a: Ints, b: Ints) -> Floats:
        """The similarity of the records at ``a`` with those at ``b``; of missing values no matter.

        Parameters
        ----------
        values : the records.
        a, b : places of as many records.
        """
        if self.kind == "text":
            texts = values.texts(self.column)
            return text_similarity(texts[a], texts[b], self.measure)
        if self.kind == "set":
            return jaccard_of(values.sets(self.column), a, b)
        if self.kind == "numeric":
            numbers = values.numbers(self.column)
            return closeness(numbers[a], numbers[b], self.tolerance, self.relative)
        hashes = values.hashes(self.column)
        return np.where(hashes[a] == hashes[b], 1.0, 0.0)


def text_similarity(one: Texts, other: Texts, measure: Measure) -> Floats:
    """How similar each text is to the one at its place in the other sequence.

    ``levenshtein`` is 1 - d / max(|a|, |b|), d the fewest insertions, deletions and substitutions
    of characters. ``jaro_winkler`` is J + l · 0.1 · (1 - J) where J > 0.7, else J: l is the length
    of the common beginning, 4 at most, and J = (m/|a| + m/|b| + (m - t)/m) / 3 of Jaro, with m
    characters that are equal and at most max(|a|, |b|) / 2 - 1 places apart, of which t pairs are
    exchanged.

    Parameters
    ----------
    one, other : texts, as many.
    measure : which of the two.

    References
    ----------
    Winkler, "String Comparator Metrics and Enhanced Decision Rules in the Fellegi-Sunter Model of
    Record Linkage", 1990. Computed by RapidFuzz.

    Examples
    --------
    >>> text_similarity(["MARTHA", "kitten"], ["MARHTA", "sitting"], "jaro_winkler").round(4)
    array([0.9611, 0.746 ])
    >>> text_similarity(["MARTHA", "kitten"], ["MARHTA", "sitting"], "levenshtein").round(4)
    array([0.6667, 0.5714])
    """
    # Only tasks that compare texts need it, and it takes a while to load.
    from rapidfuzz.distance import JaroWinkler, Levenshtein
    from rapidfuzz.process import cpdist

    scorer = {"jaro_winkler": JaroWinkler, "levenshtein": Levenshtein}[measure]
    found: Floats = cpdist(one, other, scorer=scorer.normalized_similarity, dtype=np.float64)
    return found


def closeness(one: Floats, other: Floats, tolerance: float, relative: bool) -> Floats:
    """1 for equal numbers, falling in a straight line to 0 where they are ``tolerance`` apart.

    Parameters
    ----------
    one, other : numbers, as many; infinite ones are equal to themselves alone.
    tolerance : greater than 0; in units of the numbers, or as a share of the larger of the two.
    relative : whether it is a share.

    Examples
    --------
    >>> closeness(np.array([10.0, 10.0]), np.array([10.5, 12.0]), 1.0, False)
    array([0.5, 0. ])
    >>> closeness(np.array([100.0, 0.0]), np.array([99.0, 0.0]), 0.05, True)
    array([0.8, 1. ])
    """
    with np.errstate(invalid="ignore", over="ignore"):
        near = 1.0 - gap(one, other, relative) / tolerance
    return np.where(near > 0, near, 0.0)


def gap(one: Floats, other: Floats, relative: bool) -> Floats:
    """How far apart numbers are, as they are or as a share of the larger; NaN where one is NaN."""
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        apart = np.abs(one - other)
        if relative:
            apart = apart / np.maximum(np.abs(one), np.abs(other))
    unequal = np.where(np.isinf(one) | np.isinf(other), np.inf, apart)
    return np.where(one == other, 0.0, unequal)


class Likeness(NamedTuple):
    """When two records are near-duplicates.

    Where their similarity, the mean over the fields that both have, by weight, is at least
    ``threshold``, and these fields have at least ``min_weight`` of all fields' weight.
    """

    fields: Sequence[Comparison]
    threshold: float
    min_weight: float

    def near(self, values: Values, a: Ints, b: Ints) -> Flags:
        """Whether the records at ``a`` are near-duplicates of those at ``b``.

        What is quick to compare comes first: pairs that the rest cannot help are left out of it.
        """
        found = np.zeros(len(a), bool)
        there = {f.column: values.there(f.column) for f in self.fields}
        both = [there[f.column][a] & there[f.column][b] for f in self.fields]
        enough = self._weight(both) / sum(self._weights) >= self.min_weight - SLACK
        left = np.flatnonzero(enough)
        similar: list[Floats] = [np.ones(len(left)) for _ in self.fields]
        both = [flags[left] for flags in both]
        quick = [i for i, f in enumerate(self.fields) if f.kind in ("exact", "numeric")]
        slow = [i for i in range(len(self.fields)) if i not in quick]
        for turn in [quick, *[[i] for i in slow]]:
            for i in turn:
                similar[i] = self.fields[i].similarity(values, a[left], b[left])
            # What is not known yet counts as equal.
            at_best = self._mean(similar, both) >= self.threshold - SLACK
            left = left[at_best]
            similar = [own[at_best] for own in similar]
            both = [flags[at_best] for flags in both]
        found[left[self._mean(similar, both) >= self.threshold]] = True
        return found

    def of(self, values: Values, a: Ints, b: Ints) -> tuple[Floats, list[Floats]]:
        """The similarity of records on the whole and by field; NaN where nothing is compared."""
        both = [values.there(f.column)[a] & values.there(f.column)[b] for f in self.fields]
        similar = [f.similarity(values, a, b) for f in self.fields]
        told = [np.where(flags, own, np.nan) for flags, own in zip(both, similar, strict=True)]
        return self._mean(similar, both), told

    @property
    def _weights(self) -> list[float]:
        return [field.weight for field in self.fields]

    def _mean(self, similar: Sequence[Floats], both: Sequence[Flags]) -> Floats:
        weighed = zip(self._weights, similar, both, strict=True)
        parts = [weight * np.where(flags, own, 0.0) for weight, own, flags in weighed]
        with np.errstate(invalid="ignore"):
            mean = added(parts) / self._weight(both)
        # So that three fields of 1, 1 and 0.4 are 0.8 on the whole, and not a little less.
        rounded: Floats = np.round(mean, DIGITS)
        return rounded

    def _weight(self, both: Sequence[Flags]) -> Floats:
        weighed = zip(self._weights, both, strict=True)
        return added([np.where(flags, weight, 0.0) for weight, flags in weighed])


def added(parts: Sequence[Floats]) -> Floats:
    """The sum, one part after the other, so that it is the same for a pair in any company."""
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total
