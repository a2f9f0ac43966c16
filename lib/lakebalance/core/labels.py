"""Label sets of groups, and how imbalanced their labels are.

The labels of a row are the elements of one array column, or the 0/1 columns that are 1; a single
column of another kind is a row's only label. Rows of one group have one label set, so everything
here is worked out on the small table of groups.

A label is known to be there, known not to be there, or unknown: a null among 0/1 columns, all
labels of a null array, and all that an array does not name where one of its elements is null.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lakebalance.core.errors import RecipeError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

ARRAY, NULL_ARRAY = '{"v":[', "{}"
ABSENT, PRESENT, UNKNOWN, OTHER = 0, 1, 2, 3
# True and 1.0 are found as 1; a decimal's value is a text.
STATES: Mapping[Any, int] = {
    0: ABSENT, 1: PRESENT, "0": ABSENT, "1": PRESENT, None: UNKNOWN,
}  # fmt: skip


@dataclass(frozen=True)
class LabelSets:
    """The labels of groups: entry i says that group ``set_of[i]`` has label ``label_of[i]``.

    Of the groups in ``open`` no label is known but those that they have; ``unknown_set_of`` and
    ``unknown_label_of`` are single labels of groups that are unknown.
    """

    names: Sequence[str]
    rows: Ints
    set_of: Ints
    label_of: Ints
    open: Flags
    unknown_set_of: Ints
    unknown_label_of: Ints

    def with_rows(self, rows: Sequence[int]) -> LabelSets:
        """The same label sets with other numbers of rows."""
        return replace(self, rows=np.array(rows, dtype=np.int64))

    def only(self, groups: Flags) -> LabelSets:
        """Some of the groups, with all labels."""
        place = np.cumsum(groups) - 1
        has, unknown = groups[self.set_of], groups[self.unknown_set_of]
        return LabelSets(
            self.names,
            self.rows[groups],
            place[self.set_of[has]],
            self.label_of[has],
            self.open[groups],
            place[self.unknown_set_of[unknown]],
            self.unknown_label_of[unknown],
        )

    def per_set(self, of_label: Floats) -> Floats:
        """The sum of a number over each group's labels."""
        return _sums(self.set_of, of_label[self.label_of], len(self.rows))

    def per_label(self, of_set: Floats) -> Floats:
        """The sum of a number over the groups that have each label."""
        return _sums(self.label_of, of_set[self.set_of], len(self.names))

    def may_have(self, labels: Flags) -> Flags:
        """Which groups have one of some labels, or may have it for all that is known."""
        found = self.open.copy() if labels.any() else np.zeros(len(self.rows), dtype=bool)
        found[self.set_of[labels[self.label_of]]] = True
        found[self.unknown_set_of[labels[self.unknown_label_of]]] = True
        return found

    @cached_property
    def labelled(self) -> Flags:
        """Which groups have a label."""
        return np.bincount(self.set_of, minlength=len(self.rows)) > 0

    @cached_property
    def in_the_dark(self) -> Flags:
        """Of which groups nothing is known: neither a label that they have nor one they lack."""
        unknown = np.bincount(self.unknown_set_of, minlength=len(self.rows))
        nothing = (unknown == len(self.names)) & (len(self.names) > 0)
        dark: Flags = (self.open | nothing) & ~self.labelled
        return dark

    @cached_property
    def counts(self) -> Floats:
        """Rows that have each label."""
        return self.per_label(self.rows.astype(float))

    @cached_property
    def known(self) -> Floats:
        """Rows of which it is known whether they have each label."""
        rows = self.rows.astype(float)
        shut = float(self.rows[~self.open].sum())
        of_open = self.per_label(np.where(self.open, rows, 0.0))
        single = _sums(self.unknown_label_of, rows[self.unknown_set_of], len(self.names))
        return shut + of_open - single

    @cached_property
    def irlbl(self) -> Floats:
        """Each label's imbalance ratio, rows of the commonest label / its own; NaN without rows."""
        counts = self.counts
        most = counts.max(initial=0.0)
        ratios: Floats = np.full(len(counts), np.nan)
        np.divide(most, counts, out=ratios, where=counts > 0)
        return ratios

    @cached_property
    def mean_ir(self) -> float:
        """The mean of the labels' imbalance ratios; NaN without labels."""
        there = self.irlbl[~np.isnan(self.irlbl)]
        return math.fsum(there) / len(there) if len(there) else math.nan

    @cached_property
    def cvir(self) -> float:
        """Their coefficient of variation, by n - 1; NaN of less than two labels."""
        there = self.irlbl[~np.isnan(self.irlbl)]
        if len(there) < 2:
            return math.nan
        squares = math.fsum((there - self.mean_ir) ** 2)
        return math.sqrt(squares / (len(there) - 1)) / self.mean_ir

    @cached_property
    def scumble_of_sets(self) -> Floats:
        """How far frequent and rare labels meet in each group: 0, not at all, to below 1."""
        return scumble(self.irlbl, self.set_of, self.label_of, len(self.rows))

    @cached_property
    def scumble(self) -> float:
        """The mean over all rows of which something is known; NaN of no rows."""
        rows = np.where(self.in_the_dark, 0, self.rows)
        total = int(rows.sum())
        return math.fsum(self.scumble_of_sets * rows) / total if total else math.nan

    @property
    def minority(self) -> Flags:
        """The labels whose imbalance ratio is over the mean."""
        return self.irlbl > self.mean_ir


