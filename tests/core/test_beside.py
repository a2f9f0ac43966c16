"""Work beside other work: all of it is waited for, and the first failure in order is said."""

import threading
import uuid

import pytest

from lakebalance.core.beside import Beside


def test_what_is_started_goes_on_while_the_body_does(spark):
    met = threading.Barrier(3, timeout=10)
    with Beside(spark) as beside:
        for _ in range(2):
            beside.start(met.wait)
        met.wait()


def test_the_end_waits_for_all(spark):
    release, done = threading.Event(), []
    with Beside(spark) as beside:
        beside.start(lambda: done.append(release.wait(10)))
        beside.start(release.set)
    assert done == [True]


def fail(message, after=None):
    if after is not None:
        after.wait(10)
    raise ValueError(message)


def test_failures_come_in_order_of_starts_and_before_that_of_the_body(spark):
    second_failed = threading.Event()

    def second():
        try:
            fail("second")
        finally:
            second_failed.set()

    with pytest.raises(ValueError, match="first") as failure, Beside(spark) as beside:
        beside.start(lambda: fail("first", second_failed))
        beside.start(second)
        fail("body")
    assert str(failure.value.__cause__) == "body"


def test_a_failure_of_the_body_alone_is_its_own(spark):
    with pytest.raises(ValueError, match="body"), Beside(spark) as beside:
        beside.start(lambda: 1)
        fail("body")


def test_a_failure_that_the_body_asked_for_is_said_once(spark):
    with pytest.raises(ValueError, match="asked") as failure, Beside(spark) as beside:
        beside.start(lambda: fail("asked")).result()
    assert failure.value.__cause__ is None


def test_jobs_in_threads_belong_to_the_group_of_who_started_them(spark):
    context, group = spark.sparkContext, uuid.uuid4().hex
    context.setJobGroup(group, "asked for")
    try:
        with Beside(spark) as beside:
            beside.start(lambda: spark.range(10).count())
    finally:
        context.setLocalProperty("spark.jobGroup.id", None)
    assert context.statusTracker().getJobIdsForGroup(group)
