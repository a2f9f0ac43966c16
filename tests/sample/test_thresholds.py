"""Thresholds against sorting, in classic bands and in missed ones."""

import pytest
from pyspark.sql import functions as F

from lakebalance.core.errors import LakebalanceError
from lakebalance.sample.thresholds import (
    GROUP,
    HASH,
    find_thresholds,
    find_thresholds_together,
    for_output,
    keep,
)


@pytest.fixture(scope="module")
def rows(spark):
    return spark.range(20_000, numPartitions=3).select(
        F.when(F.col("id") < 18_000, 1)
        .when(F.col("id") < 19_990, 2)
        .otherwise(3)
        .cast("bigint")
        .alias(GROUP),
        F.xxhash64("id").alias(HASH),
        "id",
    )


@pytest.mark.parametrize("sigmas", [7.5, 1e-9])  # a band that misses is widened
def test_threshold_is_the_kth_smallest_hash(rows, sigmas):
    wanted = {1: (18_000, 700), 2: (1_990, 1_989), 3: (10, 25)}
    found = find_thresholds([rows], wanted, sigmas)
    for group, (_, target) in wanted.items():
        hashes = sorted(r[0] for r in rows.where(F.col(GROUP) == group).select(HASH).collect())
        rest = target % len(hashes)
        assert found[group].last == hashes[rest - 1]
        assert found[group].base == target // len(hashes)


def test_keep_gives_exactly_the_target_without_a_shuffle(rows, capsys):
    wanted = {1: (18_000, 700), 2: (1_990, 0), 3: (10, 25)}
    kept = keep([rows], find_thresholds([rows], wanted))
    assert kept.columns == ["id"]
    assert kept.where("id < 18000").count() == 700
    assert kept.where("id >= 19990").count() == 25
    assert kept.count() == 725
    kept.explain()
    assert "Exchange hashpartitioning" not in capsys.readouterr().out


def test_ties_at_the_threshold_are_split_exactly(spark):
    rows = spark.range(100).select(
        F.lit(5).cast("bigint").alias(GROUP),
        F.lit(42).cast("bigint").alias(HASH),
        F.lit("x").alias("v"),
    )
    for target in (1, 37, 99, 100, 137):
        found = find_thresholds([rows], {5: (100, target)})
        assert keep([rows], found).count() == target


def test_thresholds_of_several_outputs_are_those_of_each(rows):
    wanted = [{1: (18_000, 700), 2: (1_990, 1_989)}, {1: (18_000, 30), 3: (10, 25)}]
    another = F.xxhash64("id", F.lit(1)).alias(HASH)
    apart = [rows, rows.select(GROUP, another)]
    entries = [
        F.struct(for_output(F.col(GROUP), i).alias(GROUP), chance)
        for i, chance in enumerate([F.col(HASH), another])
    ]
    together = rows.select(F.inline(F.array(*entries)))
    assert find_thresholds_together([together], wanted) == [
        find_thresholds([own], numbers) for own, numbers in zip(apart, wanted, strict=True)
    ]


def test_ids_that_would_be_one_in_two_outputs_are_refused(rows):
    with pytest.raises(LakebalanceError, match="same 64-bit id"):
        find_thresholds_together([rows], [{6: (10, 5), for_output(7, 1): (9, 2)}, {7: (10, 3)}])
