"""Chance inside a task: numbers that follow from keys alone, in numpy."""

from __future__ import annotations

from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

from lakebalance.core.plain import minus_log, upper_quantile

Words = NDArray[np.uint64]
GOLDEN = 0x9E3779B97F4A7C15


def salt_of(*parts: str | int) -> int:
    """A 64-bit number for a seed and a purpose."""
    return int.from_bytes(sha256("|".join(map(str, parts)).encode()).digest()[:8], "big")


def words(key: NDArray[np.int64], count: NDArray[np.int64], salt: int) -> Words:
    """64 bits of chance for the ``count``-th use of a key.

    Parameters
    ----------
    key : hashes of rows' keys.
    count : which use of the key, from 0.
    salt : a number for seed and purpose, see ``salt_of``.

    References
    ----------
    Steele, Lea, Flood, "Fast Splittable Pseudorandom Number Generators", 2014 (SplitMix64).

    Examples
    --------
    >>> words(np.array([7]), np.array([0]), 1) == words(np.array([7]), np.array([1]), 1)
    array([False])
    """
    with np.errstate(over="ignore"):
        once = mix(key.astype(np.uint64) ^ np.uint64(salt))
        return mix(once + (count.astype(np.uint64) + np.uint64(1)) * np.uint64(GOLDEN))


def mix(z: Words) -> Words:
    """SplitMix64's last step: each bit of what comes out depends on each that goes in."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def unit(bits: Words) -> NDArray[np.float64]:
    """Bits of chance as numbers from 0 to below 1."""
    return (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53


def below(bits: Words, n: int) -> NDArray[np.int64]:
    """Bits of chance as whole numbers from 0 to below ``n``; by the upper bits, n < 2^31."""
    return ((bits >> np.uint64(33)) * np.uint64(n) >> np.uint64(31)).astype(np.int64)


def normal(key: NDArray[np.int64], count: NDArray[np.int64], salt: int) -> NDArray[np.float64]:
    """Normal chance, mean 0 and deviation 1, for the ``count``-th use of a key.

    By plain arithmetic, which is the same on every machine: the first bit says on which side of 0
    it lies, the next 52 how far.
    """
    bits = words(key, count, salt)
    far = upper_quantile(_within((bits << np.uint64(1)) >> np.uint64(12)) / 2)
    return np.where(bits >> np.uint64(63), -far, far)


def exponential(bits: Words) -> NDArray[np.float64]:
    """Exponential chance of mean 1, by plain arithmetic, which is the same on every machine.

    Never 0, as the upper 52 bits and a half are what the logarithm is taken of.

    Examples
    --------
    >>> bits = np.array([0, 2**63, 2**64 - 1], dtype=np.uint64)
    >>> exponential(bits).round(12).tolist()
    [36.736800569677, 0.69314718056, 0.0]
    """
    return minus_log(_within(bits >> np.uint64(12)))


def _within(bits: Words) -> NDArray[np.float64]:
    """Numbers of 52 bits as numbers between 0 and 1, neither of which they are."""
    return (bits.astype(np.float64) + 0.5) * 2.0**-52
