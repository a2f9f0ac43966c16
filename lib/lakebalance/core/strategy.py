"""The words by which imbalanced-learn's ``sampling_strategy`` means groups."""

from __future__ import annotations

from collections.abc import Sequence


def meant_by(word: str, counts: Sequence[int]) -> list[int]:
    """Which groups a word means, by their rows; of several smallest or largest the first is it.

    Parameters
    ----------
    word : minority, majority, not minority, not majority or all.
    counts : rows of each group, one at least.

    Returns
    -------
    Positions of groups, rising.

    Examples
    --------
    >>> meant_by("not minority", [5, 2, 2]), meant_by("majority", [5, 2, 2])
    ([0, 2], [0])
    """
    places = range(len(counts))
    minority = min(places, key=counts.__getitem__)
    majority = max(places, key=counts.__getitem__)
    return {
        "minority": [minority],
        "majority": [majority],
        "not minority": [i for i in places if i != minority],
        "not majority": [i for i in places if i != majority],
        "all": list(places),
    }[word]
