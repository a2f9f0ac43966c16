"""MinHash signatures cut into bands: texts that agree in a band are candidates.

Of two sets with Jaccard similarity s, a value of the signature agrees with chance s, so that one of
b bands of r values agrees with chance 1 - (1 - s^r)^b.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lakebalance.core.chance import Words, mix, salt_of, words
from lakebalance.core.shingles import STEP, Sets

STEPS = 1000


class Bands(NamedTuple):
    """So many bands of so many values each."""

    bands: int
    rows: int

    def found(self, similarity: float) -> float:
        """The chance that two sets of a similarity agree in a band.

        Examples
        --------
        >>> [round(Bands(14, 8).found(s), 4) for s in (0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9)]
        [0.0533, 0.2111, 0.5645, 0.7716, 0.9235, 0.9884, 0.9996]
        """
        return float(1 - (1 - similarity**self.rows) ** self.bands)

    def false_positives(self, threshold: float) -> float:
        """The integral of the chance to be found over similarities under the threshold."""
        return _integral(self.found, 0.0, threshold)

    def false_negatives(self, threshold: float) -> float:
        """The integral of the chance not to be found over similarities above the threshold."""
        return _integral(lambda s: 1 - self.found(s), threshold, 1.0)


def _integral(f: Callable[[float], float], low: float, high: float) -> float:
    """By the midpoint rule."""
    width = (high - low) / STEPS
    return width * sum(f(low + (i + 0.5) * width) for i in range(STEPS))


@cache
def choose_bands(threshold: float, num_perm: int, weight: float) -> Bands:
    """The bands with the least weighted sum of false positives and false negatives.

    Parameters
    ----------
    threshold : wanted Jaccard similarity, 0 to 1.
    num_perm : values of a signature; bands times rows are at most as many.
    weight : what false negatives weigh, 0 to 1; false positives weigh the rest.

    References
    ----------
    Zhu, Nargesian, Pu, Miller, "LSH Ensemble: Internet-Scale Domain Search", 2016, as in
    ``datasketch``, which takes the left edge of each step where this takes its middle.

    Examples
    --------
    >>> choose_bands(0.8, 128, 0.5), choose_bands(0.7, 128, 0.5)
    (Bands(bands=9, rows=13), Bands(bands=14, rows=9))
    """
    middle = (np.arange(STEPS) + 0.5) / STEPS
    under, above = middle * threshold, threshold + middle * (1 - threshold)
    best: tuple[float, Bands] | None = None
    for bands in range(1, num_perm + 1):
        rows = np.arange(1, num_perm // bands + 1)[:, None]
        positives = threshold * (1 - (1 - under**rows) ** bands).mean(axis=1)
        negatives = (1 - threshold) * ((1 - above**rows) ** bands).mean(axis=1)
        losses = (1 - weight) * positives + weight * negatives
        row = int(losses.argmin())
        if best is None or losses[row] < best[0]:
            best = float(losses[row]), Bands(bands, row + 1)
    assert best is not None
    return best[1]


@cache
def _permutations(count: int) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """Factors, which are odd, and summands of as many permutations of 32-bit numbers."""
    bits = words(np.arange(count), np.zeros(count, np.int64), salt_of("minhash"))
    return (bits >> np.uint64(32)).astype(np.uint32) | np.uint32(1), bits.astype(np.uint32)


def signatures(sets: Sets, count: int) -> NDArray[np.uint32]:
    """The least value of each set under each of ``count`` permutations; a row a permutation.

    A permutation takes x to a·x + b modulo 2^32, of the upper bits of shingles, which are hashes
    already: one pass of vector instructions over numbers that stay in the cache.

    Parameters
    ----------
    sets : sets of 52-bit hashes, none of them empty.
    count : values of a signature.
    """
    upper = (sets.values >> np.uint64(20)).astype(np.uint32)
    factors, summands = _permutations(count)
    found = np.empty((count, len(sets.starts) - 1), np.uint32)
    moved = np.empty_like(upper)
    for i in range(count):
        np.multiply(upper, factors[i], out=moved)
        np.add(moved, summands[i], out=moved)
        np.minimum.reduceat(moved, sets.starts[:-1], out=found[i])
    return found


def band_hashes(signature: NDArray[np.uint32], bands: Bands) -> Words:
    """A 64-bit hash of each band of each set, of different bands too; a row a set."""
    cut = signature[: bands.bands * bands.rows].reshape(bands.bands, bands.rows, -1)
    found = np.repeat(np.arange(bands.bands, dtype=np.uint64)[:, None], cut.shape[2], axis=1)
    with np.errstate(over="ignore"):
        for row in range(bands.rows):
            found = (found + cut[:, row]) * np.uint64(STEP)
        return mix(found).T
