"""How tables are made again: SQL, conditions, hashes of rows, and the record of removals."""

import itertools
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyspark.sql import types as T

from lakebalance.core.row_hash import Fingerprint, fingerprint, hashed
from lakebalance.core.tables import Table
from lakebalance.lake.conditions import Measured, condition, literal
from lakebalance.lake.definition import CLAIM, Definition
from lakebalance.lake.rebuild import Rebuild, columns_of
from lakebalance.lake.removals import STEPS, Removal, barred

SCHEMA = T.StructType().add("a.b", "integer").add("c", "string")
REBUILD = Rebuild("/l/p", 3, SCHEMA.json(), (("a.b", "x y", "int"), ("c", "c", None)))


def removal(table, parent, plan="p", event="claimed"):
    return Removal(
        f"{plan}-{table}", plan, table, "id", 0, 1, Fingerprint(1, Decimal(1), Decimal(2)),
        replace(REBUILD, parent=parent), Definition(SCHEMA.json()), 0, event,
    )  # fmt: skip


def test_the_script_pins_the_version_casts_and_renames():
    assert REBUILD.sql() == (
        "SELECT\n  TRY_CAST(`x y` AS int) AS `a.b`,\n  `c`\nFROM delta.`/l/p` VERSION AS OF 3"
    )
    some = replace(REBUILD, condition="`c` = 'a'", box="`x y` > 1")
    assert some.sql().endswith("VERSION AS OF 3\nWHERE `c` = 'a'")
    assert some.of(9).within_box().sql().endswith("AS OF 9\nWHERE (`c` = 'a') AND (`x y` > 1)")
    kept = replace(REBUILD, kept="/s/rows/1")
    assert "JOIN delta.`/s/rows/1` USING (lb_hi, lb_lo)" in kept.sql()
    assert [r.kind for r in (REBUILD, some, kept)] == ["whole", "condition", "rows"]
    assert all(Rebuild.from_json(r.to_json()) == r for r in (REBUILD, some, kept))


def test_a_column_that_the_parent_lost_is_named():
    with pytest.raises(KeyError, match="x y"):
        columns_of(SCHEMA, T.StructType().add("c", "string"), [("a.b", "x y"), ("c", "c")])


@given(st.permutations(STEPS[:1] + STEPS[2:]))
def test_who_relies_on_whom_is_barred_until_it_is_restored(order):
    for event in order:
        of_a = removal("a", "p", "first", event)
        active = event != "restored"
        for table, parent in (("a", "q"), ("b", "a"), ("p", "q")):
            assert (barred([of_a], table, parent) is not None) is active
        assert barred([of_a], "b", "p") is None
        assert barred([of_a], "a", "p", {of_a.claim}) is None


def test_a_definition_is_made_anew_with_checks_and_quotes():
    made = Definition(
        SCHEMA.json(), ["c"], [],
        {"delta.constraints.it": "c <> 'x'", "delta.columnMapping.maxColumnId": "2", "m": "a'b\\"},
        "o'k",
    ).statements(Table("/l/t"), "claim")  # fmt: skip
    assert made == [
        "CREATE TABLE IF NOT EXISTS delta.`/l/t` (`a.b` INT, `c` STRING) USING delta "
        "PARTITIONED BY (`c`) COMMENT 'o\\'k' "
        f"TBLPROPERTIES ('m' = 'a\\'b\\\\', '{CLAIM}' = 'claim')",
        "ALTER TABLE delta.`/l/t` ADD CONSTRAINT `it` CHECK (c <> 'x')",
    ]


