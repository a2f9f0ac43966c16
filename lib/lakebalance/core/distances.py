"""How far two distributions are apart, and how far chance takes them: PSI, KS, JS, chi-square.

Knows no Spark: what it sees of the two is how many rows of each lie in which bin. Counts of parts
of the rows add up to those of all, so it does not matter where the rows were counted.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache

# What a bin without a row counts as, in rows, so that its share has a logarithm.
EMPTY = 0.5


def bin_of(below: int, same: int, rows: int, bins: int) -> int:
    """The bin of a value: which part of the reference lies under it, in equal parts.

    Of reference rows of the same value, half count as under it (the mid-distribution function). So
    reference rows spread over the bins as evenly as their ties permit, and values beyond all of
    them are in the first or the last bin.

    Parameters
    ----------
    below, same : reference rows with a smaller value, and with this one.
    rows : reference rows, 1 or more.
    bins : into how many parts.

    References
    ----------
    Parzen, "Quantile probability and statistical data modeling", 2004, for the function.

    Examples
    --------
    >>> [bin_of(i, 1, 10, 5) for i in range(10)]
    [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    >>> bin_of(0, 0, 7, 5), bin_of(0, 7, 7, 5), bin_of(7, 0, 7, 5)
    (0, 2, 4)
    """
    return min(bins * (2 * below + same) // (2 * rows), bins - 1)


def psi(new: Sequence[int], old: Sequence[int]) -> float:
    """The population stability index: the sum of (p - q) · ln(p / q) over bins.

    A bin that has rows of one side alone has half a row of the other; one of neither is left out.

    Parameters
    ----------
    new, old : rows in each bin, at least one on both sides.

    Examples
    --------
    >>> round(psi([20, 50, 30], [10, 60, 30]), 5)
    0.08755
    """
    rows, others = sum(new), sum(old)
    total = 0.0
    for a, b in zip(new, old, strict=True):
        if a or b:
            p, q = max(a, EMPTY) / rows, max(b, EMPTY) / others
            total += (p - q) * math.log(p / q)
    return total


def ks(new: Sequence[int], old: Sequence[int]) -> float:
    """The largest distance of the two distribution functions (Kolmogorov-Smirnov), between bins.

    Parameters
    ----------
    new, old : rows in each bin in order of values, at least one on both sides.

    Examples
    --------
    >>> round(ks([20, 50, 30], [10, 60, 30]), 5)
    0.1
    """
    rows, others = sum(new), sum(old)
    most, a, b = 0.0, 0, 0
    for own, other in zip(new, old, strict=True):
        a, b = a + own, b + other
        most = max(most, abs(a / rows - b / others))
    return most


def jensen_shannon(new: Sequence[int], old: Sequence[int]) -> float:
    """The Jensen-Shannon divergence in nats, 0 to ln 2 = 0.693.

    Half of the sum of p ln(p / m) and q ln(q / m) over bins, m being the mean of p and q; its root
    is the distance of that name. Empty bins need no smoothing.

    Parameters
    ----------
    new, old : rows in each bin, at least one on both sides.

    References
    ----------
    Lin, "Divergence measures based on the Shannon entropy", 1991.

    Examples
    --------
    >>> round(jensen_shannon([20, 50, 30], [10, 60, 30]), 5)
    0.01077
    """
    rows, others = sum(new), sum(old)
    total = 0.0
    for a, b in zip(new, old, strict=True):
        p, q = a / rows, b / others
        total += sum(x * math.log(2 * x / (p + q)) for x in (p, q) if x) / 2
    return max(total, 0.0)


def chi_square(new: Sequence[int], old: Sequence[int]) -> float:
    """Pearson's statistic that both sides are drawn from one distribution, without correction.

    The sum of (observed - expected)^2 / expected over both rows of the table of bins; it has one
    degree of freedom less than bins that are not empty on both sides.

    Parameters
    ----------
    new, old : rows in each bin, at least one on both sides.

    References
    ----------
    Pearson, "On the criterion that a given system of deviations …", 1900.

    Examples
    --------
    >>> round(chi_square([20, 50, 30], [10, 60, 30]), 4)
    4.2424
    """
    rows, others = sum(new), sum(old)
    # The same as the sum over both rows, with differences of whole numbers.
    terms = [
        (a * others - b * rows) ** 2 / (a + b) for a, b in zip(new, old, strict=True) if a or b
    ]
    return math.fsum(terms) / (rows * others)


@cache
def chi_square_limit(chance: float, degrees: float) -> float:
    """The number that a chi-square is over with this chance.

    Parameters
    ----------
    chance : above 0 and below 1.
    degrees : of freedom, not always whole where several are taken together; 0 has no chance.

    Examples
    --------
    >>> round(chi_square_limit(0.001, 9), 3)
    27.877
    """
    # It takes a while to load, and only this needs it.
    from scipy.stats import chi2

    # The last bits may differ from one machine to another.
    return round(float(chi2.isf(chance, degrees)), 9) if degrees else 0.0


def ks_factor(chance: float) -> float:
    """What sqrt(1 / n + 1 / m) is multiplied with for a KS that chance exceeds so often at most.

    Examples
    --------
    >>> round(ks_factor(0.05), 2), round(ks_factor(0.001), 2)
    (1.36, 1.95)
    """
    return math.sqrt(-math.log(chance / 2) / 2)
