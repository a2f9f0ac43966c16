"""Embeddings of a source as quantiles along directions."""

import math

import numpy as np
import pytest

import lakebalance as lb
from lakebalance.allocate.sliced import areas_of
from lakebalance.core.errors import RecipeError, TableError

SCHEMA = "id long, e array<float>"


def embeddings(n, shift=0.0, seed=1):
    chance = np.random.default_rng(seed)
    return [(i, (chance.normal(size=5) + shift).tolist()) for i in range(n)]


def read(made):
    found = {}
    for source, at, value in made.collect():
        found.setdefault(source, {}).setdefault(at, []).append(value)
    return {source: [own[i] for i in sorted(own)] for source, own in found.items()}


def test_quantiles_are_the_same_however_rows_lie_and_tell_sources_apart(spark):
    rows = embeddings(300)
    one = spark.createDataFrame(rows, SCHEMA).coalesce(1)
    two = spark.createDataFrame(rows[::-1], SCHEMA).repartition(3)
    options = {"directions": 4, "quantiles": 20}
    own = read(lb.project(one, "a", "e", **options))
    assert own == read(lb.project(two, "a", "e", **options))
    assert [len(slice_) for slice_ in own["a"]] == [20] * 4
    far = read(
        lb.project(spark.createDataFrame(embeddings(300, 3.0, 2), SCHEMA), "b", "e", **options)
    )
    target = read(
        lb.project(spark.createDataFrame(embeddings(200, 0.0, 3), SCHEMA), "t", "e", **options)
    )
    areas = areas_of(["a", "b"], {**own, **far}, target["t"])
    near, away = areas.distance(np.array([1.0, 0.0])), areas.distance(np.array([0.0, 1.0]))
    # Along a direction, a shift by 3 in each of 5 dimensions is up to 3 · sqrt(5).
    assert near < 0.3
    assert 1 < away <= 3 * math.sqrt(5) + 0.3


def test_of_many_rows_about_as_many_as_asked_for_are_looked_at(spark):
    df = spark.createDataFrame([(i, [float(i), 1.0]) for i in range(2_000)], SCHEMA)
    some = read(lb.project(df, "a", "e", directions=1, quantiles=9, most=500))
    every = read(lb.project(df, "a", "e", directions=1, quantiles=9))
    assert some != every
    assert np.abs(np.subtract(some["a"], every["a"])).max() < 0.15 * np.ptp(every["a"])


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "there are no rows"),
        ([(1, None), (2, [1.0])], '"e" is null in 1 rows'),
        ([(1, [1.0, 2.0]), (2, [1.0])], "of 1 to 2 numbers; embeddings must all be of one size"),
        ([(1, [])], "of 0 to 0 numbers"),
        ([(1, [math.nan]), (2, [None]), (3, [math.inf]), (4, [1.0])], "somewhere in 3 rows"),
    ],
)
def test_embeddings_that_are_none_are_refused(spark, rows, message):
    with pytest.raises(TableError, match=message):
        lb.project(spark.createDataFrame(rows, SCHEMA), "a", "e")


def test_columns_that_are_none_are_refused(spark):
    df = spark.createDataFrame([], SCHEMA)
    with pytest.raises(RecipeError, match='no column "embedding"'):
        lb.project(df, "a", "embedding")
    with pytest.raises(RecipeError, match='"id" is of type bigint; it must be an array of numbers'):
        lb.project(df, "a", "id")
