"""How similar records are: symmetric, between 0 and 1, and the same in any company."""

import math
from fractions import Fraction

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rapidfuzz.distance import JaroWinkler, Levenshtein

from lakebalance.core.record_similarity import Comparison, Likeness, closeness, text_similarity
from lakebalance.core.record_values import Values, jaccard_of, taken

NUMBERS = st.none() | st.floats(allow_nan=False, width=32) | st.sampled_from([0.0, -0.0, 1e300])
TEXTS = st.none() | st.text(st.sampled_from("abcdé "), min_size=1, max_size=9)
SETS = st.none() | st.sets(st.integers(0, 9), min_size=1, max_size=6)
HASHES = st.none() | st.integers(0, 3)
RECORD = st.tuples(TEXTS, TEXTS, SETS, NUMBERS, NUMBERS, HASHES)
KINDS = [pa.string(), pa.string(), pa.list_(pa.int64()), pa.float64(), pa.float64(), pa.int64()]
FIELDS = [
    Comparison("v0", "text", 2.0),
    Comparison("v1", "text", 0.3, measure="levenshtein"),
    Comparison("v2", "set", 1.0),
    Comparison("v3", "numeric", 0.7, tolerance=2.5),
    Comparison("v4", "numeric", 1.1, tolerance=0.4, relative=True),
    Comparison("v5", "exact", 0.1),
]


def values(records):
    columns = [
        [sorted(v) if isinstance(v, set) else v for v in own] for own in zip(*records, strict=True)
    ]
    arrays = [pa.array(own, kind) for own, kind in zip(columns, KINDS, strict=True)]
    return Values(pa.table(arrays, [f"v{i}" for i in range(len(arrays))]))


def by_hand(field, x, y):
    """The similarity of two values, one pair at a time."""
    if field.kind == "text":
        measure = {"jaro_winkler": JaroWinkler, "levenshtein": Levenshtein}[field.measure]
        return measure.normalized_similarity(x, y)
    if field.kind == "set":
        return len(x & y) / len(x | y)
    if field.kind == "exact":
        return float(x == y)
    if x == y:
        return 1.0
    if math.isinf(x) or math.isinf(y):
        return 0.0
    gap = abs(Fraction(x) - Fraction(y))
    gap /= max(abs(Fraction(x)), abs(Fraction(y))) if field.relative else 1
    return float(max(1 - gap / Fraction(field.tolerance), 0))


def whole_by_hand(one, other):
    """The similarity of two records, and the share of the weight of fields that both have."""
    sums = [0.0, 0.0]
    for field, x, y in zip(FIELDS, one, other, strict=True):
        if x is not None and y is not None:
            sums[0] += field.weight * by_hand(field, x, y)
            sums[1] += field.weight
    return sums[0] / sums[1] if sums[1] else math.nan, sums[1] / sum(f.weight for f in FIELDS)


def everyone(count):
    a, b = np.triu_indices(count, 1)
    return a.astype(np.int64), b.astype(np.int64)


@settings(deadline=None)
@given(st.lists(RECORD, min_size=2, max_size=12), st.floats(0.05, 1), st.floats(0.05, 1))
def test_as_by_hand_symmetric_and_the_same_in_any_company(records, threshold, min_weight):
    likeness = Likeness(FIELDS, threshold, min_weight)
    known, (a, b) = values(records), everyone(len(records))
    near, (whole, fields) = likeness.near(known, a, b), likeness.of(known, a, b)
    assert near.tolist() == likeness.near(known, b, a).tolist()
    back = likeness.of(known, b, a)
    np.testing.assert_array_equal(whole, back[0])
    np.testing.assert_array_equal(fields, back[1])
    for i, (x, y) in enumerate(zip(a.tolist(), b.tolist(), strict=True)):
        mean, share = whole_by_hand(records[x], records[y])
        np.testing.assert_allclose(whole[i], mean, atol=1e-9)
        if abs(mean - threshold) > 1e-9 and abs(share - min_weight) > 1e-9:
            assert near[i] == (mean >= threshold and share >= min_weight)
        # What decides is what is said.
        if abs(share - min_weight) > 1e-9:
            assert near[i] == (whole[i] >= threshold and share >= min_weight)
        alone = values([records[x], records[y]])
        assert likeness.near(alone, np.array([0]), np.array([1]))[0] == near[i]
        np.testing.assert_array_equal(likeness.of(alone, np.array([1]), np.array([0]))[0], whole[i])


