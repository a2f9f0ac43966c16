"""What Spark says, in the user's words."""

import pytest

from lakebalance.core.errors import TableError
from lakebalance.core.spark_errors import for_users

TRACE = """Job aborted due to stage failure: Task 0 in stage 3.0 failed 4 times:
org.apache.spark.api.python.PythonException: Traceback (most recent call last):
  File "/opt/worker.py", line 2004, in main
ModuleNotFoundError: No module named '{}'
"""


@pytest.mark.parametrize(
    ("module", "message"),
    [
        ("lakebalance", "workers does not have lakebalance; install it there, or give its wheel"),
        ("lakebalance.core", "workers does not have lakebalance"),
        ("rapidfuzz", "workers does not have rapidfuzz, .* install it there: pip install rapidf"),
        ("rapidfuzz.distance", "workers does not have rapidfuzz"),
    ],
)
def test_packages_that_workers_do_not_have(module, message):
    error = for_users(RuntimeError(TRACE.format(module)), "prune")
    with pytest.raises(TableError, match=message):
        raise error


def test_other_packages_are_left_to_spark():
    assert for_users(RuntimeError(TRACE.format("torch")), "prune") is None
