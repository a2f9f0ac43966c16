"""Adds rows of rare labels, or takes rows of frequent ones away, as ML-ROS and ML-RUS do.

A bag holds the rows of one label. In the papers, a round takes one row by chance from every bag,
and a label leaves when its imbalance ratio has come to the mean. Here a round takes what it takes
on average, of every label set its share of the bag, and many rounds are done at once: until a label
leaves, or a part of the rows has moved. What is left over of a row is rounded at the end alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lakebalance.core.labels import Flags, Floats, LabelSets

PARTS = 100
SLIVER = 0.01


def moved(sets: LabelSets, rows: float, *, adding: bool) -> Floats:
    """Rows that each label set gets, or loses, until so many have moved or all labels have left.

    Imbalance ratios are worked out anew after each 100th of ``rows`` at the latest; a label that
    comes to the mean on the way there takes no more than brings it there.

    Parameters
    ----------
    sets : label sets with their rows.
    rows : how many rows are to move.
    adding : clone rows of labels whose imbalance ratio is over the mean; else remove rows of
        labels under it, out of label sets that have no label over it and none that may be.

    Returns
    -------
    Rows per label set, not yet whole; together ``rows``, or fewer.
    """
    total = np.zeros(len(sets.rows))
    if adding:
        touched, moving = sets.may_have(sets.minority) & sets.labelled, sets.minority
    else:
        touched = ~sets.may_have(sets.minority) & sets.labelled
        moving = sets.irlbl < sets.mean_ir
    bags = _Bags(sets.only(touched), sets.counts.copy(), moving.copy(), sets.mean_ir, adding)
    left = rows
    while left > SLIVER and bags.close():
        change = bags.take(left, rows)
        total[touched] += change
        left -= float(np.add.accumulate(change)[-1])
    return total


@dataclass
class _Bags:
    """Label sets that rows are cloned from or removed of, and which labels still take part."""

    sets: LabelSets
    counts: Floats
    open: Flags
    mean_ir: float
    adding: bool

    def __post_init__(self) -> None:
        self.stock = self.sets.rows.astype(float)
        self.held = self.sets.per_label(self.stock)

    def close(self) -> bool:
        """Let labels leave that have come to the mean, or whose bags are empty; any left?"""
        self.open &= (self.held >= 0.5) & (self._distance() > SLIVER * self.mean_ir)
        return bool(self.open.any())

    def take(self, left: float, rows: float) -> Floats:
        """Do some rounds; what each label set gets or loses by them."""
        change = self._change(self._steps(left, rows))
        shift = self.sets.per_label(change)
        if self.adding:
            self.counts += shift
        else:
            self.counts -= shift
            self.stock = self.stock - change
            self.held = self.sets.per_label(self.stock)
        return change

    def _distance(self) -> Floats:
        """How far each label is from where its imbalance ratio is the mean; below 0 past it."""
        ahead: Floats = self.mean_ir * self.counts - self.counts.max(initial=0.0)
        return -ahead if self.adding else ahead

    def _change(self, steps: Floats) -> Floats:
        """Rows that each label set gets or loses when each label takes so many from its bag."""
        part = np.divide(steps, self.held, out=np.zeros(len(steps)), where=steps > 0)
        change = self.stock * self.sets.per_set(part)
        return change if self.adding else np.minimum(change, self.stock)

    def _steps(self, left: float, rows: float) -> Floats:
        """Rows that each open label takes from its bag; those that leave on the way are closed."""
        speed = self.sets.per_label(self._change(self.open.astype(float)))
        first = self._commonest(speed)
        closing = self.mean_ir * speed - speed[first]
        to_leave = _time(self._distance(), closing)[self.open]
        number = len(to_leave)
        longest = max(rows / PARTS, 1.0) / number
        if self.adding:
            # Bags stay as they are, so that nothing else changes the rounds.
            overtaken = _time(self.counts[first] - self.counts, speed - speed[first])
            longest = max(longest, min(float(to_leave.min()), float(overtaken.min())))
        longest = min(longest, left / number)
        steps = np.zeros(len(speed))
        steps[self.open] = np.minimum(to_leave, longest)
        # Once it has left, the commonest label may move on without it.
        self.open[self.open] = to_leave > longest
        return steps if self.adding else np.minimum(steps, self.held)

    def _commonest(self, speed: Floats) -> int:
        """The most frequent label; of several, that which will be."""
        later = speed if self.adding else -speed
        most = self.counts >= self.counts.max() - SLIVER
        return int(np.where(most, later, -np.inf).argmax())


def _time(distance: Floats, speed: Floats) -> Floats:
    """When a distance is gone at some speed; never where it does not shrink."""
    never: Floats = np.full(len(distance), np.inf)
    return np.divide(distance, speed, out=never, where=speed > 0)
