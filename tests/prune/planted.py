"""Texts with planted near-duplicates, and what is true of them."""

import itertools

import numpy as np


def words_at_random(rng, count, vocabulary=20_000):
    """Texts of random words, as arrays of numbers."""
    return [rng.integers(0, vocabulary, rng.integers(150, 250)) for _ in range(count)]


def planted(texts, seed=1, similar=(0.7, 0.95), ngram=5):
    """Families of texts: each a text with up to three copies, in which words are replaced.

    Returns texts, and the number of the family of each.
    """
    rng = np.random.default_rng(seed)
    said, family = [], []
    while len(said) < texts:
        base = words_at_random(rng, 1)[0]
        number = family[-1] + 1 if family else 0
        said.append(base)
        family.append(number)
        if rng.random() < 0.15:
            for _ in range(rng.integers(1, 4)):
                said.append(edited(rng, base, rng.uniform(*similar), ngram))
                family.append(number)
    order = rng.permutation(texts)
    return [" ".join(map(word, said[i].tolist())) for i in order], [family[i] for i in order]


def word(number):
    """A number in letters, as some tools do not tell digits apart."""
    letters = chr(97 + number % 26)
    return letters if number < 26 else word(number // 26) + letters


def edited(rng, base, similarity, ngram):
    """A copy in which so many words are replaced as make about this Jaccard similarity."""
    lost = (len(base) - ngram + 1) * (1 - similarity) / (1 + similarity)
    copy = base.copy()
    # Each word replaced changes ngram shingles.
    at = rng.choice(len(base), max(1, round(lost / ngram)), replace=False)
    copy[at] = rng.integers(10**6, 10**7, len(at))
    return copy


def shingled(text, ngram=5):
    words = text.split()
    return {tuple(words[i : i + ngram]) for i in range(len(words) - ngram + 1)}


def true_pairs(texts, family, threshold=0.8):
    """The pairs of a family with at least this similarity, with it; others share nothing."""
    of = {}
    for i, number in enumerate(family):
        of.setdefault(number, []).append(i)
    pairs = {}
    for members in of.values():
        for a, b in itertools.combinations(members, 2):
            one, other = shingled(texts[a]), shingled(texts[b])
            similarity = len(one & other) / len(one | other)
            if similarity >= threshold:
                pairs[a, b] = similarity
    return pairs
