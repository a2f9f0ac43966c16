"""What is read out of Delta logs, as their protocol has it."""

import datetime as dt
import json
from decimal import Decimal

import pytest

from lakebalance.lake.facts import TableFacts
from lakebalance.lake.log import BrokenLog, actions, replay
from lakebalance.lake.log_files import needed
from logs import add, schema, statistics, table

LONG = {"id": "long"}


def column(facts, name="id"):
    return facts.by_name[name]


def test_the_newest_action_of_a_file_counts():
    rows = statistics([(1,), (5,)], LONG)
    log = [schema(LONG), add("a", rows), add("b", rows), {"remove": {"path": "a"}}]
    facts = replay("t", 3, log)
    assert (facts.rows, facts.files, facts.bytes, facts.version) == (2, 1, 10, 3)
    assert replay("t", 3, [*log, {"remove": {"path": "b"}}]).rows == 0


def test_deletion_vectors_take_rows_and_make_bounds_wide():
    rows = statistics([(1,), (5,), (None,)], LONG)
    log = [
        schema(LONG),
        add("a", rows),
        {"remove": {"path": "a"}},
        add("a", rows, vector=("dv", 1)),
    ]
    facts = replay("t", 1, log)
    id = column(facts)
    assert (facts.rows, facts.files) == (2, 1)
    assert (id.min_low, id.max_high) == (1, 5)
    assert (id.min_high, id.max_low) == (None, None)
    assert (id.nulls_low, id.nulls_high) == (0, 1)
    other = {"remove": {"path": "a", "deletionVector": {"storageType": "u",
             "pathOrInlineDv": "other", "offset": 1}}}  # fmt: skip
    assert replay("t", 1, [*log, other]).files == 1
    whole = replay("t", 1, [schema(LONG), add("a", rows, vector=("dv", 3))])
    assert (whole.rows, column(whole).max_high) == (0, None)


def test_mapped_columns_have_statistics_under_physical_names():
    physical = {"id": "col-1", "renamed": "id"}
    kinds = {"id": "long", "renamed": "long"}
    stats = statistics([(1, 70), (2, 80)], kinds, physical=physical)
    facts = replay("t", 0, [schema(kinds, physical), add("a", stats)])
    assert column(facts).max_high == 2
    assert column(facts, "renamed").max_high == 80


def test_partition_columns_have_their_values_beside_the_files():
    kinds = {"id": "long", "day": "date", "at": "timestamp"}
    stats = statistics([(1,), (2,)], LONG)
    log = [schema(kinds, partition_by=["day", "at"])]
    log += [
        add(day or "null", stats, partition={"day": day, "at": "2013-01-01 00:00:00"})
        for day in ("2013-01-05", "2013-02-01", "")
    ]
    facts = replay("t", 0, log)
    day = column(facts, "day")
    assert (day.min_high, day.max_low) == (dt.datetime(2013, 1, 5), dt.datetime(2013, 2, 1))
    assert (day.nulls_low, day.nulls_high) == (2, 2)
    assert not column(facts, "at").bounded_above, "its zone is not known"
    assert facts.partition_by == ("day", "at")


def test_columns_and_files_without_statistics_are_not_bounded():
    kinds = {"id": "long", "thirty-third": "long"}
    facts = replay("t", 0, [schema(kinds), add("a", statistics([(1,)], LONG))])
    assert not column(facts, "thirty-third").bounded_below
    assert column(facts, "thirty-third").nulls_high == 1
    facts = replay("t", 0, [schema(LONG), add("a", statistics([(1,)], LONG)), add("b")])
    assert (facts.rows, facts.without_statistics) == (None, 1)
    assert (column(facts).max_low, column(facts).bounded_above) == (1, False)
    assert column(facts).nulls_high is None


