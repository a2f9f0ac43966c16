"""Giant buckets: whom each set is linked to, and what is bounded."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakebalance.core.errors import RecipeError
from lakebalance.prune.leaders import Leaders, following

SETS = st.lists(st.sets(st.integers(0, 12), min_size=1, max_size=8), min_size=1, max_size=30)


def array(numbers):
    return np.array(sorted(numbers), np.uint64)


def similarity(one, other):
    return len(one & other) / len(one | other)


@given(SETS, st.sampled_from([0.2, 0.5, 0.8, 1.0]))
def test_each_set_is_linked_to_the_nearest_leader_or_leads(sets, threshold):
    leaders, led = Leaders(threshold), []
    for numbers in sets:
        found = leaders.nearest(array(numbers))
        similar = [similarity(numbers, leader) for leader in led]
        best = max(similar, default=0)
        if best >= threshold:
            assert found == similar.index(best)
        else:
            assert found is None
            led.append(numbers)


def batches(rows, size):
    for low in range(0, len(rows), size):
        bands, sets = zip(*rows[low : low + size], strict=True)
        ids = list(range(low, low + len(bands)))
        columns = {"band": bands, "hi": [-i for i in ids], "lo": ids,
                   "numbers": [array(s).tobytes() for s in sets]}  # fmt: skip
        yield pa.RecordBatch.from_pydict(columns)


@pytest.mark.parametrize("size", [1, 2, 5, 100])
def test_buckets_do_not_touch_each_other_and_may_span_batches(size):
    one, near, far = {1, 2, 3, 4, 5}, {1, 2, 3, 4}, {8, 9}
    rows = [(7, one), (7, far), (7, near), (7, far), (9, near), (9, one), (9, one)]
    found = [r for b in following(0.8, "prune.0")(batches(rows, size)) for r in b.to_pylist()]
    assert [(r["a_lo"], r["b_lo"]) for r in found] == [(0, 2), (1, 3), (4, 5), (4, 6)]
    assert all(r["a_hi"] == -r["a_lo"] and r["b_hi"] == -r["b_lo"] for r in found)


def test_too_many_unlike_sets_are_refused():
    rows = [(7, {3 * i, 3 * i + 1}) for i in range(60)]
    with pytest.raises(
        RecipeError, match=r"prune\.2: 51 texts .* write more rows .* prune\.2\.rows"
    ):
        list(following(0.8, "prune.2", most=100)(batches(rows, 7)))


def test_twenty_thousand_members_of_one_family_take_seconds():
    rng = np.random.default_rng(2)
    base = np.sort(rng.choice(2**52, 200, replace=False).astype(np.uint64))
    leaders, linked = Leaders(0.8), 0
    for _ in range(20_000):
        numbers = base.copy()
        numbers[rng.integers(0, 200, 5)] = rng.integers(0, 2**52, 5)
        linked += leaders.nearest(np.sort(numbers)) is not None
    assert linked > 19_000
