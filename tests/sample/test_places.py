"""Places of rows in an order: bounds for every prefix, by brute force; cuts into files."""

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakebalance.sample.order import Phase, Schedule
from lakebalance.sample.places import bounds_of, places_of

SKEWED = {1: 3000, 2: 1, 3: 1, 4: 1, 5: 7, 6: 7, 7: 450, 8: 0}
targets = st.dictionaries(st.integers(-(2**63), 2**63 - 1), st.integers(0, 40), min_size=1)


def order_of(wanted):
    """The group of each position: what the table is to hold."""
    seats = [(p.of(i), g, i) for g, p in places_of(wanted).items() for i in range(p.rows)]
    return [group for _, group, _ in sorted(seats)]


def worst(order, wanted):
    """How far the prefix that is furthest off is from each group's share."""
    found, seen, total = dict.fromkeys(wanted, Fraction(0)), dict.fromkeys(wanted, 0), len(order)
    for m, group in enumerate(order, start=1):
        seen[group] += 1
        for g, rows in wanted.items():
            found[g] = max(found[g], abs(seen[g] - Fraction(m * rows, total)))
    return found


@settings(deadline=None)
@given(targets)
def test_every_prefix_is_within_the_bound(wanted):
    off, bounds = worst(order_of(wanted), wanted), bounds_of(wanted)
    assert all(off[group] <= bounds[group] for group in wanted)


@pytest.mark.slow
def test_skewed_groups_and_many_of_one_row():
    assert all(worst(order_of(SKEWED), SKEWED)[g] <= bounds_of(SKEWED)[g] for g in SKEWED)
    # A thousand groups of one row do not stand together in the middle, as with one offset for all.
    wanted = {0: 1000} | dict.fromkeys(range(1, 1001), 1)
    assert worst(order_of(wanted), wanted)[0] <= bounds_of(wanted)[0] == 1.5


@settings(deadline=None)
@given(targets, st.integers(1, 7))
def test_files_are_what_lies_before_their_ends_exactly(wanted, files):
    for places in places_of(wanted).values():
        ats = [
            Fraction(i * places.step + places.first, places.step * places.rows)
            for i in range(places.rows)
        ]
        assert [places.before(file, files) for file in range(files + 1)] == [
            sum(at < Fraction(file, files) for at in ats) for file in range(files + 1)
        ]


@given(st.integers(0, 2**40), st.integers(1, 1000))
def test_large_groups_are_placed_without_rounding_errors(rows, parts):
    (places,) = places_of({1: rows + 1}).values()
    starts = [places.before(part, parts) for part in range(parts + 1)]
    assert starts == sorted(starts) and (starts[0], starts[-1]) == (0, rows + 1)


def test_phases_go_on_where_the_one_before_stopped():
    schedule = Schedule({1: 10, 2: 0}, [Phase({1: 7, 2: 0}), Phase({1: 25, 2: 0})], 100)
    assert schedule.upto == [{1: 0, 2: 0}, {1: 7, 2: 0}, {1: 32, 2: 0}]
    assert schedule.wanted() == {1: (10, [7, 2])}
    ends = schedule.thresholds({1: {7: (70, 1, True), 2: (20, 1, True)}})
    # After both, every row was there three times, and the two of smallest hash once more.
    assert [end[1].copies(15) for end in ends] == [(1, 1), (4, 4)]
    assert [end[1].copies(75) for end in ends] == [(0, 0), (3, 3)]


@pytest.mark.parametrize(("rows", "per_file", "files"), [(0, 5, 1), (14, 5, 3), (4, 5, 1)])
def test_files_hold_about_as_many_rows_as_asked_for(rows, per_file, files):
    assert Schedule({1: 10}, [Phase({1: rows})], per_file).files(0) == files
