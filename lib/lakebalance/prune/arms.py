"""A bandit over arms whose batches are known: which are drawn, in what order, and what they give.

An arm's next batch does not depend on what was drawn of others, so that a small table of batches is
all that is needed; no row is looked at here.

After Auer, Cesa-Bianchi, Fischer, "Finite-time Analysis of the Multiarmed Bandit Problem", 2002
(UCB1).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import NamedTuple

import numpy as np

from lakebalance.core.plain import minus_log


class Batch(NamedTuple):
    """One of an arm's batches: rows with a score, the sum of these in steps, rows that it gives."""

    scored: int
    steps: int
    gives: int


class Draw(NamedTuple):
    """An arm's next batch, drawn, and how many of the rows that it gives are kept."""

    arm: int
    batch: int
    kept: int


@dataclass
class Record:
    """What is known of an arm so far."""

    draws: int = 0
    scored: int = 0
    steps: int = 0
    kept: int = 0

    @property
    def mean(self) -> float:
        """The mean score in steps; a whole number by a whole number is rounded but once."""
        return self.steps / self.scored


@dataclass
class Game:
    """Draws in their order, and what is known of each arm at the end."""

    records: list[Record]
    draws: list[Draw] = field(default_factory=list)
    kept: int = 0

    def draw(self, arm: int, batch: Batch, rows: int) -> None:
        """Take an arm's next batch, and of what it gives at most what ``rows`` leave."""
        record, kept = self.records[arm], min(batch.gives, rows - self.kept)
        self.draws.append(Draw(arm, record.draws, kept))
        record.draws += 1
        record.scored += batch.scored
        record.steps += batch.steps
        record.kept += kept
        self.kept += kept


def bonus(alpha: float, log_of_draws: float, draws: int) -> float:
    """What an arm's score has over its mean: the more, the more seldom the arm was drawn.

    Parameters
    ----------
    alpha : how much exploration is worth, in units of scores.
    log_of_draws : logarithm of the draws of all arms.
    draws : draws of this one, from 1.

    Examples
    --------
    >>> round(bonus(0.5, math.log(10), 4), 6)
    0.536492
    """
    return alpha * math.sqrt(2 * log_of_draws / draws)


def logarithms(upto: int) -> list[float]:
    """The logarithms of 0 (as 0), 1, …, the same on every machine."""
    return [0.0, *minus_log(1.0 / np.arange(1, upto + 1)).tolist()]


def play(
    arms: Sequence[Sequence[Batch]], rows: int, alpha: float, step: float = 1.0, at_once: int = 1
) -> Game:
    """Draw batches of the arms with the largest scores until enough rows are kept.

    An arm's score is its mean + alpha · sqrt(2 ln ΣT / T), T being its draws; arms that were never
    drawn go first, in their order, and of equal scores the first arm does.

    Parameters
    ----------
    arms : the batches of each arm, in the order in which they are drawn; each has scored rows.
    rows : how many rows to keep.
    alpha : how much exploration is worth, 0 or more.
    step : what a step of the sums is in units of scores.
    at_once : arms drawn before scores are worked out again, 1 or more.

    Returns
    -------
    The game; it keeps fewer rows only where all batches together give fewer.

    Examples
    --------
    >>> good, poor = [Batch(10, 90, 9)] * 3, [Batch(10, 20, 2)] * 3
    >>> [(draw.arm, draw.kept) for draw in play([good, poor], 25, alpha=0.1).draws]
    [(0, 9), (1, 2), (0, 9), (0, 5)]
    """
    game = Game([Record() for _ in arms])
    log = logarithms(sum(map(len, arms)))
    untried = deque(i for i, batches in enumerate(arms) if batches)
    # Of arms that were drawn equally often, the one of the largest mean leads, whatever the bonus:
    # so only the leaders of each number of draws are compared.
    tried: dict[int, list[tuple[float, int]]] = {}

    def leads(draws: int) -> tuple[float, int]:
        minus_mean, arm = tried[draws][0]
        return bonus(alpha, log[len(game.draws)], draws) - minus_mean * step, -arm

    def best() -> int:
        draws = max(tried, key=leads)
        _, arm = heappop(tried[draws])
        if not tried[draws]:
            del tried[draws]
        return arm

    while game.kept < rows and (untried or tried):
        chosen: list[int] = []
        while len(chosen) < at_once and (untried or tried):
            chosen.append(untried.popleft() if untried else best())
        for arm in chosen:
            if game.kept < rows:
                game.draw(arm, arms[arm][game.records[arm].draws], rows)
            record = game.records[arm]
            if record.draws < len(arms[arm]) and record.draws:
                heappush(tried.setdefault(record.draws, []), (-record.mean, arm))
    return game