@settings(deadline=None)
@given(st.lists(st.text(max_size=80), min_size=1, max_size=8))
def test_texts_are_as_similar_one_way_as_the_other(texts):
    a, b = everyone(len(texts) * 2)
    said = np.array([*texts, *[text[::-1] for text in texts]], object)
    for measure in ("jaro_winkler", "levenshtein"):
        one, other = (text_similarity(said[x], said[y], measure) for x, y in ((a, b), (b, a)))
        np.testing.assert_array_equal(one, other)
        assert ((one >= 0) & (one <= 1)).all()
        assert (one[said[a] == said[b]] == 1).all()


def test_published_values_of_jaro_and_winkler():
    # Winkler 1990 and 2006 print them to three digits.
    pairs = {("MARTHA", "MARHTA"): 0.961, ("DIXON", "DICKSONX"): 0.813, ("DWAYNE", "DUANE"): 0.84,
             ("SHACKLEFORD", "SHACKELFORD"): 0.982, ("JERALDINE", "GERALDINE"): 0.926}  # fmt: skip
    found = text_similarity(*map(list, zip(*pairs, strict=True)), "jaro_winkler")
    np.testing.assert_allclose(found, list(pairs.values()), atol=6e-4)
    # No more for a common beginning where the rest is unlike.
    assert text_similarity(["abcd"], ["abxy"], "jaro_winkler")[0] == pytest.approx(2 / 3)


def test_a_mean_that_is_the_threshold_is_enough():
    fields = [Comparison(f"v{i}", "numeric", tolerance=1.0) for i in range(3)]
    table = pa.table([pa.array([0.0, gap]) for gap in (0.0, 0.0, 0.6)], ["v0", "v1", "v2"])
    assert (1.0 + 1.0 + (1.0 - 0.6)) / 3 < 0.8
    likeness = Likeness(fields, 0.8, 0.5)
    assert likeness.near(Values(table), np.array([0]), np.array([1])).tolist() == [True]


def test_numbers_at_the_ends():
    inf = math.inf
    one = np.array([inf, inf, -inf, 1e308, 5e-324, -0.0, 0.0])
    other = np.array([inf, 1.0, inf, -1e308, 0.0, 0.0, 1.0])
    assert closeness(one, other, 1.0, False).tolist() == [1, 0, 0, 0, 1, 1, 0]
    assert closeness(one, other, 0.5, True).tolist() == [1, 0, 0, 0, 0, 1, 0]


@settings(deadline=None)
@given(st.lists(st.sets(st.integers(0, 2**52 - 1), max_size=5), min_size=1, max_size=9))
def test_sets_are_looked_up_in_any_order(sets):
    table = pa.table([pa.array([sorted(s) or None for s in sets], pa.list_(pa.int64()))], ["v"])
    known = Values(table.slice(0)).sets("v")
    a, b = (side.ravel() for side in np.indices((len(sets), len(sets))))
    found = taken(known, b)
    split = np.split(found.values, found.starts[1:-1])
    assert [sorted(sets[i]) for i in b] == [part.tolist() for part in split]
    wanted = [
        len(sets[i] & sets[j]) / max(len(sets[i] | sets[j]), 1) for i, j in zip(a, b, strict=True)
    ]
    assert jaccard_of(known, a, b).tolist() == wanted