def _sums(index: Ints, values: Floats, length: int) -> Floats:
    # One after the other in order of the entries, so that it is the same sum on any machine.
    return np.bincount(index, weights=values, minlength=length).astype(np.float64)


def scumble(irlbl: Floats, set_of: Ints, label_of: Ints, sets: int) -> Floats:
    """1 - geometric mean / mean of the imbalance ratios of each set's labels; 0 without labels.

    Rounded to twelve digits, as the last bits of a logarithm differ from machine to machine.

    References
    ----------
    Charte et al., "Concurrence among imbalanced labels and its influence on multilabel resampling
    algorithms", 2014.

    Examples
    --------
    >>> one_set, labels = np.array([0, 0]), np.array([0, 1])
    >>> scumble(np.array([1.0, 5.0]), one_set, labels, 1).round(4).tolist()
    [0.2546]
    """
    labels = np.maximum(np.bincount(set_of, minlength=sets), 1)
    ratios = irlbl[label_of]
    mean = _sums(set_of, ratios, sets) / labels
    geometric = np.exp(_sums(set_of, np.log(ratios), sets) / labels)
    shares = np.divide(geometric, mean, out=np.ones(sets), where=mean > 0)
    return np.maximum(np.round(1 - shares, 12), 0.0)


def label_sets(values: Sequence[Mapping[str, Any]], rows: Sequence[int]) -> LabelSets:
    """The label sets of groups.

    Parameters
    ----------
    values : per group its values by column, as groups are counted: of one array column, of one
        column whose value is a row's only label, or of several columns of 0, 1 and null.
    rows : per group its rows.

    Raises
    ------
    RecipeError : one of several columns has another value.

    Examples
    --------
    >>> sets = label_sets([{"a": 1, "b": 0}, {"a": 1, "b": 1}, {"a": None, "b": 0}], [7, 2, 1])
    >>> sets.counts.tolist(), sets.known.tolist(), sets.irlbl.tolist()
    ([9.0, 2.0], [9.0, 10.0], [1.0, 4.5])
    """
    names = list(values[0]) if values else []
    if len(names) > 1:
        return _of_columns(names, values, rows)
    single = [value[names[0]] for value in values]
    return _of_lists(list(map(array_labels, single)) if is_array(single) else _only(single), rows)


def is_array(values: Iterable[Any]) -> bool:
    """Whether a column's groups are those of an array: null everywhere, or a list somewhere."""
    texts = set()
    for value in values:
        if value is not None and not isinstance(value, str):
            return False
        texts.add(value if value in (None, NULL_ARRAY) else value.startswith(ARRAY))
    return False not in texts and (True in texts or NULL_ARRAY in texts)


