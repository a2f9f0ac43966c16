"""Neighbours beyond doubt: the same as by measuring every distance, ties and all."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lakebalance.core.exact_neighbours import nearest_others, nearest_to


def brute(points, places, k):
    gap = places[:, None, :] - points
    far = np.zeros(gap.shape[:2])
    for axis in range(gap.shape[2]):
        far += gap[:, :, axis] ** 2
    order = np.argsort(far, axis=1, kind="stable")[:, :k]
    return order, np.sqrt(np.take_along_axis(far, order, axis=1))


def others(points, k):
    """The same for points themselves, one by one."""
    found = []
    for i, point in enumerate(points):
        order = brute(points, point[None], len(points))[0][0]
        found.append([j for j in order.tolist() if j != i][:k])
    return found


def clouds():
    chance = np.random.default_rng(0)
    yield "normal", chance.normal(size=(3000, 5))
    yield "far from the origin", chance.normal(size=(1500, 3)) + 1e6
    yield "an outlier", np.vstack([[[1e9, 0.0]], chance.normal(size=(1500, 2))])
    yield "close together", chance.normal(size=(1500, 2)) * 1e-9 + 1.0
    yield "a grid of ties", chance.integers(0, 12, (3000, 3)).astype(float)
    yield "all as far from each other", np.eye(300)
    yield "copies", np.repeat(chance.normal(size=(20, 2)), 60, axis=0)


@pytest.mark.parametrize("points", [p for _, p in clouds()], ids=[name for name, _ in clouds()])
def test_as_by_measuring_every_distance(points):
    for k in (1, 3, 10):
        places = np.vstack([points[::7], points[::11] + 0.25])
        found, distances = nearest_to(points, places, k)
        expected, far = brute(points, places, k)
        assert found.tolist() == expected.tolist()
        np.testing.assert_allclose(distances, far, rtol=1e-12)
    some = points[:300]
    assert nearest_others(some, np.arange(len(some)), 4)[0].tolist() == others(some, 4)


@settings(max_examples=60, deadline=None)
@given(
    arrays(
        float,
        st.tuples(st.integers(2, 30), st.integers(1, 3)),
        elements=st.sampled_from([0.0, 1.0, 2.0, -1.0, 1e-3]),
    ),
    st.integers(1, 29),
)
def test_ties_go_to_the_earlier_position(points, k):
    k = min(k, len(points) - 1)
    found, distances = nearest_others(points, np.arange(len(points)), k)
    assert found.tolist() == others(points, k)
    assert (np.diff(distances, axis=1) >= 0).all()


@pytest.mark.parametrize("unit", [1e-200, 1e-30, 1e30, 1e200])
def test_units_do_not_matter(unit):
    points = np.random.default_rng(4).normal(size=(800, 3))
    found, distances = nearest_others(points * unit, np.arange(800), 3)
    again, far = nearest_others(points, np.arange(800), 3)
    assert found.tolist() == again.tolist()
    np.testing.assert_allclose(distances / unit, far, rtol=1e-9)


def test_nobody_asks():
    found, distances = nearest_to(np.zeros((3, 2)), np.zeros((0, 2)), 2)
    assert found.shape == distances.shape == (0, 2)
