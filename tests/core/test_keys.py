"""Keys that are not unique are found, whatever way they are looked for."""

import pytest
from pyspark.sql import functions as F

from lakebalance.core import keys
from lakebalance.core.counts import count_groups
from lakebalance.core.errors import TableError
from lakebalance.core.sources import Pinned, branches


def source(df, key, name="s"):
    return Pinned(name, f"lake/{name}", 0, df, key, None)


def check(*pinned):
    """The check as a run makes it; says whether marks in bits did it."""
    span_of = keys.number_key(pinned)
    census = count_groups(branches(pinned), [], [s.name for s in pinned], span_of=span_of)
    keys.check_unique(pinned, census)
    return span_of is not None and keys._dense(census)


@pytest.mark.parametrize("start", [0, -2500, -5000, 10**12])
def test_numbers_that_lie_close_are_checked_by_marks(spark, start):
    assert check(source(spark.range(start, start + 5000), ["id"]))


@pytest.mark.parametrize("twice", [0, 1, 4999, -4999])
def test_a_number_that_stands_twice_is_found(spark, twice):
    numbers = spark.range(min(0, twice), max(5000, twice + 1))
    with pytest.raises(TableError, match=rf"1 values .* such as {twice} \(2 rows\)"):
        check(source(numbers.union(spark.range(twice, twice + 1)), ["id"]))


def test_numbers_far_apart_are_checked_by_hash(spark):
    apart = spark.range(3000).select((F.col("id") * 10**15).alias("id"))
    assert not check(source(apart, ["id"]))
    with pytest.raises(TableError, match="1 values"):
        check(source(apart.union(apart.limit(1)), ["id"]))


def test_sources_may_share_numbers_but_not_within_one(spark):
    numbers = spark.range(3000)
    assert check(source(numbers, ["id"], "a"), source(numbers, ["id"], "b"))
    with pytest.raises(TableError, match=r"sources\.1\.key"):
        check(source(numbers, ["id"], "a"), source(numbers.union(numbers), ["id"], "b"))


def test_one_null_is_a_key_and_two_are_not(spark):
    numbers, null = spark.range(3000), spark.sql("select cast(null as bigint) as id")
    assert check(source(numbers.union(null), ["id"]))
    with pytest.raises(TableError, match="such as None"):
        check(source(numbers.union(null).union(null), ["id"]))


def test_only_nulls_and_ends_of_the_range(spark):
    null = spark.sql("select cast(null as bigint) as id")
    assert not check(source(null, ["id"]))
    ends = spark.createDataFrame([(-(2**63),), (2**63 - 1,)], "id bigint")
    assert not check(source(ends, ["id"]))


def test_texts_and_several_columns_are_checked_by_hash(spark):
    rows = spark.range(2000).select("id", F.col("id").cast("string").alias("name"))
    assert not check(source(rows, ["name"]))
    assert not check(source(rows, ["id", "name"]))
    with pytest.raises(TableError, match=r"\[id, name\] is not unique"):
        check(source(rows.union(rows.where("id = 7")), ["id", "name"]))
