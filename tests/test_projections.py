"""Embeddings of a source as quantiles along directions."""

import math

import numpy as np
import pytest

import lakebalance as lb
from lakebalance.allocate.sliced import areas_of
from lakebalance.core.errors import RecipeError, TableError
from lakebalance.projections import Slicing, embedded, quantiles_of

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
        ([(1, None), (2, [1.0])], '"e" of "a" is null in 1 rows'),
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


def labelled(spark, rows, partitions=1):
    df = spark.createDataFrame(rows, "__lb_name string, label string, e array<double>")
    return df.repartition(partitions)


def test_a_label_stands_for_the_mean_embedding_of_its_rows_in_their_source(spark):
    chance = np.random.default_rng(0)
    rows = [
        (name, label, (chance.normal(size=3) + shift).tolist())
        for name, label, shift in [("a", "x", 0), ("a", None, 2), ("b", "x", 5), ("b", "null", 1)]
        for _ in range(15)
    ]
    how = Slicing("e", 4, 30, label="label", label_weight=0.5)
    plain = Slicing("e", 4, 30)
    found = read(quantiles_of(embedded(labelled(spark, rows), how), how))
    assert found == read(quantiles_of(embedded(labelled(spark, rows[::-1], 3), how), how))
    # Each of 30 quantiles of 30 values is near one of them: compare the means along directions.
    from lakebalance.projections import _directions

    units = _directions(6, how)
    for name in "ab":
        own = [(label, np.array(e)) for n, label, e in rows if n == name]
        means = {
            label: np.mean([e for other, e in own if other == label], axis=0) for label, _ in own
        }
        values = np.array([np.concatenate([e, 0.5 * means[label]]) for label, e in own]) @ units.T
        shares = (np.arange(30) + 0.5) / 30
        wanted = np.quantile(values, shares, axis=0).T
        assert np.array(found[name]) == pytest.approx(wanted, abs=1e-9)
    assert found != read(quantiles_of(embedded(labelled(spark, rows), plain), plain))


def test_embeddings_of_two_sources_are_of_one_size(spark):
    rows = [("a", "x", [1.0]), ("b", "x", [1.0, 2.0]), ("c", "x", [2.0])]
    how = Slicing("e")
    message = 'embeddings are of 1 numbers in "a" and of 2 in "b"; they must all be of one size'
    with pytest.raises(TableError, match=message):
        quantiles_of(embedded(labelled(spark, rows), how), how)


def test_labels_are_classes(spark, monkeypatch):
    monkeypatch.setattr("lakebalance.projections.MOST_LABELS", 2)
    how = Slicing("e", label="label")
    rows = [("a", label, [1.0]) for label in "xyz"]
    with pytest.raises(TableError, match="there are 3 labels, all sources together; at most 2"):
        quantiles_of(embedded(labelled(spark, rows), how), how)