def test_widened_floats_and_collated_texts_are_not_compared():
    for name, key in (("double", "delta.typeChanges"), ("string", "__COLLATIONS")):
        field = {"name": "x", "type": name, "metadata": {key: []}}
        text = json.dumps({"type": "struct", "fields": [field]})
        log = [{"metaData": {"schemaString": text}}]
        log.append(add("a", {"numRecords": 1, "minValues": {"x": 1}, "maxValues": {"x": 1},
                             "nullCount": {"x": 0}}))  # fmt: skip
        x = column(replay("t", 0, log), "x")
        assert (x.bounded_below, x.bounded_above, x.max_low, x.nulls_high) == (
            False,
            False,
            None,
            0,
        )


def test_files_of_other_tables_are_not_its_bytes():
    stats = statistics([(1,)], LONG)
    log = [schema(LONG), add("own", stats)]
    log += [add(f"file:///lake/a%20b/day=1/{n}", stats) for n in "xy"]
    facts = replay("t", 0, log)
    assert (facts.bytes, facts.files, facts.borrowed) == (10, 3, ("/lake/a b",))


def test_empty_tables_and_all_kinds_survive_the_inventory():
    kinds = {"i": "integer", "s": "string", "d": "decimal(10,2)", "f": "float", "x": "double",
             "day": "date", "at": "timestamp", "local": "timestamp_ntz",
             "list": {"type": "array", "elementType": "long", "containsNull": True}}  # fmt: skip
    assert table("t", kinds).rows == 0
    moment = dt.datetime(2013, 1, 1, 5, 0, 0, 123456)
    row = (1, "a" * 40, Decimal("1.20"), 0.5, float("nan"), dt.date(2013, 1, 1), moment, moment)
    facts = table("t", kinds, [(*row, None)], partition_by=["i"], createdTime=5)
    again = TableFacts.from_json(facts.to_json())
    assert again == facts
    assert again.by_name["d"].max_low == Decimal("1.20")
    assert again.by_name["at"].max_low == dt.datetime(
        2013, 1, 1, 5, 0, 0, 123000, tzinfo=dt.timezone.utc
    )
    assert again.by_name["x"].max_high == float("inf")


@pytest.mark.parametrize(
    ("log", "said"),
    [
        ([add("a")], "names no schema"),
        ([{"metaData": {"schemaString": "{"}}], "JSONDecodeError"),
        ([schema(LONG), {"add": {"size": 3}}], "KeyError in the log: 'path'"),
        ([schema(LONG), add("a", "{")], "JSONDecodeError"),
        ([schema(LONG), {"sidecar": {"path": "s"}}], "kind V2"),
    ],
)
def test_a_broken_log_is_said(log, said):
    with pytest.raises(BrokenLog, match=said):
        replay("t", 0, log)


def test_lines_that_are_not_json_are_said():
    assert list(actions('{"a": 1}\n\n{"b": 2}\n')) == [{"a": 1}, {"b": 2}]
    for text in ('{"a": 1}\n{"b', "7"):
        with pytest.raises(BrokenLog, match="of a commit is not"):
            list(actions(text))


def test_which_files_of_a_log_are_read():
    def commit(v):
        return f"{v:020}.json"

    assert needed([commit(1), commit(0)]).commits == (commit(0), commit(1))
    parts = [f"{4:020}.checkpoint.{i:010}.{2:010}.parquet" for i in (1, 2)]
    noise = [f"{3:020}.{4:020}.compacted.json", f"{4:020}.crc", "_last_checkpoint"]
    found = needed([commit(4), commit(5), *parts, *noise])
    assert (found.version, found.checkpoint, found.commits) == (5, tuple(parts), (commit(5),))
    # Half a checkpoint is none.
    with pytest.raises(BrokenLog, match="lacks 4 of its commits, the first of version 0"):
        needed([commit(4), commit(5), parts[0]])
    with pytest.raises(BrokenLog, match="lacks 1 of its commits, the first of version 1"):
        needed([commit(0), commit(2)])
    second = f"{1:020}.checkpoint.80a083e8-7026-4e79-81be-64bd76c43a11.json"
    with pytest.raises(BrokenLog, match="kind V2"):
        needed([commit(2), second])
    with pytest.raises(BrokenLog, match="neither commits"):
        needed(noise)
