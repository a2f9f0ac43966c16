"""Neighbours in a task, with scikit-learn as the judge."""

import numpy as np
import pytest

from lakebalance.core.exact_neighbours import nearest_others
from lakebalance.core.neighbours import centred, same_points
from lakebalance.core.probed_neighbours import EXACT_UP_TO, nearest

sklearn = pytest.importorskip("sklearn.neighbors")


def cloud(n, d, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d))


def judged(points, asked, k):
    model = sklearn.NearestNeighbors(n_neighbors=k + 1, algorithm="brute").fit(points)
    return model.kneighbors(points[asked], return_distance=False)[:, 1:]


@pytest.mark.parametrize(("n", "d", "k"), [(6, 1, 5), (40, 3, 5), (3000, 8, 7), (5000, 20, 1)])
def test_few_points_are_searched_exactly(n, d, k):
    points = cloud(n, d)
    found, distances = nearest(points, np.arange(n), k)
    assert found.tolist() == judged(points, np.arange(n), k).tolist()
    gap = points[:, None, :] - points[found]
    np.testing.assert_allclose(distances, (gap**2).sum(axis=2))
    assert (np.diff(distances, axis=1) >= 0).all()


@pytest.mark.parametrize("d", [2, 20])
def test_many_points_are_found_with_the_recall_that_was_asked(d):
    n = EXACT_UP_TO * 2
    points, asked = cloud(n, d), np.arange(0, n, 20)
    found, _ = nearest(points, asked, 5)
    true = judged(points, asked, 5)
    hits = [len(set(a) & set(b)) for a, b in zip(found.tolist(), true.tolist(), strict=True)]
    assert sum(hits) / (5 * len(asked)) >= 0.95
    assert (found != asked[:, None]).all()


def test_who_else_is_asked_changes_nothing():
    points = cloud(EXACT_UP_TO + 2000, 6)
    asked = np.arange(0, len(points), 7)
    found, _ = nearest(points, asked, 5)
    for part in (asked[:1], asked[5:600], asked[::-3]):
        again, _ = nearest(points, part, 5)
        assert again.tolist() == found[np.searchsorted(asked, part)].tolist()


def test_equal_points_are_each_others_neighbours_in_order():
    points = np.array([[1.0], [0.0], [1.0], [1.0], [5.0]])
    same = same_points(points)
    assert same[0] == same[2] == same[3] and len(set(same.tolist())) == 3
    found, distances = nearest(points, np.arange(5), 3)
    assert found.tolist() == [[2, 3, 1], [0, 2, 3], [0, 3, 1], [0, 2, 1], [0, 2, 3]]
    assert distances[0].tolist() == [0, 0, 1]


def test_columns_of_few_values_are_no_trouble():
    points = np.random.default_rng(1).integers(0, 3, (30_000, 4)).astype(float)
    found, distances = nearest(points, np.arange(0, 30_000, 50), 5)
    assert (distances == 0).all()  # 81 places: all neighbours are copies
    assert (found[:, 1:] > found[:, :-1]).all()


def test_of_many_that_are_as_far_the_first_are_taken():
    points = np.random.default_rng(3).integers(0, 2, (3000, 14)).astype(float)
    asked = np.arange(0, 3000, 5)
    found, _ = nearest(points, asked, 5)
    for own, near in zip(asked.tolist(), found.tolist(), strict=True):
        far = ((points - points[own]) ** 2).sum(axis=1)
        far[own] = np.inf
        assert near == np.lexsort((np.arange(3000), far))[:5].tolist()


def test_minus_zero_is_zero():
    points = np.array([[0.0, -0.0], [-0.0, 0.0], [0.0, 1.0]])
    assert same_points(points)[0] == same_points(points)[1] != same_points(points)[2]


def test_nobody_asks():
    found, distances = nearest(cloud(9, 2), np.array([], dtype=np.int64), 3)
    assert found.shape == distances.shape == (0, 3)


def far_apart(n):
    """Two tight clusters, of which single precision sees no more than where they are."""
    chance = np.random.default_rng(0)
    return np.r_[chance.normal(0, 1e-4, (n, 2)), chance.normal(1, 1e-4, (n, 2))]


@pytest.mark.parametrize(
    "points",
    [
        far_apart(500),
        far_apart(500) * 1e30,
        np.r_[np.random.default_rng(1).random((1000, 2)), [[1e6, 1e6]]],
        np.random.default_rng(2).lognormal(0, 3, (2000, 2)),
    ],
    ids=["far apart", "huge", "one far off", "long tail"],
)
def test_few_points_have_the_very_nearest(points):
    asked = np.arange(len(points))
    found, distances = nearest(points, asked, 3)
    own, far = nearest_others(points, asked, 3)
    assert (found == own).all()
    assert distances == pytest.approx(far**2, rel=1e-12)
    at = points / np.abs(points).max()
    by_hand = np.array([np.sort(((at - one) ** 2).sum(axis=1))[1:4] for one in at])
    assert ((at[found] - at[:, None]) ** 2).sum(axis=2) == pytest.approx(by_hand)


def test_many_points_that_lie_far_apart_are_found_by_cells():
    points = np.random.default_rng(3).permutation(far_apart(12_000))
    asked = np.arange(0, len(points), 100)
    assert len(points) > EXACT_UP_TO
    found, _ = nearest(points, asked, 5)
    own, _ = nearest_others(points, asked, 5)
    hits = [len(set(a) & set(b)) for a, b in zip(found, own, strict=True)]
    assert sum(hits) >= 0.95 * 5 * len(asked)


def test_a_value_that_all_share_sets_no_row_apart():
    at = np.full((100, 2), 0.3)
    at[::7, 0] = np.nan
    found, spread = centred(at)
    assert (found == 0).all() and (spread == 0).all()
    nothing, spread = centred(np.full((4, 1), np.nan))
    assert (nothing == 0).all() and spread.tolist() == [0]
    at = np.array([[1.0], [np.nan], [4.0]])
    assert [a.tolist() for a in centred(at)] == [[[-1.5], [0], [1.5]], [pytest.approx(1.5**0.5)]]
