"""Sets of shingles against what a few lines of Python say, for texts of all kinds."""

import unicodedata

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lakebalance.core import shingles as module
from lakebalance.core.shingles import Sets, chunks, hash_of_sets, jaccard, shingles
from lakebalance.core.text_form import TextForm


def words_of(text):
    """Runs of letters, marks and digits."""
    kinds = [unicodedata.category(c)[0] in "LMN" for c in text]
    return "".join(c if k else " " for c, k in zip(text, kinds, strict=True)).split(" ")


def judged(text, tokens, n):
    """The shingles of a text, as tuples."""
    parts = [w for w in words_of(text) if w] if tokens == "words" else list(text)
    if 0 < len(parts) < n:
        return {tuple(parts)}
    return {tuple(parts[i : i + n]) for i in range(len(parts) - n + 1)}


def sets_of(texts, tokens="words", n=2):
    return shingles(pa.array(texts, pa.large_string()), tokens, n)


def as_sets(sets):
    return [
        set(sets.values[a:b].tolist())
        for a, b in zip(sets.starts[:-1], sets.starts[1:], strict=True)
    ]


def similarity(one, other):
    return len(one & other) / max(len(one | other), 1)


# Few letters, so that words repeat; scripts with and without spaces, marks, joined emoji.
TEXT = st.text(
    st.sampled_from("abAB \n.,-_1٣ée\u0301नि漢字仮שם\U0001f469\u200d\U00020000"), max_size=40
)


@settings(deadline=None, max_examples=150)
@given(st.lists(TEXT, min_size=1, max_size=8), st.sampled_from(["words", "characters"]),
       st.integers(1, 4))  # fmt: skip
@example([""], "words", 1)
@example(["a", "", "b"], "words", 2)
def test_as_many_shingles_as_python_counts_and_the_same_similarities(texts, tokens, n):
    sets = sets_of(texts, tokens, n)
    want = [judged(text, tokens, n) for text in texts]
    assert sets.sizes.tolist() == [len(w) for w in want]
    found = as_sets(sets)
    for mine, theirs in zip(found, want, strict=True):
        assert similarity(mine, found[0]) == similarity(theirs, want[0])
    one = Sets(np.tile(found_values(sets, 0), len(texts)),
               np.arange(len(texts) + 1) * sets.sizes[0])  # fmt: skip
    assert jaccard(one, sets).tolist() == [similarity(w, want[0]) for w in want]


def found_values(sets, i):
    return sets.values[sets.starts[i] : sets.starts[i + 1]]


@settings(deadline=None, max_examples=50)
@given(st.lists(st.one_of(st.none(), TEXT), max_size=30), st.integers(1, 60), st.integers(1, 5))
def test_chunks_change_nothing(texts, characters, count):
    array = pa.array(texts, pa.large_string())
    whole = as_sets(shingles(array, "words", 2))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "CHUNK_CHARACTERS", characters)
        patch.setattr(module, "CHUNK_TEXTS", count)
        module._powers.cache_clear()
        cut = [chunk.to_pylist() for chunk in chunks(array)]
        assert [text for chunk in cut for text in chunk] == texts
        assert all(len(chunk) <= count for chunk in cut)
        longest = max((len(w) for t in texts if t for w in words_of(t)), default=0)
        found = [s for chunk in chunks(array) for s in as_sets(shingles(chunk, "words", 2))]
        if longest <= characters:
            assert found == whole
    module._powers.cache_clear()


def test_words_longer_than_a_chunk_differ_wherever_they_do(monkeypatch):
    monkeypatch.setattr(module, "CHUNK_CHARACTERS", 8)
    module._powers.cache_clear()
    long = "a" * 16
    texts = [f"{long}b", f"{long}c", long, f"b{long[1:]}", f"{long}aaaaaaaa", f"x {long}b y"]
    values = [set(own) for own in as_sets(sets_of([*texts, texts[0]]))]
    module._powers.cache_clear()
    assert values[0] == values[-1]
    assert all(a != b for i, a in enumerate(values[:-1]) for b in values[:i])


def test_a_text_of_ten_megabytes():
    rng = np.random.default_rng(3)
    text = " ".join(map(str, rng.integers(0, 10**6, 1_600_000)))
    assert len(text) > 10_000_000
    (whole,) = [shingles(chunk, "words", 5) for chunk in
                chunks(pa.array([text], pa.large_string()))]  # fmt: skip
    assert whole.sizes.tolist() == [1_600_000 - 4]
    edited = sets_of([text + " 7 8"], "words", 5)
    assert jaccard(whole, edited)[0] == (1_600_000 - 4) / (1_600_000 - 2)


def test_short_texts_are_shingles_of_their_own():
    sets = as_sets(sets_of(["a", "a b", "a b c", "b", "", None, "…"], "words", 3))
    assert [len(s) for s in sets] == [1, 1, 1, 1, 0, 0, 0]
    assert len(set.union(*sets)) == 4


def test_marks_are_of_the_word_and_scripts_without_spaces_go_by_characters():
    assert sets_of(["हिन्दी भाषा"], "words", 1).sizes.tolist() == [2]
    assert sets_of(["我们今天去学校"], "words", 2).sizes.tolist() == [1]
    one, other = as_sets(sets_of(["我们今天去学校", "我们昨天去学校"], "characters", 2))
    assert similarity(one, other) == 4 / 8


def test_equal_sets_have_equal_hashes():
    sets = sets_of(["a b a b", "b a b", "a b", "b c"], "words", 2)
    pairs = list(zip(*(half.tolist() for half in hash_of_sets(sets)), strict=True))
    assert pairs[0] == pairs[1] and len(set(pairs)) == 3


def test_similarities_in_many_chunks(monkeypatch):
    monkeypatch.setattr(module, "CHUNK_TEXTS", 3)
    one = Sets(np.arange(20, dtype=np.uint64), np.arange(0, 21, 2))
    other = Sets(np.arange(1, 21, dtype=np.uint64), np.arange(0, 21, 2))
    assert jaccard(one, other).tolist() == [1 / 3] * 10


@pytest.mark.parametrize(
    ("options", "texts"),
    [
        ({}, ["Ｓtraße  x ", "straße x"]),
        ({}, ["e\u0301te\u0301", "été"]),
        ({}, ["ﬁn\u00a0de", "fin de"]),
        ({"punctuation": True}, ["«well»—known!", "well known"]),
        ({"case": False, "unicode": False}, ["a\t b", "a b"]),
    ],
)
def test_differences_that_do_not_count(options, texts):
    one, other = TextForm(**options).apply(pa.array(texts)).to_pylist()
    assert one == other


def test_differences_that_count():
    kept = TextForm(case=False, unicode=False, whitespace=False)
    texts = ["A", "e\u0301", "é", " a", "a!", "", None]
    assert kept.apply(pa.array(texts)).to_pylist() == texts
    assert TextForm().apply(pa.array(["a!", "a"])).to_pylist() == ["a!", "a"]
