"""Timestamps of a task's rows, wherever they stand in them."""

import datetime as dt

import pyarrow as pa

from lakebalance.core.arrow_types import in_utc


def test_the_same_moments_in_utc_wherever_they_stand():
    here, utc = (pa.timestamp("us", zone) for zone in ("America/New_York", "UTC"))

    def row(at):
        inner = pa.struct([pa.field("n", pa.int64(), nullable=False)])
        return pa.struct([("at", at), ("l", pa.list_(at)), ("m", pa.map_(pa.string(), at)),
                          pa.field("k", inner, nullable=False)])  # fmt: skip

    moment = dt.datetime(2024, 3, 10, 7, 30, tzinfo=dt.timezone.utc)
    full = {"at": moment, "l": [moment, None], "m": [("k", moment)], "k": {"n": 1}}
    rows = pa.array([full, None], row(here))
    given = pa.table({"row": rows, "at": pa.array([moment, None], here), "n": [1, 2]})
    made = in_utc(pa.concat_tables([given, given.slice(1)]))
    assert made.schema == pa.schema([("row", row(utc)), ("at", utc), ("n", pa.int64())])
    assert made.to_pylist() == [*given.to_pylist(), *given.slice(1).to_pylist()]
    assert in_utc(made).equals(made)
