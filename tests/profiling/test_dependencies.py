"""Functional dependencies: against brute force, with what breaks them."""

from collections import Counter, defaultdict
from itertools import combinations

import numpy as np
import pytest

from lakebalance.profiling.options import Options
from lakebalance.table_profiles import columns


def wrong(rows, left, right):
    """Rows to drop, and rows that share their left side with another."""
    groups = defaultdict(Counter)
    for row in rows:
        groups[tuple(row[i] for i in left)][row[right]] += 1
    sizes = [(sum(c.values()), max(c.values())) for c in groups.values()]
    return sum(n - most for n, most in sizes), sum(n for n, _ in sizes if n > 1)


def minimal(rows, width, size, error):
    """All minimal dependencies by their definition, exact ones and those with exceptions."""
    exact, nearly = [], []
    for level in range(1, size + 1):
        for left in combinations(range(width), level):
            if any(set(part) | {r} <= set(left) for part, r in exact):
                continue
            for right in sorted(set(range(width)) - set(left)):

                def known(pairs, left=left, right=right):
                    return any(r == right and set(part) <= set(left) for part, r in pairs)

                n, shared = wrong(rows, left, right)
                if known(exact) or not shared:
                    continue
                if n == 0:
                    exact.append((left, right))
                elif n <= error * shared and not known(nearly):
                    nearly.append((left, right))
    return exact, nearly


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_those_of_a_random_table_are_those_of_brute_force(spark, table, seed):
    random = np.random.default_rng(seed)
    a, b, c = (random.integers(0, n, 200) for n in (6, 4, 3))
    rows = [
        (int(x), int(y), int(z), int((x + y) % 5), int(x % 3) if i % 60 else None)
        for i, (x, y, z) in enumerate(zip(a, b, c, strict=True))
    ]
    path = table("r", rows, "a int, b int, c int, ab int, nearly int")
    found = columns(path, spark, Options(dependencies=True, error=0.05)).tables[0].dependencies
    exact, nearly = minimal(rows, 5, 2, 0.05)
    names = ["a", "b", "c", "ab", "nearly"]
    said = [([names[i] for i in left], names[right]) for left, right in [*exact, *nearly]]
    assert (["a", "b"], "ab") in said and (["a"], "nearly") in said
    assert sorted((d.left, d.right) for d in found.found) == sorted(said)
    for d in found.found:
        left, right = tuple(names.index(n) for n in d.left), names.index(d.right)
        assert d.disagreeing == wrong(rows, left, right)[0]


def test_what_breaks_one_is_shown_with_its_repair(spark, table):
    rows = [(f"N{i % 20}", "AA" if i % 20 < 10 else "UA", "x", i) for i in range(400)]
    rows[0] = ("N0", "DL", "x", 0)
    rows[20] = ("N0", "DL", "x", 20)
    rows[1] = ("N1", None, "x", 1)
    path = table("planes", rows, "`tail.num` string, `Carrier` string, same string, id int")
    data = columns(path, spark, Options(dependencies=True)).to_dict()["tables"][0]
    (found,) = data["dependencies"]["found"]
    assert (found["left"], found["right"], found["disagreeing"]) == (["tail.num"], "Carrier", 3)
    assert found["error"] == 3 / 400 and not found["exact"] and found["broken_groups"] == 2
    first, second = found["clusters"]
    assert first == {
        "group": {"tail.num": "N0"},
        "rows": 20,
        "disagreeing": 2,
        "values": [{"value": "AA", "rows": 18}, {"value": "DL", "rows": 2}],
        "different_values": 2,
        "repair": "AA",
        "majority": True,
    }
    assert second["values"] == [{"value": "AA", "rows": 19}, {"value": None, "rows": 1}]
    assert data["redundant"]["constant"] == ["same"]


def test_columns_that_say_the_same(spark, table):
    rows = [(i % 5, i % 5, f"c{i % 5}", i // 9) for i in range(60)]
    path = table("t", rows, "a int, a2 long, code string, other int")
    data = columns(path, spark, Options(dependencies=True)).to_dict()["tables"][0]
    assert data["redundant"]["equal"] == [["a", "a2"]]
    assert data["redundant"]["one_to_one"] == [["a", "a2", "code"]]
    assert data["dependencies"]["found"] == []
