"""Which labels a new row has: those of at least half of its parent and the parent's neighbours.

A label that a voter is not known to have or to lack may be either. Where that decides the vote, it
is not known of the new row either.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from lakebalance.core.labels import ABSENT, PRESENT, UNKNOWN, Flags, Ints


def voted(values: pa.Array, voters: Ints) -> pa.Array:
    """The labels that some rows vote for.

    Parameters
    ----------
    values : the labels of all rows: arrays of labels, or one label's 0, 1 and null.
    voters : positions of rows, the first parent first; a row for each value that is wanted.

    Returns
    -------
    Values of the same type. An array is the first parent's where that has these labels; else it has
    them in the order in which the voters have them, and a null at its end where some are unknown.

    Examples
    --------
    >>> rows = pa.array([["b", "a"], ["a", "c"], ["c"], ["a"]])
    >>> voted(rows, np.array([[0, 1, 2, 3]])).to_pylist()
    [['a', 'c']]
    >>> voted(pa.array([1, 0, None]), np.array([[0, 1, 1], [0, 1, 2], [0, 0, 2]])).to_pylist()
    [0, None, 1]
    """
    if pa.types.is_list(values.type) or pa.types.is_large_list(values.type):
        return _voted_arrays(values, voters)
    return _voted_flags(values, voters)


def _voted_flags(values: pa.Array, voters: Ints) -> pa.Array:
    numbers = values.cast(pa.float64()).to_numpy(zero_copy_only=False)
    state = np.where(np.isnan(numbers), UNKNOWN, np.where(numbers == 1, PRESENT, ABSENT))
    of_voters = state[voters]
    has = (of_voters == PRESENT).sum(axis=1)
    may = has + (of_voters == UNKNOWN).sum(axis=1)
    half = voters.shape[1]
    wanted = np.where(2 * has >= half, PRESENT, np.where(2 * may >= half, UNKNOWN, ABSENT))
    # Whatever wins, some voter has it, in the form that the column has.
    who = (of_voters == wanted[:, None]).argmax(axis=1)
    return values.take(pa.array(voters[np.arange(len(voters)), who]))


@dataclass(frozen=True)
class _Labels:
    """The distinct labels of each row: those from ``starts[i]`` to ``starts[i + 1]`` are row i's.

    ``open`` are rows that may have others: null arrays, and those with a null in them.
    """

    distinct: pa.Array
    codes: Ints
    starts: Ints
    open: Flags

    @classmethod
    def of(cls, values: pa.Array) -> _Labels:
        """The labels of an array column."""
        lengths = values.value_lengths().fill_null(0).to_numpy(zero_copy_only=False)
        items, row = values.flatten(), np.repeat(np.arange(len(values)), lengths)
        known = items.is_valid().to_numpy(zero_copy_only=False)
        unknown = values.is_null().to_numpy(zero_copy_only=False)
        unknown[row[~known]] = True
        named = items.filter(pa.array(known)).dictionary_encode()
        codes = named.indices.to_numpy(zero_copy_only=False).astype(np.int64)
        pair = row[known] * max(len(named.dictionary), 1) + codes
        first = np.sort(np.unique(pair, return_index=True)[1])
        starts = np.searchsorted(row[known][first], np.arange(len(values) + 1))
        return cls(named.dictionary, codes[first], starts, unknown)

    @property
    def counts(self) -> Ints:
        """How many labels each row has."""
        return np.diff(self.starts)


def _voted_arrays(values: pa.Array, voters: Ints) -> pa.Array:
    labels = _Labels.of(values)
    asked, half = voters.shape
    every = voters.ravel()
    lengths = labels.counts[every]
    voter = np.repeat(np.arange(len(every)), lengths)
    within = np.arange(len(voter)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    code = labels.codes[labels.starts[every[voter]] + within]
    # Each label that a child's voters have at all, in the order in which they have it.
    pair = (voter // half) * max(len(labels.distinct), 1) + code
    named, first, which, has = np.unique(
        pair, return_index=True, return_inverse=True, return_counts=True
    )
    child, code = np.divmod(named, max(len(labels.distinct), 1))
    unsure = labels.open[voters].sum(axis=1)
    surely = np.bincount(which, weights=labels.open[every[voter]], minlength=len(named))
    wins = 2 * has >= half
    undecided = ~wins & (2 * (has + unsure[child] - surely) >= half)
    is_open = (2 * unsure >= half) | (np.bincount(child[undecided], minlength=asked) > 0)

    of_parent = wins & (voter[first] % half == 0)
    parent = voters[:, 0]
    number = np.bincount(child[wins], minlength=asked)
    same = (number == labels.counts[parent]) & (is_open == labels.open[parent])
    same &= np.bincount(child[of_parent], minlength=asked) == number
    made = _arrays(labels, child[wins], first[wins], code[wins], is_open, values.type)
    place = np.where(same, asked + parent, np.arange(asked))
    return pa.concat_arrays([made, values]).take(pa.array(place))


def _arrays(
    labels: _Labels, child: Ints, order: Ints, code: Ints, is_open: Flags, kind: pa.DataType
) -> pa.Array:
    """An array of labels for each child, with a null at its end where it is open."""
    opened = np.flatnonzero(is_open)
    last = np.full(len(opened), np.iinfo(np.int64).max)
    child, order = np.concatenate([child, opened]), np.concatenate([order, last])
    code = np.concatenate([code, np.full(len(opened), -1)])
    code = code[np.lexsort((order, child))]
    ends = np.cumsum(np.bincount(child, minlength=len(is_open)))
    items = labels.distinct.take(pa.array(code, mask=code < 0))
    offsets = np.concatenate([[0], ends]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), items).cast(kind)
