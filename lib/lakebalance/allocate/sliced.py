"""Sliced optimal transport between mixtures of sources and a target, from projections of samples.

In one dimension the distance of two distributions is the area between their distribution functions,
and that of a mixture is the mean of its sources'. So the distance of every mixture to the target
follows from one table, and is convex in the shares.

After Bonneel, Rabin, Peyré, Pfister, "Sliced and Radon Wasserstein Barycenters of Measures", 2015.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Slices = Sequence[Sequence[float]]
ROUNDS, STEPS = 10, 40


@dataclass(frozen=True)
class Areas:
    """Distribution functions where any steps: one row a source, the target, widths of steps."""

    sources: Floats
    target: Floats
    width: Floats

    def distance(self, shares: Floats) -> float:
        """The sliced distance of a mixture to the target, in units of the projections."""
        return float((np.abs(self.off(shares)) * self.width).sum())

    def off(self, shares: Floats) -> Floats:
        """How far a mixture's distribution functions are over the target's, step by step."""
        # Not by matrix products, whose last bits depend on the machine.
        off = -self.target
        for source, share in zip(self.sources, shares.tolist(), strict=True):
            if share:
                off += source * share
        return off


def areas_of(names: Sequence[str], values: Mapping[str, Slices], target: Slices) -> Areas:
    """The table from which the distance of any mixture follows.

    Parameters
    ----------
    names : the sources in the order of shares.
    values : for each source, and each projection, the projected values of its sample.
    target : the same of the target's sample, for as many projections.

    Examples
    --------
    >>> areas = areas_of(["a", "b"], {"a": [[0.0, 0.0]], "b": [[4.0]]}, [[0.0, 4.0]])
    >>> [areas.distance(np.array([p, 1 - p])) for p in (0.0, 0.25, 0.5)]
    [2.0, 1.0, 0.0]
    """
    sources, wanted, widths = [], [], []
    for i, goal in enumerate(target):
        each = [np.sort(np.asarray(values[name][i], dtype=float)) for name in names]
        own = np.sort(np.asarray(goal, dtype=float))
        grid = np.unique(np.concatenate([*each, own]))
        steps = grid[:-1]
        share = [np.searchsorted(sample, steps, side="right") / len(sample) for sample in each]
        sources.append(np.stack(share))
        wanted.append(np.searchsorted(own, steps, side="right") / len(own))
        widths.append(np.diff(grid) / len(target))
    return Areas(np.concatenate(sources, axis=1), np.concatenate(wanted), np.concatenate(widths))


def nearest_mixture(areas: Areas, most: Floats) -> Floats:
    """The shares of least distance, none over its cap, summing to one.

    By projected gradients of the distance with its corners rounded off, ever less.

    Parameters
    ----------
    areas : the table of distribution functions.
    most : the largest share of each source; they sum to at least one.
    """
    shares = onto_simplex(np.full(len(most), 1 / len(most)), most)
    best, least = shares, areas.distance(shares)
    for i in range(ROUNDS):
        shares = _smoothed(areas, best, most, 0.1 * 0.5**i)
        found = areas.distance(shares)
        if found < least:
            best, least = shares, found
    return best


def _smoothed(areas: Areas, shares: Floats, most: Floats, corner: float) -> Floats:
    def at(p: Floats) -> tuple[float, Floats]:
        off = areas.off(p)
        size = np.sqrt(off * off + corner * corner)
        weight = areas.width * off / size
        slope = np.array([float((source * weight).sum()) for source in areas.sources])
        return float((size * areas.width).sum()), slope

    value, slope = at(shares)
    step = 1.0 / (float(np.abs(slope).max()) + 1e-300)
    for _ in range(STEPS):
        there = onto_simplex(shares - step * slope, most)
        value_there, slope_there = at(there)
        # What Armijo asks for, along the path of projections.
        if value_there <= value - 1e-4 * float((slope * (shares - there)).sum()):
            if value - value_there <= 1e-12 * abs(value):
                break
            shares, value, slope, step = there, value_there, slope_there, 2 * step
        else:
            step /= 4
    return shares


def onto_simplex(point: Floats, most: Floats) -> Floats:
    """The nearest shares to a point that sum to one, none below 0 or over its cap.

    Examples
    --------
    >>> onto_simplex(np.array([2.0, 0.0, 0.0]), np.array([0.6, 1.0, 1.0])).round(9).tolist()
    [0.6, 0.2, 0.2]
    """
    low, high = float((point - most).min()) - 1.0, float(point.max())
    for _ in range(100):
        middle = (low + high) / 2
        total = float(np.clip(point - middle, 0, most).sum())
        low, high = (middle, high) if total > 1 else (low, middle)
    shares: Floats = np.clip(point - high, 0, most)
    return shares
