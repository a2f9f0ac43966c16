"""Sums that have no order, against fractions."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakebalance.sample.exact_sums import CHUNK, Sums, Tally, exponents

NUMBERS = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40)


def total(parts, bound, what="sum"):
    """What tasks that see parts of the numbers find together."""
    whole = {}
    for part in parts:
        tally = Tally()
        values = np.array(part, dtype=float)[:, None]
        (tally.add if what == "sum" else tally.products)("x", 0, values, [bound])
        for row in tally.batch().to_pylist():
            whole[row["place"]] = whole.get(row["place"], 0) + row["hi"] * 2**32 + row["lo"]
    sums = Sums({("x", 0): whole}, {}, {})
    return sums.numbers("x", 0, [bound])[0] if what == "sum" else sums.matrix("x", 0, [bound])[0, 0]


@given(numbers=NUMBERS, cut=st.integers(0, 40), data=st.data())
def test_neither_parts_nor_order_change_a_sum(numbers, cut, data):
    shuffled = data.draw(st.permutations(numbers))
    parts = [part for part in (shuffled[:cut], shuffled[cut:]) if part]
    for what in ("sum", "products"):
        assert total([numbers], 1e6, what) == total(parts, 1e6, what)
    exact = float(sum(map(Fraction, numbers)))
    assert abs(total([numbers], 1e6) - exact) <= len(numbers) * 2.0**20 * 2.0**-49


def test_a_full_chunk_at_its_bound_does_not_overflow():
    ends = np.full((CHUNK, 3), -7.5)
    tally = Tally()
    tally.add("x", 0, ends, [8.0] * 3)
    tally.products("p", 0, ends, [8.0] * 3)
    found = {}
    for row in tally.batch().to_pylist():
        found.setdefault((row["what"], 0), {})[row["place"]] = row["hi"] * 2**32 + row["lo"]
    sums = Sums(found, {}, {})
    assert sums.numbers("x", 0, [8.0] * 3).tolist() == [-7.5 * CHUNK] * 3
    assert (sums.matrix("p", 0, [8.0] * 3) == 7.5**2 * CHUNK).all()


def test_what_is_over_its_bound_is_refused():
    for value in (1.1, np.nan, np.inf):
        with pytest.raises(ValueError, match="bound"):
            Tally().add("x", 0, np.array([[value]]), [1.0])


@given(bound=st.floats(1e-300, 1e300))
def test_the_exponent_is_the_least_that_covers_the_bound(bound):
    e = int(exponents([bound])[0])
    assert Fraction(bound) <= Fraction(2) ** e < 2 * Fraction(bound)
