"""How common groups were and are, and what a model trained on the output must be corrected by.

A model trained on balanced data believes in balanced classes. Its probabilities become those of the
data as they were by ``p'(c) ∝ p(c) · before(c) / after(c)``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lakebalance.core.errors import RecipeError

if TYPE_CHECKING:
    from lakebalance.plans import PlannedGroup


@dataclass(frozen=True)
class Prior:
    """A group's share of the rows before balance and after, whatever source they come from."""

    group: dict[str, Any]
    before: float
    after: float

    @property
    def factor(self) -> float | None:
        """What a predicted probability of the group is multiplied by; None where it has no rows."""
        return self.before / self.after if self.after else None

    def to_dict(self) -> dict[str, Any]:
        """The prior as JSON holds it."""
        return {
            "group": self.group,
            "before": self.before,
            "after": self.after,
            "factor": self.factor,
        }


def priors_of(groups: Iterable[PlannedGroup]) -> list[Prior]:
    """The priors of a plan's groups, in their order; before is after gates and pruning."""
    counts: dict[str, tuple[dict[str, Any], int, int]] = {}
    for group in groups:
        values, before, after = counts.get(repr(group.group), (group.json_group, 0, 0))
        counts[repr(group.group)] = (values, before + group.available, after + group.target)
    had = sum(before for _, before, _ in counts.values()) or 1
    has = sum(after for *_, after in counts.values()) or 1
    return [Prior(values, before / had, after / has) for values, before, after in counts.values()]


def recalibrate(
    probabilities: ArrayLike, priors: Sequence[Prior | Mapping[str, Any]]
) -> NDArray[np.float64]:
    """Probabilities that a model trained on the output predicts, for the data as they were.

    Parameters
    ----------
    probabilities : one row per prediction, one column per class, in the order of ``priors``.
    priors : as a plan has them, or as its JSON does.

    Returns
    -------
    An array of the same shape whose rows sum to 1.

    Raises
    ------
    RecipeError : the number of columns is not that of the priors, or a class was never trained on.

    References
    ----------
    Buda, Maki, Mazurowski, "A systematic study of the class imbalance problem in convolutional
    neural networks", 2018 ("thresholding").

    Examples
    --------
    >>> known = [Prior({"y": 0}, 0.01, 0.5), Prior({"y": 1}, 0.99, 0.5)]
    >>> recalibrate([[0.6, 0.4]], known).round(4).tolist()
    [[0.0149, 0.9851]]
    """
    given = np.asarray(probabilities, dtype=float)
    dicts = [p.to_dict() if isinstance(p, Prior) else p for p in priors]
    if given.ndim != 2 or given.shape[1] != len(dicts):
        raise RecipeError(
            f"probabilities must have a column for each of {len(dicts)} classes; their shape is "
            f"{given.shape}"
        )
    if never := [p["group"] for p in dicts if p["factor"] is None]:
        raise RecipeError(f"no row of {never[0]} was trained on, so nothing is known of it")
    weighed = given * np.array([p["factor"] for p in dicts], dtype=float)
    shares: NDArray[np.float64] = weighed / weighed.sum(axis=1, keepdims=True)
    return shares
