"""The pairs of blocks that are cut into tiles: each that agrees is compared, in any cut."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakebalance.core.record_pairs import Rule, Within
from lakebalance.core.record_similarity import Comparison, Likeness
from lakebalance.core.record_values import Values
from lakebalance.prune import block_pairs
from lakebalance.prune.block_pairs import PIECE, Work, comparing, tile_rows, whole_pieces

RULES = [Rule("city"), Rule("all", [Within("at", 2.0, False)])]
LIKENESS = Likeness([Comparison("at", "numeric", tolerance=8.0), Comparison("city", "exact")], 0.5,
                    0.3)  # fmt: skip
RECORD = st.tuples(st.none() | st.integers(0, 2), st.none() | st.integers(-9, 9).map(float))


def lines(records, tiles):
    """Each record in each of its blocks and each piece of them, in order."""
    found = []
    for i, (city, at) in enumerate(records):
        blocks = [(0, city, 0)] if city is not None else []
        if at is not None:
            blocks += [(1, int(at // 4) + step, step) for step in (0, 1)]
        for rule, block, stepped in blocks:
            tile = i % tiles
            for other in range(tiles):
                one, two = min(tile, other), max(tile, other)
                found.append((rule, block, one, two, tile, i, stepped, city, at))
    found.sort(key=lambda line: line[:6])
    names = [*PIECE, "tile", "hi", "stepped", "city", "at"]
    kinds = [*[pa.int64()] * 8, pa.float64()]
    columns = zip(*found, strict=True) if found else [()] * 9
    arrays = [pa.array(own, kind) for own, kind in zip(columns, kinds, strict=True)]
    table = pa.table(arrays, names)
    zeros = pa.array(np.zeros(len(table), np.int64))
    return table.append_column("lo", zeros).append_column("all", zeros)


@settings(deadline=None)
@given(st.lists(RECORD, max_size=14), st.integers(1, 4), st.integers(1, 9), st.integers(1, 30))
def test_pairs_that_agree_are_found_in_any_cut(records, tiles, rows, at_once):
    table = lines(records, tiles)
    before = block_pairs.AT_ONCE
    block_pairs.AT_ONCE = at_once
    try:
        batches = list(comparing(RULES, LIKENESS)(iter(table.to_batches(max_chunksize=rows))))
    finally:
        block_pairs.AT_ONCE = before
    ends = [(b["hi"].to_pylist(), b["to_hi"].to_pylist()) for b in batches]
    found = [frozenset(pair) for own in ends for pair in zip(*own, strict=True)]
    assert all(len(pair) == 2 for pair in found)
    # A pair that two rules bring together is compared by the first; in one rule's blocks once.
    assert len(found) == len(set(found))
    assert set(found) == by_all_pairs(records)


def by_all_pairs(records):
    whole = {
        "city": pa.array([city for city, _ in records], pa.int64()),
        "at": pa.array([at for _, at in records], pa.float64()),
        "all": np.zeros(len(records), np.int64),
    }
    values = Values(pa.table(whole))
    a, b = (side.astype(np.int64) for side in np.triu_indices(len(records), 1))
    near = LIKENESS.near(values, a, b) & np.any([r.agrees(values, a, b) for r in RULES], axis=0)
    return {frozenset(pair) for pair in zip(a[near].tolist(), b[near].tolist(), strict=True)}


@given(st.lists(st.integers(0, 5), max_size=30), st.integers(1, 9))
def test_pieces_of_work_are_not_cut_in_two(keys, rows):
    keys = sorted(keys)
    table = pa.table({name: pa.array(keys, pa.int64()) for name in PIECE})
    batches = table.to_batches(max_chunksize=rows)
    empty = pa.RecordBatch.from_pylist([], table.schema)
    whole = list(whole_pieces(iter([empty, *batches, empty])))
    assert [key for part in whole for key in part["rule"].to_pylist()] == keys
    assert sum(len(set(part["rule"].to_pylist())) for part in whole) == len(set(keys))


def test_work_is_shared_and_tiles_are_few():
    assert [tile_rows(most) for most in (2, 10_000, 32_768, 32_769, 10**6)] == [
        *[512] * 3, 513, 15_625
    ]  # fmt: skip
    assert [Work(pairs, 10, 5, 0, 0).tasks for pairs in (0, 999_999, 10**6, 10**12)] == [
        1, 1, 2, 10_000
    ]  # fmt: skip


@pytest.mark.parametrize("kind", ["string", "large_string"])
def test_values_that_are_missing_are_told_from_empty_ones(kind):
    table = pa.table({"text": pa.array(["a", None], pa.type_for_alias(kind))})
    assert Values(table).there("text").tolist() == [True, False]
    assert Values(table).texts("text").tolist() == ["a", ""]
