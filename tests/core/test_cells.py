"""Where cells are cut: sizes of parts, their bound, and what is done where values are equal."""

import itertools
import random

import pytest

from lakebalance.core.cells import (
    Bound,
    Bucket,
    best_cut,
    bound_of,
    divided,
    floor_needed,
    intervals,
    parts_of,
    unsettled,
)


def buckets(values):
    """One bucket for each value, as when every one is told apart."""
    return [
        Bucket(value, value, len(list(same)), float(value))
        if False
        else Bucket(value, value, n, value * n)
        for value, same in itertools.groupby(sorted(values))
        for n in [len(list(same))]
    ]
