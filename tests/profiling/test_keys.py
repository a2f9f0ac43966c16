"""Keys: against brute force, with nulls, and where the sample misleads."""

from itertools import combinations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from lakebalance.profiling.lattice import disagreeing, is_unique, numbered, sets_of
from lakebalance.profiling.options import Options
from lakebalance.table_profiles import columns

tables = st.lists(st.tuples(*[st.integers(0, 3)] * 4), min_size=1, max_size=30)


@settings(max_examples=100, deadline=None)
@given(tables)
def test_unique_sets_and_disagreeing_rows_are_those_of_brute_force(rows):
    codes = np.array(rows, dtype=np.int64)
    for size in (1, 2, 3):
        for s in combinations(range(4), size):
            left = [tuple(row[i] for i in s) for row in rows]
            assert is_unique(codes, s) == (len(set(left)) == len(rows))
            most = {x: {} for x in left}
            for x, row in zip(left, rows, strict=True):
                most[x][row[3]] = most[x].get(row[3], 0) + 1
            brute = len(rows) - sum(max(counts.values()) for counts in most.values())
            assert disagreeing(numbered(codes, s), codes[:, 3]) == brute


@given(st.lists(st.sets(st.integers(0, 4), min_size=1, max_size=2).map(lambda s: tuple(sorted(s)))))
def test_sets_leave_out_supersets(without):
    found, whole = sets_of(range(5), 3, without)
    brute = [s for s in combinations(range(5), 3) if not any(set(w) <= set(s) for w in without)]
    assert whole and found == brute


def test_keys_are_minimal_and_have_no_nulls(spark, table):
    rows = [(i, i // 3, i % 3, i % 2, None if i == 7 else i, 5) for i in range(24)]
    schema = "id int, `a.b` int, `count` int, c int, holes int, same int"
    found = columns(table("t", rows, schema), spark).tables[0].keys
    # a.b counts to 8 and count to 3: together they tell 24 rows apart.
    assert found.found == [["id"], ["a.b", "count"]]
    assert (found.left_out, found.complete) == (["holes"], True)


def test_keys_of_a_random_table_are_those_of_brute_force(spark, table):
    random = np.random.default_rng(3)
    rows = [tuple(int(v) for v in row) for row in random.integers(0, [4, 9, 12, 3], (60, 4))]
    found = columns(table("r", rows, "a int, b int, c int, d int"), spark, Options(key_size=4))
    brute = []
    for size in range(1, 5):
        for s in combinations(range(4), size):
            unique = len({tuple(row[i] for i in s) for row in rows}) == len(rows)
            if unique and not any(set(key) <= set(s) for key in brute):
                brute.append(s)
    assert sorted(found.tables[0].keys.found) == sorted([["abcd"[i] for i in s] for s in brute])


def test_a_set_unique_in_the_sample_alone_is_no_key(spark, tmp_path):
    path = str(tmp_path / "large")
    # One value of 60,000 stands twice, which a sample of 10,000 rows is likely to miss.
    spark.range(60_000).selectExpr(
        "greatest(id, 1) as nearly", "id div 300 as a", "id % 300 as b"
    ).write.format("delta").save(path)
    found = columns(path, spark, Options(key_size=2)).tables[0].keys.found
    assert found == [["a", "b"], ["nearly", "b"]]
