"""Where cells are cut: sizes of parts, their bound, equal values; scikit-learn is the judge."""

import random
from collections import Counter

import pytest

from lakebalance.core.cells import (
    Bound,
    Bucket,
    best_cut,
    bound_of,
    divided,
    floor_needed,
    intervals,
    parts_of,
    unsettled,
)

chance = random.Random(3)


def buckets(values):
    """A bucket for each value, as when all are told apart."""
    return [Bucket(v, v, n, v * n) for v, n in sorted(Counter(values).items())]


def parts(points, wanted, bound):
    """The points of each part, by the cuts that are best."""
    axes = {axis: buckets(values) for axis, values in enumerate(zip(*points, strict=True))}
    cut = best_cut(axes, dict.fromkeys(axes, 1.0), wanted, bound) if wanted > 1 else None
    if cut is None:
        return [points]
    below = [p for p in points if p[cut.axis] < cut.at]
    above = [p for p in points if p[cut.axis] >= cut.at]
    assert len(below) == cut.rows and 0 < cut.parts < wanted
    return [*parts(below, cut.parts, bound), *parts(above, wanted - cut.parts, bound)]


@pytest.mark.parametrize("slack", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("wanted", [2, 3, 7, 10, 32])
def test_parts_of_points_that_differ_keep_the_bound(wanted, slack):
    points = [(chance.lognormvariate(0, 3), chance.gauss(0, 1)) for _ in range(500)]
    bound = bound_of(500, wanted, slack)
    found = [len(part) for part in parts(points, wanted, bound)]
    assert len(found) == wanted and sum(found) == 500
    assert max(found) <= bound.most and min(found) >= bound.least


@pytest.mark.parametrize("share", [30, 60, 99])
def test_equal_points_stay_together_and_no_crumbs_are_cut_off_for_them(share):
    points = [(0.0, 0.0)] * (share * 10)
    points += [(chance.gauss(0, 1), chance.gauss(0, 1)) for _ in range(1000 - len(points))]
    bound = bound_of(1000, 5, 0.1)
    found = parts(points, 5, bound)
    full = [part for part in found if len(part) > bound.most]
    assert len(full) == 1 and full[0].count((0.0, 0.0)) == share * 10
    assert sum(map(len, found)) == 1000 and min(map(len, found)) >= 100
    assert len(found) >= {30: 4, 60: 3, 99: 1}[share]


def test_blobs_are_cut_apart_where_the_slack_permits_it_along_whatever_axis():
    blobs = [(chance.gauss(0, 1), chance.gauss(0, 1)) for _ in range(530)]
    blobs += [(chance.gauss(0, 1), chance.gauss(30, 1)) for _ in range(470)]
    assert {len(p) for p in parts(blobs, 2, bound_of(1000, 2, 0.1))} == {530, 470}
    assert {len(p) for p in parts(blobs, 2, bound_of(1000, 2, 0.0))} == {500}


def test_parts_are_nearly_as_tight_as_those_of_k_means_with_a_limit_on_sizes():
    np = pytest.importorskip("numpy")
    cluster, optimize = (
        pytest.importorskip("sklearn.cluster"),
        pytest.importorskip("scipy.optimize"),
    )
    at = np.array([[chance.gauss(0, 1) for _ in range(3)] for _ in range(400)])
    bound = bound_of(400, 6, 0.1)

    def squares(members):
        return sum(((np.array(m) - np.mean(m, axis=0)) ** 2).sum() for m in members)

    middles = cluster.KMeans(6, n_init=3, random_state=1).fit(at).cluster_centers_
    for _ in range(5):
        distances = ((at[:, None, :] - middles[None, :, :]) ** 2).sum(axis=2)
        seats = np.repeat(distances, bound.most, axis=1)
        label = optimize.linear_sum_assignment(seats)[1] // bound.most
        middles = np.array([at[label == k].mean(axis=0) for k in range(6)])
    ours = squares(parts([tuple(row) for row in at], 6, bound))
    theirs = squares([at[label == k] for k in range(6)])
    assert theirs < ours < 1.25 * theirs < 0.75 * squares([at])


def test_the_bound_is_exact_in_decimals():
    assert bound_of(1000, 2, 0.1) == Bound(550, 450)
    assert bound_of(7, 3, 0.0) == Bound(3, 2)


def test_slack_is_left_for_the_cuts_to_come():
    assert intervals(1000, 8, Bound(155, 95)) == {4: (460, 540)}
    assert intervals(10, 3, Bound(4, 3)) == {1: (3, 3), 2: (7, 7)}
    # More than the parts may hold, as equal values came together: as near to the middle as can be.
    assert intervals(1000, 2, Bound(400, 300)) == {1: (500, 500)}


def test_only_buckets_that_hide_a_wanted_cut_are_looked_into():
    bound = Bound(55, 45)
    wide = [Bucket(0.0, 1.0, 30, 9.0), Bucket(1.5, 2.0, 40, 70.0), Bucket(3.0, 4.0, 30, 99.0)]
    assert unsettled(wide, 2, bound) == [1]
    assert unsettled([Bucket(0.0, 1.0, 50, 9.0), Bucket(2.0, 3.0, 50, 99.0)], 2, bound) == []
    assert unsettled([wide[0], Bucket(2.0, 2.0, 40, 70.0), wide[2]], 2, bound) == []


@pytest.mark.parametrize("sizes", [[10**6, 5 * 10**5, 3], [10**9], [70] * 900])
def test_the_floor_that_is_advised_is_the_least_that_will_do(sizes):
    least = floor_needed(sizes, 1000)
    assert divided(sizes, least) <= 1000
    assert least == 1 or divided(sizes, least - 1) > 1000


def test_a_class_has_as_few_parts_as_hold_it():
    assert [parts_of(n, 200) for n in (0, 1, 200, 201, 400, 401)] == [1, 1, 1, 2, 2, 3]
