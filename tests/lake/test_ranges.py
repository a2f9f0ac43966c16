"""What the logs rule out: never a table whose rows are all there, and what can be ruled out is."""

import datetime as dt
import itertools
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakebalance.lake.log import replay
from lakebalance.lake.ranges import cut_by
from lakebalance.lake.schema_graph import Edge
from logs import add, schema, statistics, table

KINDS = {
    "i": "long", "s": "string", "x": "double", "f": "float", "d": "decimal(10,2)",
    "day": "date", "at": "timestamp", "local": "timestamp_ntz",
}  # fmt: skip
MOMENTS = st.datetimes(dt.datetime(2013, 1, 1), dt.datetime(2013, 1, 1, 0, 0, 1))
# Texts that agree in all that a log keeps of them, and such that are as long as that.
TEXTS = st.tuples(
    st.sampled_from(["", "a" * 31, "a" * 32]), st.text("ab\x7fé\U0010ffff", max_size=3)
).map("".join)
ROW = st.tuples(
    st.integers(-5, 5),
    TEXTS,
    st.sampled_from([-0.0, 0.0, 0.1, 1e300, float("inf"), float("nan"), -2.5]),
    st.floats(width=32, allow_infinity=False),
    st.decimals("-9.99", "9.99", places=2),
    st.dates(dt.date(2013, 1, 1), dt.date(2013, 1, 9)),
    MOMENTS,
    MOMENTS,
).flatmap(lambda row: st.tuples(*(st.sampled_from([value, value, None]) for value in row)))


@st.composite
def lakes(draw):
    """A table and one that has some of its rows and columns, in files of every kind."""
    rows = draw(st.lists(ROW, max_size=8))
    taken = [row for row in rows if draw(st.booleans())]
    names = draw(st.lists(st.sampled_from(list(KINDS)), min_size=1, unique=True))
    places = [list(KINDS).index(name) for name in names]
    child = [tuple(row[i] for i in places) for row in draw(st.permutations(taken))]
    parent = draw(logs(rows, KINDS))
    return draw(logs(child, {name: KINDS[name] for name in names})), parent


@st.composite
def logs(draw, rows, kinds):
    """A log of files that hold some rows, some with deleted rows or without statistics."""
    log, rest = [schema(kinds)], list(rows)
    writer = draw(st.sampled_from(["spark", "raised", "exact"]))
    while rest:
        size = draw(st.integers(1, len(rest)))
        part, rest = rest[:size], rest[size:]
        kind = draw(st.sampled_from(["exact", "exact", "vector", "wide", "none", "few"]))
        gone = draw(st.lists(ROW, max_size=2)) if kind == "vector" else []
        gone = [tuple(row[list(KINDS).index(name)] for name in kinds) for row in gone]
        some = dict(list(kinds.items())[:1]) if kind == "few" else kinds
        stats = statistics(
            part + gone, some, False if kind in ("vector", "wide") else None, None, writer
        )
        vector = (f"v{len(rest)}", len(gone)) if kind == "vector" else None
        log.append(add(f"f{len(rest)}", None if kind == "none" else stats, vector=vector))
    return replay("t", 0, log)


@settings(max_examples=300, deadline=None)
@given(lakes())
def test_a_true_containment_is_never_cut(lake):
    child, parent = lake
    edge = Edge("c", "p", tuple((column.name, column.name) for column in child.columns))
    assert cut_by(child, parent, edge) is None


def cut(kind, child, parent, parent_kind=None):
    rows = [[(value,) for value in values] for values in (child, parent)]
    tables = [
        table("c", {"v": kind}, rows[0]),
        table("p", {"v": parent_kind or kind}, rows[1]),
    ]
    return cut_by(*tables, Edge("c", "p", (("v", "v"),)))


STRING = {"v": "string"}
DAY, NEXT = dt.date(2013, 1, 1), dt.date(2013, 1, 2)
AT = dt.datetime(2013, 1, 1, 5)


@pytest.mark.parametrize(
    ("kind", "low", "middle", "high"),
    [
        ("long", 1, 2, 3),
        ("string", "AA", "UA", "US"),
        ("double", -1.5, 0.0, 0.1),
        ("float", -1.5, 0.0, 0.5),
        ("decimal(10,2)", Decimal("0.10"), Decimal("0.11"), Decimal("2.00")),
        ("date", DAY, NEXT, dt.date(2014, 1, 1)),
        ("timestamp", AT, AT.replace(second=1), AT.replace(second=2)),
        ("timestamp_ntz", AT, AT.replace(second=1), AT.replace(second=2)),
    ],
)
def test_values_outside_of_the_parents_are_seen(kind, low, middle, high):
    assert cut(kind, [low], [middle, high]) == ("min", "v")
    assert cut(kind, [high], [low, middle]) == ("max", "v")
    assert cut(kind, [middle], [low, high]) is None
    assert cut(kind, [low, low], [low]) == ("rows", None)
    assert cut(kind, [low, None], [low, low]) == ("nulls", "v")
    assert cut(kind, [low, low], [low, None]) == ("values", "v")
    assert cut(kind, [], []) is None


def test_what_logs_cut_away_proves_nothing():
    long = "a" * 32
    assert cut("string", [long + "c"], [long + "b", long + "d"]) is None
    assert cut("string", [long + "z"], [long + "b"]) is None
    assert cut("string", ["b" + long], [long, long]) == ("max", "v")
    assert cut("timestamp", [AT.replace(microsecond=900)], [AT]) is None
    # Two writers cut one text in different ways.
    for writers in itertools.product(("spark", "raised", "exact"), repeat=2):
        files = [add("a", statistics([("a" * 40,)], STRING, writer=w)) for w in writers]
        tables = [replay("t", 0, [schema(STRING), file]) for file in files]
        assert cut_by(*tables, Edge("t", "t", (("v", "v"),))) is None, writers
    # NaN is above all numbers for some writers, and left out by others.
    assert cut("double", [float("nan")], [1.0]) is None


def test_types_that_hold_others_are_compared_as_they_are_stored():
    assert cut("float", [0.1], [0.10000000149011612], "double") is None
    assert cut("integer", [3], [2.5], "double") == ("max", "v")
    assert cut("decimal(4,1)", [Decimal("1.5")], [Decimal("1.50")], "decimal(10,2)") is None
    assert cut("date", [NEXT], [dt.datetime(2013, 1, 1, 23)], "timestamp_ntz") == ("max", "v")
    assert cut("date", [DAY], [dt.datetime(2013, 1, 1)], "timestamp_ntz") is None


def test_a_parent_without_statistics_may_hold_all():
    child = table("c", {"v": "long"}, [(1,)])
    parent = replay("p", 0, [schema({"v": "long"}), add("a")])
    edge = Edge("c", "p", (("v", "v"),))
    assert cut_by(child, parent, edge) is None
    assert cut_by(parent, child, edge) is None
