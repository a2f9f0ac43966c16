"""Bands by the worked example, against datasketch, and how well signatures do what is said."""

import numpy as np
import pytest

from lakebalance.core.shingles import Sets, jaccard
from lakebalance.prune.bands import Bands, band_hashes, choose_bands, signatures
from lakebalance.prune.minhash import MinHash


def sets(*members):
    starts = np.cumsum([0, *map(len, members)])
    return Sets(np.concatenate([np.sort(m) for m in members]).astype(np.uint64), starts)


def pair(rng, similarity, size=200):
    """Two sets of random numbers with about this Jaccard similarity."""
    shared = round(2 * size * similarity / (1 + similarity))
    numbers = rng.choice(2**52, 2 * size - shared, replace=False)
    return numbers[:size], numbers[size - shared :]


def test_the_worked_example():
    found = [Bands(14, 8).found(s) for s in (0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9)]
    want = [0.0533, 0.2111, 0.5645, 0.7716, 0.9235, 0.9884, 0.9996]
    assert found == pytest.approx(want, abs=5e-5)
    best = choose_bands(0.8, 128, 0.5)
    assert best == (9, 13)
    assert best.false_positives(0.8) == pytest.approx(0.02530, abs=2e-5)
    assert best.false_negatives(0.8) == pytest.approx(0.03328, abs=2e-5)
    assert choose_bands(0.7, 128, 0.5) == (14, 9)


@pytest.mark.parametrize("threshold", [0.05, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95])
@pytest.mark.parametrize("weight", [0.2, 0.5, 0.95])
@pytest.mark.parametrize("num_perm", [16, 128])
def test_bands_lose_no_more_than_those_of_datasketch(threshold, weight, num_perm):
    lsh = pytest.importorskip("datasketch.lsh")
    theirs = Bands(*lsh._optimal_param(threshold, num_perm, 1 - weight, weight))
    mine = choose_bands(threshold, num_perm, weight)

    def loss(bands):
        positives, negatives = bands.false_positives(threshold), bands.false_negatives(threshold)
        return (1 - weight) * positives + weight * negatives

    assert mine.bands * mine.rows <= num_perm
    assert loss(mine) <= loss(theirs) + 1e-9
    assert loss(mine) >= loss(theirs) - 2e-3  # they take the left edge of each step


def test_the_default_finds_what_is_asked_for():
    options = MinHash(method="minhash", columns=["t"])
    assert options.cut == (16, 8)
    assert options.cut.found(0.8) > 0.94 and options.cut.found(0.85) > 0.99
    assert MinHash(method="minhash", columns=["t"], verify=False).cut == (9, 13)
    assert MinHash(method="minhash", columns=["t"], bands=3, rows=2).cut == (3, 2)
    assert MinHash(method="minhash", columns=["t"], threshold=1).cut.found(1) == 1


@pytest.mark.parametrize("size", [20, 200])
@pytest.mark.parametrize("similarity", [0.3, 0.6, 0.8, 0.95])
def test_signatures_agree_as_often_as_sets_are_similar(similarity, size):
    rng = np.random.default_rng(int(similarity * 100) + size)
    ones, others = zip(*(pair(rng, similarity, size) for _ in range(300)), strict=True)
    left, right = sets(*ones), sets(*others)
    true = jaccard(left, right).mean()
    agree = signatures(left, 128) == signatures(right, 128)
    # 38,400 values of which those of a pair are not quite independent.
    assert agree.mean() == pytest.approx(true, abs=0.015)
    spread = agree.mean(axis=0).std()
    assert spread < 1.25 * np.sqrt(true * (1 - true) / 128) + 0.005


@pytest.mark.parametrize("similarity", [0.5, 0.7, 0.8, 0.9])
def test_bands_agree_as_often_as_the_formula_says(similarity):
    rng, bands = np.random.default_rng(7), Bands(16, 8)
    ones, others = zip(*(pair(rng, similarity) for _ in range(1500)), strict=True)
    left, right = sets(*ones), sets(*others)
    both = [band_hashes(signatures(s, 128), bands) for s in (left, right)]
    found = (both[0] == both[1]).any(axis=1).mean()
    want = np.mean([bands.found(s) for s in jaccard(left, right)])
    assert found == pytest.approx(want, abs=3.5 * np.sqrt(want * (1 - want) / 1500) + 0.003)
    assert len(np.unique(both[0])) == both[0].size  # bands are told apart