NESTED = (
    T.StructType()
    .add("a", "integer")
    .add("b", "string")
    .add("d", "double")
    .add("l", T.ArrayType(T.IntegerType()))
    .add("s", T.StructType().add("x", "integer").add("y", "string"))
    .add("m", T.MapType(T.StringType(), T.IntegerType()))
)
PLAIN = (1, "a", 0.5, [1, None], (1, "x"), {"k": 1, "l": 2})
OTHERS = {
    "a null": (None, *PLAIN[1:]),
    "a null moved": (1, None, *PLAIN[2:]),
    "the text of a null": (1, "null", *PLAIN[2:]),
    "an empty array": (*PLAIN[:3], [], *PLAIN[4:]),
    "no array": (*PLAIN[:3], None, *PLAIN[4:]),
    "a null elsewhere in the array": (*PLAIN[:3], [None, 1], *PLAIN[4:]),
    "no struct": (*PLAIN[:4], None, PLAIN[5]),
    "a struct of nulls": (*PLAIN[:4], (None, None), PLAIN[5]),
    "another field": (*PLAIN[:4], (None, "x"), PLAIN[5]),
    "another map": (*PLAIN[:5], {"k": 2, "l": 1}),
    "a null in the map": (*PLAIN[:5], {"k": 1, "l": None}),
    "an empty map": (*PLAIN[:5], {}),
    "zero": (1, "a", 0.0, *PLAIN[3:]),
    "not a number": (1, "a", float("nan"), *PLAIN[3:]),
}


def test_rows_that_differ_have_other_hashes_and_equal_ones_the_same(spark):
    rows = [PLAIN, *OTHERS.values()]
    # Equal for Spark, though written in another way.
    equal = [(*PLAIN[:5], {"l": 2, "k": 1}), (1, "a", -0.0, *PLAIN[3:])]
    numbered = T.StructType([T.StructField("i", T.IntegerType()), *NESTED.fields])
    df = spark.createDataFrame([(i, *row) for i, row in enumerate(rows + equal)], numbered)
    found = hashed(df, NESTED, "i").orderBy("i").collect()
    halves = [[row[half] for row in found] for half in ("lb_hi", "lb_lo")]
    for half in halves:
        assert len(set(half)) == len(rows)
        assert half[len(rows) :] == [half[0], half[1 + list(OTHERS).index("zero")]]
    assert not set(halves[0]) & set(halves[1])
    once, thrice = (fingerprint(spark.createDataFrame([PLAIN] * n, NESTED), NESTED) for n in (1, 3))
    assert once == Fingerprint(1, Decimal(halves[0][0]), Decimal(halves[1][0]))
    assert thrice == Fingerprint(3, 3 * once.hi, 3 * once.lo)


TEXTS = ["", "a'b", "a\\", "\\u0041", "${x}", "日本", "a\nb", "--", "%"]


def test_values_in_sql_are_the_values(spark):
    kinds = {
        "bigint": ["-9223372036854775808", "9223372036854775807"],
        "tinyint": ["-128"],
        "double": ["-1.7976931348623157E308", "4.9E-324", "NaN", "-Infinity", "0.1"],
        "float": ["0.1", "3.4028235E38"],
        "decimal(38,10)": ["-1234567890123456789012345678.0123456789"],
        "date": ["0001-01-01", "9999-12-31"],
        "timestamp_ntz": ["2013-01-01 05:00:00.123456"],
        "boolean": ["true"],
    }
    checks = [
        f"{literal(text, T.DataType.fromDDL(kind))} <=> CAST('{text}' AS {kind})"
        for kind, texts in kinds.items()
        for text in texts
    ]
    checks += [
        f"{literal(text, T.StringType())} <=> decode(X'{text.encode().hex()}', 'UTF-8')"
        for text in TEXTS
    ]
    checks.append(f"unix_micros({literal('-1', T.TimestampType())}) = -1")
    row = spark.sql("SELECT " + ", ".join(checks)).collect()[0]
    assert [check for check, ok in zip(checks, row, strict=True) if not ok] == []


def test_a_condition_is_true_of_all_that_was_measured():
    kind = T.LongType()
    for low, values, nulls in itertools.product((None, "1"), (None, ("1", "4")), (0, 2)):
        text = condition("n", Measured(kind, low, low and "4", nulls, 2, values))
        assert ("IS NULL" in text) is (nulls > 0 or low is None)
        assert ("IN (1, 4)" in text) is (low is not None and values is not None)
    assert condition("n", Measured(T.StringType(), "a", "b" * 101, 0, 2)) is None
