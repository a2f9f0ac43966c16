"""N-grams of texts, looked for in others."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakebalance.core.ngrams import Cut, Filter, of_rows, of_tests, once
from lakebalance.core.text_form import TextForm

FORM = TextForm(whitespace=False)
WORDS = Cut(FORM, "words", 4, 2)
CHARACTERS = Cut(FORM, "characters", 3, 3)
TEXT = st.lists(st.sampled_from("abc"), max_size=9).map(" ".join)


def array(texts):
    return FORM.apply(pa.array(texts, pa.string()))


def hashes(grams, number):
    own = grams.where(grams.owner == number)
    return set(zip(own.hi.tolist(), own.lo.tolist(), strict=True))


def sought(text, cut, joint=" "):
    """What a text is looked for by, in plain Python."""
    tokens = text.split(joint) if joint and text else list(text)
    n = min(cut.n, len(tokens))
    return {tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1)} if n else set()


def inside(text, cut, joint=" "):
    """What may be found in a text, in plain Python."""
    tokens = text.split(joint) if joint and text else list(text)
    sizes = [n for n in range(1, cut.n + 1) if n >= cut.shortest or n == len(tokens)]
    return {tuple(tokens[i : i + n]) for n in sizes for i in range(len(tokens) - n + 1)}


@settings(deadline=None)
@given(st.lists(TEXT, min_size=1, max_size=5), st.lists(TEXT, min_size=1, max_size=5))
@pytest.mark.parametrize(
    "cut", [WORDS, WORDS._replace(shortest=4), WORDS._replace(n=1, shortest=1)]
)
def test_what_is_found_is_what_texts_share(cut, tests, rows):
    theirs = of_tests(array(tests), cut, 7)
    own = once(of_rows(array(rows), cut, 7, set(theirs.length.tolist()))[0])
    for i, test in enumerate(tests):
        assert len(hashes(theirs, i)) == len(sought(test, cut))
        for j, row in enumerate(rows):
            both = hashes(theirs, i) & hashes(own, j)
            assert len(both) == len(sought(test, cut) & inside(row, cut)), (test, row)


@settings(deadline=None)
@given(st.lists(st.text("日本é\u0301\u202eש \U0001f600", max_size=6), min_size=2, max_size=4))
def test_characters_of_any_script(texts):
    form = TextForm(case=False, unicode=False, whitespace=False)
    cut = CHARACTERS._replace(form=form)
    said = form.apply(pa.array(texts, pa.string()))
    theirs = of_tests(said, cut, 0)
    own = once(of_rows(said, cut, 0, {3})[0])
    for i, test in enumerate(texts):
        for j, row in enumerate(texts):
            shared = sought(test, cut, "") & inside(row, cut, "")
            assert len(hashes(theirs, i) & hashes(own, j)) == len(shared)


def test_columns_are_apart_and_an_ngram_is_shown_as_it_stands():
    said = array(["Three blind Mice, see how they run"])
    (one, other) = (of_tests(said, WORDS, salt) for salt in (0, 1))
    assert not hashes(one, 0) & hashes(other, 0)
    grams, found = of_rows(said, WORDS, 0, {4}, lambda half: np.isin(half, [one.hi[0], one.lo[0]]))
    place = int(grams.at[0])
    assert " ".join(found.texts(place, 4)) in "three blind mice see how they run"


def test_a_filter_holds_what_is_in_it_and_little_else():
    rng = np.random.default_rng(3)
    inside, outside = rng.integers(0, 2**64, (2, 2, 20_000), np.uint64)
    marks = np.concatenate([half >> np.uint64(n) for half in inside for n in (0, 32)])
    place = marks & np.uint64(2**27 - 1)
    words, at = np.unique(place >> np.uint64(6), return_inverse=True)
    bits = np.zeros(len(words), np.uint64)
    np.bitwise_or.at(bits, at, np.uint64(1) << (place & np.uint64(63)))
    made = Filter.of(words.astype(np.int64), bits)
    assert all(made.holds(half).all() for half in inside)
    assert (made.holds(outside[0]) & made.holds(outside[1])).mean() < 1e-3
    assert 32 * 20_000 <= len(made.bits) * 64 < 64 * 20_000
    empty = Filter.of(np.empty(0, np.int64), np.empty(0, np.uint64))
    assert not empty.holds(outside[0]).any() and len(empty.bits) == 64


def test_a_text_of_ten_megabytes_and_a_word_that_is_as_long():
    text = "w" * 10**7
    numbers = " ".join(map(str, range(1_300_000)))
    rows, _ = of_rows(array([text, numbers]), WORDS, 0, {4}, lambda half: half % np.uint64(30) == 0)
    assert 1200 < len(rows.owner) < 1700
    assert of_tests(array([text, "x", numbers]), WORDS, 0).length[0] == 1
