"""A group too large for exact search, task by task: who the parents are, and that tasks agree."""

import numpy as np
import pyarrow as pa
import pytest

from lakebalance.core import probed_neighbours
from lakebalance.core.places import Places
from lakebalance.core.probed_neighbours import EXACT_UP_TO
from lakebalance.sample.children import between_neighbours
from lakebalance.sample.smote import Smote
from lakebalance.sample.tasks import Asked, _keys_of, key_texts, making

ROWS, WIDTH, K = EXACT_UP_TO + 5000, 4, 5
SMOTE = Smote(method="smote", features=list("abcd"), scale="none", k_neighbors=K)


@pytest.fixture(scope="module")
def group():
    """Coordinates, keys and copies of the rows of a group; one in ten has two children."""
    chance = np.random.default_rng(8)
    at = chance.normal(size=(ROWS, WIDTH))
    hi, lo, hashes = chance.integers(-(2**62), 2**62, (3, ROWS))
    return at, hi, lo, hashes, np.where(np.arange(ROWS) % 10 == 0, 2, 0)


def batches(group, own, order):
    """What Spark sends to a task, in some order: whole rows of those only that are its own."""
    at, hi, lo, hashes, copies = (values[order] for values in group)
    whole = pa.array(order)
    row = pa.StructArray.from_arrays([whole], ["id"], mask=pa.array(~own[order]))
    ends = pa.array(np.arange(len(order) + 1, dtype=np.int32) * WIDTH)
    table = pa.table(
        {
            "__lb_group": np.zeros(len(order), dtype=np.int64),
            "__lb_hash": hashes,
            "__lb_copies": copies,
            "hi": hi,
            "lo": lo,
            "at": pa.ListArray.from_arrays(ends, pa.array(at.ravel())),
            "row": row,
        }
    )
    return iter(table.to_batches(4000))


def born(group, own, order):
    made = making(Asked(SMOTE, Places(SMOTE.features), between_neighbours))(
        batches(group, own, order)
    )
    return [row for batch in made for row in batch.to_pylist()]


def test_cells_take_over_with_their_recall_and_tasks_agree(group, monkeypatch):
    searched = []
    search = probed_neighbours._Cells.search
    monkeypatch.setattr(
        probed_neighbours._Cells,
        "search",
        lambda cells, asked, *numbers: (
            searched.append(len(asked)) or search(cells, asked, *numbers)
        ),
    )
    at, hi, lo, hashes, copies = group
    parents = copies > 0
    everyone = born(group, parents, np.arange(ROWS))
    assert searched == [ROWS // 10] and len(everyone) == 2 * ROWS // 10

    by_task = []
    for task in (0, 1):
        by_task += born(
            group, parents & (hashes % 2 == task), np.random.default_rng(task).permutation(ROWS)
        )
    assert sorted(map(str, by_task)) == sorted(map(str, everyone))

    places = {text: i for i, text in enumerate(key_texts(hi, lo).to_pylist())}
    hits = 0
    for child in everyone[::4]:
        first, second = (places[text] for text in child["parents"])
        assert first == child["row"]["id"]
        far = ((at - at[first]) ** 2).sum(axis=1)
        hits += far[second] <= np.partition(far, K)[K]
        made = np.array([child[f"at{i}"] for i in range(WIDTH)])
        way = at[second] - at[first]
        step = (made - at[first]) @ way / (way @ way)
        assert 0 <= step < 1
        np.testing.assert_allclose(made, at[first] + step * way, atol=1e-12)
    assert hits / len(everyone[::4]) >= 0.95


def test_a_parent_is_named_once():
    twins = np.array([7, 7, 9])
    table = pa.table({"hi": twins, "lo": twins})
    found = _keys_of(table, np.array([[0, 1, 2], [2, 0, 2], [2, 2, 2]])).to_pylist()
    seven, nine = key_texts(np.array([7, 9]), np.array([7, 9])).to_pylist()
    assert found == [[seven, nine], [nine, seven], [nine]]