def array_labels(value: str | None) -> list[str | None] | None:
    """The labels of an array's group in their order, None for a null; None for a null array.

    Examples
    --------
    >>> array_labels('{"v":["a",7,null]}'), array_labels('{"v":[{"n":false,"v":1.5},{"n":true}]}')
    (['a', '7', None], ['1.5', None])
    """
    if value is None or value == NULL_ARRAY:
        return None
    return [None if item is None else label_text(item) for item in _items(value)]


def _items(text: str) -> list[Any]:
    """The elements of an array's group; kinds that JSON does not tell apart come with a flag."""
    items = json.loads(text)["v"]
    return [item.get("v") if isinstance(item, dict) else item for item in items]


def readable(value: Any) -> str | None:
    """An array's group as a JSON array of its elements; None for any other value.

    Examples
    --------
    >>> readable('{"v":["a",null]}'), readable("a")
    ('["a", null]', None)
    """
    if not (isinstance(value, str) and value.startswith(ARRAY)):
        return None
    try:
        return json.dumps(_items(value), ensure_ascii=False)
    except (ValueError, TypeError):
        return None


def group_text(group: Mapping[str, Any]) -> str:
    """A group's values as JSON writes them, so that null, NaN and "null" differ.

    Examples
    --------
    >>> group_text({"carrier": "UA", "gate": None}), group_text({})
    ('carrier="UA", gate=null', 'all rows')
    """
    shown = {name: readable(value) or _seen(value) for name, value in group.items()}
    return ", ".join(f"{name}={text}" for name, text in shown.items()) or "all rows"


def _seen(value: Any) -> str:
    """A value as JSON writes it; what cannot be seen is escaped."""
    text = json.dumps(value, ensure_ascii=False)
    return text if text.isprintable() else json.dumps(value)


def label_text(value: Any) -> str:
    """A label's name: a text as it is, all else as JSON writes it."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _only(values: Sequence[Any]) -> list[list[str | None] | None]:
    return [None if value is None else [label_text(value)] for value in values]


def _of_lists(lists: Sequence[Sequence[str | None] | None], rows: Sequence[int]) -> LabelSets:
    distinct = [set(labels) if labels is not None else {None} for labels in lists]
    names = sorted({name for labels in distinct for name in labels if name is not None})
    place = {name: i for i, name in enumerate(names)}
    entries = [sorted(place[name] for name in labels if name is not None) for labels in distinct]
    nothing = np.array([], dtype=np.int64)
    return LabelSets(
        names,
        np.array(rows, dtype=np.int64),
        np.repeat(np.arange(len(entries)), [len(labels) for labels in entries]).astype(np.int64),
        np.array([label for labels in entries for label in labels], dtype=np.int64),
        np.array([None in labels for labels in distinct], dtype=bool),
        nothing,
        nothing,
    )


def _of_columns(
    names: Sequence[str], values: Sequence[Mapping[str, Any]], rows: Sequence[int]
) -> LabelSets:
    states = np.array(
        [[STATES.get(value[name], OTHER) for value in values] for name in names], dtype=np.int8
    )
    if (strange := np.argwhere(states == OTHER)).size:
        column, group = strange[0]
        raise RecipeError(
            f'by: column "{names[column]}" has the value {values[group][names[column]]!r}, and '
            "several columns of labels have 0, 1 and null; write such columns, or one array column"
        )
    has, unknown = np.argwhere(states.T == PRESENT), np.argwhere(states.T == UNKNOWN)
    return LabelSets(
        names,
        np.array(rows, dtype=np.int64),
        has[:, 0].astype(np.int64),
        has[:, 1].astype(np.int64),
        np.zeros(len(rows), dtype=bool),
        unknown[:, 0].astype(np.int64),
        unknown[:, 1].astype(np.int64),
    )
