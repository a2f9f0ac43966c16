"""Random Fourier features: the means of a few cosines stand for those of a Gaussian kernel.

After Rahimi, Recht, "Random Features for Large-Scale Kernel Machines", NIPS 2007.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from lakebalance.core.chance import normal, salt_of, unit, words
from lakebalance.sample.exact_sums import Floats

# Taylor's series of cos(2 pi t) in t² up to t^26: off by under 1e-13 for t within 1/2.
COSINE = [(-1) ** i * (2 * math.pi) ** (2 * i) / math.factorial(2 * i) for i in range(14)]


def cosine(turns: Floats) -> Floats:
    """The cosine of angles in turns, by plain arithmetic, which is the same on every machine.

    Examples
    --------
    >>> cosine(np.array([0.0, 0.25, 0.5, 7.125])).round(12).tolist()
    [1.0, 0.0, -1.0, 0.707106781187]
    """
    square = (turns - np.rint(turns)) ** 2
    total = np.full_like(square, COSINE[-1])
    for coefficient in reversed(COSINE[:-1]):
        total *= square
        total += coefficient
    return np.clip(total, -1.0, 1.0)


@dataclass(frozen=True)
class Fourier:
    """Features cos(w·x + b): w normal with deviation 1 / bandwidth, b uniform; both in turns."""

    frequencies: Floats
    phases: Floats

    @classmethod
    def drawn(cls, width: int, features: int, bandwidth: float, seed: int) -> Fourier:
        """Draw features for rows of some width: the same for the same seed.

        Parameters
        ----------
        width : coordinates of a row.
        features : how many cosines.
        bandwidth : distance at which two rows have a kernel of exp(-1/2).
        seed : another one draws others.
        """
        salt = salt_of("fourier", seed)
        place = np.arange(width * features, dtype=np.int64)
        drawn = normal(place, np.zeros_like(place), salt).reshape(width, features)
        turns = np.round(drawn / (2 * math.pi * bandwidth) * 2.0**30) / 2.0**30
        phase = np.arange(features, dtype=np.int64)
        return cls(turns, unit(words(phase, np.ones_like(phase), salt)))

    def of(self, matrix: Floats) -> Floats:
        """The features of rows, each from -1 to 1."""
        turns = np.empty((len(matrix), len(self.phases)), order="F")
        turns[:] = self.phases
        # Column by column, as the last bits of a matrix product depend on the number of rows.
        for j, frequencies in enumerate(self.frequencies):
            turns += matrix[:, j : j + 1] * frequencies
        return cosine(turns)
