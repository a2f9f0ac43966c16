"""How work is divided among tasks, what memory is planned, and groups that no task can take."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakebalance.core.errors import RecipeError
from lakebalance.core.neighbours import mib_for
from lakebalance.core.probed_neighbours import EXACT_UP_TO
from lakebalance.sample.checks import check_groups
from lakebalance.sample.smote import METHOD, Smote
from lakebalance.sample.thresholds import Share, Threshold
from lakebalance.sample.work import (
    CHILDREN_IN_A_TASK,
    PARENTS_IN_A_TASK,
    divided,
    needs,
    work_of,
)

SMOTE = Smote(method="smote", features=["x", "y"])


def share(available, target, value="a"):
    return Share(available, target, Threshold(1), {"label": value}, "s")


SIZES = st.tuples(st.integers(1, 3_000_000), st.integers(1, 9_000_000))


@given(st.lists(SIZES, min_size=1, max_size=60))
def test_every_task_has_a_place_and_no_more_work_than_a_task_takes(sizes):
    growing = {i: share(rows, rows + more, i) for i, (rows, more) in enumerate(sizes)}
    work, partitions = divided(growing)
    places = [w.first + i for w in work.values() for i in range(w.tasks)]
    assert sorted(places) == list(range(len(places))) and 1 <= partitions <= len(places)
    for i, (rows, more) in enumerate(sizes):
        assert rows <= work[i].tasks * PARENTS_IN_A_TASK
        assert more <= work[i].tasks * CHILDREN_IN_A_TASK
    # Several tasks in a partition only where they are small.
    load = [0.0] * partitions
    for i, own in work.items():
        for task in range(own.tasks):
            load[(own.first + task) % partitions] += work_of(*sizes[i]) / own.tasks
    assert max(load) <= 3 or len(sizes) == 1


def test_many_small_groups_share_two_partitions_and_large_ones_have_their_own():
    work, partitions = divided({i: share(10, 20, i) for i in range(1000)})
    assert partitions == 2 and {w.tasks for w in work.values()} == {1}
    work, partitions = divided({1: share(10, 20), 2: share(200_000, 1_800_000)})
    assert partitions == 5 and work[2].tasks == 4 and (work[2].first, work[1].first) == (0, 4)
    # All pairs of what is searched exactly are measured, so that one task would be long.
    assert divided({1: share(EXACT_UP_TO, 2 * EXACT_UP_TO)})[0][1].tasks == 2
    assert divided({1: share(100_000, 200_000)})[0][1].tasks == 2
    assert divided({1: share(100_000, 200_000)}, exact=True)[0][1].tasks == 50


def test_a_group_of_50_million_rows_is_refused_before_it_starts_or_has_its_memory_planned():
    rows = 50_000_000
    message = (
        rf'group "s/a" has 50,000,000 rows .* at most 1,000,000; write sample.max_group_rows: '
        rf"50000000 where workers have at least {mib_for(rows, 2):,} MiB for Python"
    )
    with pytest.raises(RecipeError, match=message):
        check_groups(SMOTE, "s/a", rows, rows + 1)
    check_groups(SMOTE, "s/a", rows, rows)  # it keeps its rows: no task sees them all
    allowed = SMOTE.model_copy(update={"max_group_rows": rows})
    check_groups(allowed, "s/a", rows, rows + 1)
    [said] = needs(allowed, 2, {1: share(rows, rows + 1000)})
    assert said.rows == [["s/a", rows, 1000, 1000, mib_for(rows, 2, 1)]]
    assert "more than 50,000,000 rows (sample.max_group_rows) are refused" in said.note


def test_a_plan_says_what_the_largest_tasks_need():
    shares = {i: share(100 + i, 2000, f"g{i}") for i in range(12)}
    shares |= {50: share(900_000, 900_000, "large"), 51: share(40, 10, "cut"), 52: share(0, 5)}
    [said] = needs(SMOTE, 2, shares)
    assert len(said.rows) == 10 and "2 groups are left out" in said.note
    assert {row[0] for row in said.rows} <= {f"s/g{i}" for i in range(12)}
    assert METHOD.prepare([None], {50: shares[50], 51: shares[51]}, SMOTE).diagnostics == []
    [said] = needs(SMOTE, 2, shares, weighing=True)
    total = sum(s.available for s in shares.values())
    assert said.rows[0] == ["all groups", total, 0, 1, mib_for(total, 2)]


def test_memory_grows_with_rows_columns_and_children():
    assert mib_for(0, 3) > 0
    for less, more in [((10**6, 3), (10**6, 4)), ((10**6, 3), (10**6, 3, 10**5))]:
        assert mib_for(*less) < mib_for(*more)
    assert math.isclose(mib_for(2 * 10**6, 20) - mib_for(0, 20), 2 * (1118 - 110), abs_tol=2)
