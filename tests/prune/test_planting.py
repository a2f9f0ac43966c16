"""Copies that are planted are about as similar as they should be."""

import numpy as np
import pytest

from lakebalance.prune.planting import edit_one
from planted import shingled, words_at_random


def similarity(one, other, ngram):
    a, b = shingled(one, ngram), shingled(other, ngram)
    return len(a & b) / len(a | b)


@pytest.mark.parametrize("ngram", [1, 5])
def test_copies_of_words_are_between_seven_and_nineteen_twentieths(ngram):
    rng = np.random.default_rng(1)
    texts = [" ".join(f"w{n}" for n in own) for own in words_at_random(rng, 200)]
    similar = []
    for key, text in enumerate(texts):
        copy = edit_one(text, key, "words", ngram, 0)
        assert edit_one(text, key, "words", ngram, 0) == copy
        assert len(copy.split()) == len(text.split())
        similar.append(similarity(text, copy, ngram))
    assert min(similar) > 0.6 and max(similar) < 0.995
    assert sum(0.68 <= s <= 0.97 for s in similar) > 180
    assert np.std(similar) > 0.05 and edit_one(texts[0], 1, "words", ngram, 0) != edit_one(
        texts[0], 2, "words", ngram, 0
    )


def test_short_texts_lose_their_last_words_and_shorter_ones_none():
    text = "one two three four five six seven eight nine ten eleven"
    copy = edit_one(text, 5, "words", 5, 0)
    assert copy.split()[:10] == text.split()[:10] and copy != text
    assert edit_one("one two three four five six", 5, "words", 5, 0) is None
    assert edit_one(None, 5, "words", 5, 0) is None and edit_one("", 5, "words", 1, 0) is None


def test_spaces_and_other_marks_stay_and_characters_are_edited_one_by_one():
    text = "«春天来了,\n 花园里的花都开了» 小鸟在树上唱歌孩子们在草地上玩耍非常快乐"
    copy = edit_one(text, 9, "characters", 3, 0)
    assert len(copy) == len(text) and copy.count("\n") == 1
    assert 0 < sum(a != b for a, b in zip(text, copy, strict=True)) < 8
