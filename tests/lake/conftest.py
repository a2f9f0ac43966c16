"""The lake's own commands."""

from functools import partial

import pytest


@pytest.fixture
def call(call):
    """Run ``lakebalance lake`` on the tests' own session."""
    return partial(call, "lake")
