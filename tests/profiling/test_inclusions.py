"""Inclusions between tables: against sets in Python."""

from lakebalance.profiling.options import Options
from lakebalance.table_profiles import columns


def test_foreign_keys_are_found_and_chance_is_left_out(spark, table):
    planes = [(f"N{i}", i % 3, i * 1.5) for i in range(50)]
    flights = [(i, f"N{i % 40}" if i else "gone", i % 2, None if i % 5 else i) for i in range(120)]
    a = table("flights", flights, "id int, `tail.num` string, two int, holes long")
    b = table("planes", planes, "tailnum string, three int, size double")
    found = columns([a, b], spark, Options(keys=False)).to_dict()["inclusions"]
    said = {
        (one["from"]["table"], one["from"]["column"], one["to"]["column"]): one
        for one in found["found"]
    }
    key = said["flights", "tail.num", "tailnum"]
    values = {row[1] for row in flights}
    inside = values & {row[0] for row in planes}
    assert (key["values"], key["contained"]) == (len(values), len(inside)) == (41, 40)
    assert key["unique"] and key["share"] == 40 / 41
    # 40 of 50 tail numbers have flights, in several rows each, which is no foreign key.
    assert ("planes", "tailnum", "tail.num") not in said
    assert said["planes", "three", "id"]["unique"]
    assert found["complete"] and all(one["from"]["column"] != "two" for one in found["found"])


def test_one_table_includes_nothing(spark, table):
    path = table("t", [(1,), (2,), (3,)], "a int")
    found = columns(path, spark, Options(keys=False)).to_dict()["inclusions"]
    assert found == {"found": [], "complete": True}
    both = columns([path, table("e", [], "a int")], spark, Options(keys=False))
    assert both.to_dict()["inclusions"]["found"] == []
