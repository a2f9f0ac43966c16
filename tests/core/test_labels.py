"""Label sets read from groups' values, and the measures of their imbalance: the worked example."""

import json
import math

import numpy as np
import pytest

from lakebalance.core.errors import RecipeError
from lakebalance.core.labels import array_labels, is_array, label_sets, readable


def array(*labels):
    """A group's value as rows are counted by an array; no labels at all for a null array."""
    return json.dumps({"v": labels}, ensure_ascii=False, separators=(",", ":"))


def arrays(*lists, rows=None):
    values = [{"labels": "{}" if x is None else array(*x)} for x in lists]
    return label_sets(values, rows or [1] * len(lists))


def test_the_worked_example():
    sets = arrays(["1"], ["1"], ["1", "2"], ["1", "3"], ["2"], ["1"])
    assert sets.counts.tolist() == [5, 2, 1] and sets.irlbl.tolist() == [1, 2.5, 5]
    assert (round(sets.mean_ir, 4), round(sets.cvir, 4)) == (2.8333, 0.7132)
    assert sets.scumble_of_sets.round(4).tolist() == [0, 0, 0.0965, 0.2546, 0, 0]
    assert sets.scumble == pytest.approx((0.0965 + 0.2546) / 6, abs=1e-4)
    assert sets.minority.tolist() == [False, False, True]


def test_counted_groups_measure_as_their_rows_do():
    rows = arrays(*[["a"]] * 7, *[["a", "b"]] * 2, ["c", "b"], [])
    groups = arrays(["a"], ["b", "a"], ["b", "c", "b"], [], rows=[7, 2, 1, 1])
    assert groups.counts.tolist() == rows.counts.tolist() == [9, 3, 1]
    assert (groups.mean_ir, groups.cvir) == (rows.mean_ir, rows.cvir)
    assert groups.scumble == pytest.approx(rows.scumble, abs=1e-12)


def test_columns_and_an_array_are_the_same_labels():
    columns = label_sets(
        [{"a": 1, "b": False}, {"a": 1.0, "b": True}, {"a": "0", "b": "1"}, {"a": 0, "b": 0}],
        [5, 2, 1, 3],
    )
    listed = arrays(["a"], ["b", "a"], ["b"], [], rows=[5, 2, 1, 3])
    for name in ("counts", "known", "irlbl", "scumble_of_sets"):
        assert getattr(columns, name).tolist() == getattr(listed, name).tolist(), name


def test_unknown_is_neither_there_nor_absent():
    columns = label_sets(
        [{"a": 1, "b": None}, {"a": None, "b": 1}, {"a": None, "b": None}, {"a": 0, "b": 0}],
        [10, 20, 40, 80],
    )
    assert columns.counts.tolist() == [10, 20] and columns.known.tolist() == [90, 100]
    assert columns.in_the_dark.tolist() == [False, False, True, False]
    assert columns.may_have(np.array([False, True])).tolist() == [True, True, True, False]
    listed = arrays(["a", None], None, [], ["b"], rows=[10, 40, 80, 20])
    assert listed.counts.tolist() == [10, 20] and listed.known.tolist() == [110, 100]
    assert listed.in_the_dark.tolist() == [False, True, False, False]
    assert listed.may_have(np.array([False, True])).tolist() == [True, True, False, True]


def test_labels_that_no_row_has_and_rows_without_labels():
    sets = label_sets([{"a": 1, "b": 0}, {"a": 0, "b": 0}], [3, 4])
    assert sets.irlbl[0] == 1 and math.isnan(sets.irlbl[1])
    assert sets.mean_ir == 1 and math.isnan(sets.cvir) and sets.scumble == 0
    nothing = arrays(None, None)
    assert list(nothing.names) == [] and nothing.in_the_dark.tolist() == [True, True]
    assert math.isnan(nothing.mean_ir) and math.isnan(nothing.scumble)
    assert label_sets([], []).counts.tolist() == []


def test_one_column_that_is_no_array_is_a_rows_only_label():
    sets = label_sets([{"c": "x"}, {"c": None}, {"c": "y"}], [3, 4, 1])
    assert list(sets.names) == ["x", "y"] and sets.known.tolist() == [4, 4]
    assert list(label_sets([{"c": True}, {"c": 1.5}], [1, 1]).names) == ["1.5", "true"]


def test_a_column_of_something_else_is_named():
    with pytest.raises(RecipeError, match="column \"region\" has the value 'north'"):
        label_sets([{"a": 1, "region": "north"}], [1])
    with pytest.raises(RecipeError, match='column "n" has the value 2'):
        label_sets([{"a": 1, "n": 1}, {"a": 0, "n": 2}], [1, 1])


def test_arrays_are_told_from_texts():
    assert is_array([array("a"), "{}", None]) and is_array(["{}"])
    assert not is_array(["a", array("a")]) and not is_array([None]) and not is_array([1])
    odd = ['"', "a,b", "é\\", "]}", "", "null", '{"v":[', "\n"]
    assert array_labels(array(*odd)) == odd
    assert json.loads(readable(array(*odd, None))) == [*odd, None]
    assert readable('{"v":[oops') is None and readable(7) is None
