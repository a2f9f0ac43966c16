"""How far apart the two sides of a comparison are, and how far chance alone would take them.

Knows no Spark: what it sees of each side is how many rows lie in which bin.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lakebalance.core import distances

# For small differences, the divergence is an eighth of PSI.
SHARE_OF_PSI = {"psi": 1.0, "jensen_shannon": 1 / 8}
NUMBERS: dict[str, Callable[[Sequence[int], Sequence[int]], float]] = {
    "psi": distances.psi,
    "jensen_shannon": distances.jensen_shannon,
    "ks": distances.ks,
    "chi_square": distances.chi_square,
}


@dataclass(frozen=True)
class Pair:
    """Rows of two sides in the same bins, at least one on each."""

    new: Sequence[int]
    old: Sequence[int]

    @property
    def rows(self) -> tuple[int, int]:
        """Rows of both sides."""
        return sum(self.new), sum(self.old)

    @property
    def degrees(self) -> int:
        """Bins with rows, less one."""
        return sum(1 for a, b in zip(self.new, self.old, strict=True) if a or b) - 1

    @property
    def spread(self) -> float:
        """1 / n + 1 / m: how far chance takes two shares, in units of their variance."""
        n, m = self.rows
        return 1 / n + 1 / m

    @property
    def most(self) -> int:
        """The bin whose share has changed most; of several one that grew, the first of those."""
        n, m = self.rows
        changes = [a * m - b * n for a, b in zip(self.new, self.old, strict=True)]
        return max(range(len(changes)), key=lambda i: (abs(changes[i]), changes[i] > 0, -i))

    def number(self, measure: str) -> float:
        """The distance of both sides."""
        return NUMBERS[measure](self.new, self.old)


def limit_of(measure: str, pair: Pair, threshold: float, chance: float | None) -> float:
    """What the measure of a pair may not exceed.

    Parameters
    ----------
    measure : its name.
    pair : the two sides.
    threshold : the number written, or of ``chi_square`` the chance.
    chance : how often chance may exceed the limit, which is raised so far; None to leave it.
    """
    if measure == "chi_square":
        return distances.chi_square_limit(threshold, pair.degrees)
    if chance is None:
        return threshold
    if measure == "ks":
        return max(threshold, distances.ks_factor(chance) * math.sqrt(pair.spread))
    law = distances.chi_square_limit(chance, pair.degrees) * pair.spread
    return max(threshold, SHARE_OF_PSI[measure] * law)


@dataclass(frozen=True)
class Given:
    """Pairs of several groups as one comparison of what is in the groups, not of their sizes.

    Its number is the mean of the groups' numbers by weight, the mean of a group's shares of both
    sides; of ``chi_square`` it is the sum, as such sums follow the law with all their degrees.
    """

    pairs: Sequence[Pair]

    @property
    def rows(self) -> tuple[int, int]:
        """Rows of both sides."""
        return sum(pair.rows[0] for pair in self.pairs), sum(pair.rows[1] for pair in self.pairs)

    @property
    def weights(self) -> list[float]:
        """The weight of each group; their sum is 1."""
        n, m = self.rows
        return [(pair.rows[0] / n + pair.rows[1] / m) / 2 for pair in self.pairs]

    def parts(self, measure: str) -> list[float]:
        """What each group contributes to the number."""
        numbers = [pair.number(measure) for pair in self.pairs]
        if measure == "chi_square":
            return numbers
        return [w * number for w, number in zip(self.weights, numbers, strict=True)]

    def number(self, measure: str) -> float:
        """The sum of what the groups contribute."""
        return math.fsum(self.parts(measure))

    def limit(self, measure: str, threshold: float, chance: float | None) -> float:
        """As ``limit_of`` a pair.

        A weighted sum of chi-squares follows nearly a multiple of one with as many degrees as give
        it the same mean and variance (Satterthwaite). Of ``ks`` it is the mean of limits that
        chance exceeds in none of the groups so often.
        """
        if measure == "chi_square":
            degrees = sum(pair.degrees for pair in self.pairs)
            return distances.chi_square_limit(threshold, degrees)
        if chance is None:
            return threshold
        weighed = list(zip(self.weights, self.pairs, strict=True))
        if measure == "ks":
            factor = distances.ks_factor(chance / len(self.pairs))
            return max(threshold, math.fsum(w * factor * math.sqrt(p.spread) for w, p in weighed))
        mean = math.fsum(w * p.spread * p.degrees for w, p in weighed)
        if not mean:
            return threshold
        scale = math.fsum((w * p.spread) ** 2 * p.degrees for w, p in weighed) / mean
        law = scale * distances.chi_square_limit(chance, mean / scale)
        return max(threshold, SHARE_OF_PSI[measure] * law)
