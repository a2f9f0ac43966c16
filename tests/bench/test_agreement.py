"""What the comparison of tools takes for true is true of all pairs."""

import itertools

import pyarrow as pa
import pytest

from lakebalance.core.text_form import TextForm
from lakebalance.prune.texts import Shingling
from minhash_agreement import Texts, in_buckets, similarities, similarity_of, words_of
from planted import planted, shingled


def test_similarities_are_those_of_all_pairs():
    texts, family = planted(300)
    sets = [shingled(text) for text in texts]
    every = {
        (a, b): len(sets[a] & sets[b]) / len(sets[a] | sets[b])
        for a, b in itertools.combinations(range(300), 2)
    }
    expected = {pair: s for pair, s in every.items() if s >= 0.2}
    assert similarities(sets) == pytest.approx(expected)
    found = Texts.of("planted", texts)
    assert found.similar == pytest.approx(expected) and len(expected) > 30
    assert {family[a] == family[b] for a, b in found.similar} == {True}
    assert similarity_of(found, (0, 0)) == 0


def test_words_are_those_that_lakebalance_compares():
    texts = ["A Rose_is a rose", "naïve e\u0301tude №5, ﬁne", "नि:शुल्क 漢字", "x", "", " … "]
    sets = next(Shingling(TextForm(), "words", 2).sets(pa.array(texts)))
    words = [words_of(text) for text in texts]
    assert words[:2] == [["a", "rose", "is", "a", "rose"], ["naïve", "étude", "no5", "fine"]]
    runs = [{tuple(own[i : i + 2]) for i in range(max(len(own) - 1, min(len(own), 1)))}
            for own in words]  # fmt: skip
    assert sets.sizes.tolist() == [len(own) for own in runs]


def test_a_bucket_makes_all_its_pairs():
    assert in_buckets([[3, 1, 2], [2, 3], [5]]) == {(1, 2), (1, 3), (2, 3)}
