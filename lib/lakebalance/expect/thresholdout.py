"""Thresholdout: answers about a holdout that stay true however often it is asked.

Who tunes by a holdout fits it in the end. Here the training rows answer as long as the holdout
agrees with them up to a noisy threshold, so that nothing is learned of it; only where it does not
does its own mean answer, with noise, and such answers are numbered.

Dwork, Feldman, Hardt, Pitassi, Reingold, Roth, "Generalization in Adaptive Data Analysis and
Holdout Reuse", NIPS 2015, and "The reusable holdout", Science 349, 2015.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lakebalance.core.chance import exponential, salt_of, words

TRAINING, HOLDOUT = "training", "holdout"


@dataclass(frozen=True)
class Terms:
    """How far the two means may differ, the scale of the noise, and how often the holdout answers.

    ``threshold`` and ``noise`` are in the unit of the means, which lie from 0 to 1.
    """

    threshold: float = 0.04
    noise: float = 0.01
    budget: int = 100


@dataclass(frozen=True)
class Answer:
    """A mean as it is told, and which rows it is of."""

    value: float
    of: str


def laplace(number: int, scale: float, *salt: str | int) -> float:
    """Laplace noise that follows from a number and a salt: the difference of two exponentials.

    Examples
    --------
    >>> laplace(1, 0.01, "a") == laplace(1, 0.01, "a") != laplace(2, 0.01, "a")
    True
    """
    keys, uses = np.array([number, number]), np.array([0, 1])
    one, other = exponential(words(keys, uses, salt_of(*salt)))
    return scale * float(one - other)


def answer(
    training: float, holdout: float, terms: Terms, *, number: int, spent: int, salt: str
) -> Answer:
    """What is told of two means.

    Parameters
    ----------
    training, holdout : the mean over either's rows, 0 to 1.
    terms : threshold T, noise sigma, budget.
    number : how many questions came before; each has noise of its own.
    spent : how many of them the holdout answered, fewer than the budget; the threshold's own noise
        is new after each.
    salt : what the noise follows from. Who knows it can take the noise out.

    Raises
    ------
    ValueError : the budget is spent.

    Examples
    --------
    >>> terms = Terms(threshold=0.1, noise=1e-9)
    >>> answer(0.80, 0.78, terms, number=0, spent=0, salt="s").value
    0.8
    >>> answer(0.99, 0.51, terms, number=1, spent=0, salt="s").of
    'holdout'
    """
    if spent >= terms.budget:
        raise ValueError(f"all {terms.budget} answers of the holdout are spent")
    sigma = terms.noise
    limit = terms.threshold + laplace(spent, 2 * sigma, salt, "threshold")
    limit += laplace(number, 4 * sigma, salt, "question")
    if abs(holdout - training) <= limit:
        return Answer(training, TRAINING)
    told = holdout + laplace(number, sigma, salt, "answer")
    return Answer(min(max(told, 0.0), 1.0), HOLDOUT)
