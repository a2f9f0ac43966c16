"""Rows whose embeddings point the same way, as recipes drop them."""

import numpy as np
import pytest
from pyspark.sql import functions as F

import lakebalance as lb
from lakebalance.core.components import writing
from lakebalance.core.directions import cosines, on_grid, scale_for, slack
from lakebalance.core.errors import RecipeError
from lakebalance.core.kmeans import assign, kmeans
from lakebalance.prune.embedded import counted, in_parts, matrix
from lakebalance.prune.near_kept import Kept
from lakebalance.prune.prototypes import Prototypes, prototypes
from lakebalance.prune.rank import Ranking
from lakebalance.prune.semantic import Semantic, semantic
from neighbourly import keyed, with_keys

ASKED = {"method": "semantic", "column": "e"}


def families(rows, size, seed=0):
    """Directions in families: copies of a fifth as many, moved by more and more."""
    rng = np.random.default_rng(seed)
    base = rng.standard_normal((rows // 5, size))
    moved = [base + s * rng.standard_normal(base.shape) for s in (0.0, 0.05, 0.1, 0.2, 0.3)]
    return np.concatenate(moved)[rng.permutation(rows // 5 * 5)].astype(np.float32)


def one_after_the_other(at, least):
    """Who goes for whom, and their cosine: each row compared with all that stay before it."""
    stay, gone = [], {}
    for i in range(len(at)):
        cosine = cosines(np.repeat(at[i : i + 1], len(stay), 0), at[stay]) if stay else np.empty(0)
        near = np.flatnonzero(cosine >= least)
        if len(near):
            gone[i] = (stay[near[0]], cosine[near[0]])
        else:
            stay.append(i)
    return gone


@pytest.mark.parametrize("size, least", [(1, 0.5), (2, 0.999), (16, 0.95), (64, 0.9)])
def test_rows_that_stay_are_the_same_however_rows_are_cut_up(size, least):
    at = families(1500, size)
    gone = one_after_the_other(at, least)
    assert 100 < len(gone) < 1500
    for cut in (1500, 700, 1):
        kept, stay, found = Kept(least), [], {}
        for start in range(0, 1500, cut):
            near, cosine = kept.take(at[start : start + cut])
            new = np.flatnonzero(near < 0) + start
            number = [*stay, *new.tolist()]
            for i in np.flatnonzero(near >= 0).tolist():
                found[start + i] = (number[near[i]], cosine[i])
            stay = number
        assert found == gone


def test_products_on_the_grid_are_exact_and_near_the_cosine():
    for size in (1, 3, 384, 4096):
        at = np.random.default_rng(size).standard_normal((60, size)).astype(np.float32)
        at[:5, 1:] = 0  # along an axis, where numbers are greatest
        grid, scale = on_grid(at), scale_for(size)
        products = grid @ grid.T
        assert (products == grid.astype(np.float64) @ grid.astype(np.float64).T).all()
        exact = at.astype(np.float64) / np.linalg.norm(at.astype(np.float64), axis=1)[:, None]
        assert np.abs(products - scale**2 * exact @ exact.T).max() <= slack(size)
        assert (scale + np.sqrt(size) / 2) ** 2 <= 2**24


def test_kmeans_finds_what_lloyds_algorithm_finds():
    directions = on_grid(families(2000, 8))
    found = kmeans(directions, 7, 300)
    cluster = assign(directions, found).cluster
    # At rest: each centroid has the direction of its members' sum, each row the nearest centroid.
    sums = np.stack([directions[cluster == i].sum(axis=0, dtype=np.float64) for i in range(7)])
    assert (on_grid(sums) == found).all()
    assert (cluster == (directions.astype(np.float64) @ found.T).argmax(axis=1)).all()
    assert (kmeans(directions, 7, 0) == directions[:7]).all()
    # A centroid without members stays where it is.
    same = on_grid(np.ones((5, 3)))
    assert (kmeans(same, 3) == same[:3]).all()


def frame(spark, at, kind="array<float>", partitions=2):
    rows = [(i, None if e is None else [*map(float, e)]) for i, e in enumerate(at)]
    df = spark.createDataFrame(rows, "id long, e array<double>").repartition(partitions)
    return with_keys(df.withColumn("e", F.col("e").cast(kind)))


def dropped(df, scratch=None, **options):
    """For each id that is dropped: the id that is kept, the similarity, and how many rows go."""
    found = semantic(df, Semantic(**{**ASKED, **options}), "prune.0", scratch).collect()
    ids = {tuple(r["__lb_key"]): r["id"] for r in df.select("id", "__lb_key").collect()}
    assert all(r["method"] == "semantic" and r["cluster"] == r["kept"]["hi"] for r in found)
    return {
        ids[tuple(r["dropped"])]: (ids[tuple(r["kept"])], r["similarity"], r["rows"]) for r in found
    }


@pytest.mark.slow
def test_one_part_is_as_if_all_pairs_were_compared(spark, tmp_path):
    at = [*families(300, 6), None, [0.0] * 6, [], [1e-300] * 6]
    gone = one_after_the_other(np.stack(at[:300]), 0.95)
    asked = {"keep": {"first_by": "id"}}
    found = dropped(frame(spark, at), **asked)
    assert found == {i: (kept, cosine, 1) for i, (kept, cosine) in gone.items()}

    def scratch(df, name):
        df.repartition(5).write.parquet(str(tmp_path / name))
        return spark.read.parquet(str(tmp_path / name))

    assert dropped(frame(spark, at, partitions=1), scratch, **asked) == found
    # Lengths mean nothing; decimals are numbers.
    wide = [None if e is None else [round(float(x), 4) * 8 for x in e] for e in at]
    decimals = dropped(frame(spark, wide, "array<decimal(20,5)>"), **asked)
    rounded = np.array([[round(float(x), 4) for x in e] for e in at[:300]])
    assert decimals.keys() == one_after_the_other(rounded, 0.95).keys()
    # Rows that share a key are equal: one of them stays, or none.
    twice = frame(spark, at)
    twice = dropped(twice.union(twice), **asked)
    assert {i: n for i, (kept, _, n) in twice.items() if kept != i} == dict.fromkeys(found, 2)
    assert {i for i, (kept, _, n) in twice.items() if kept == i and n == 1} == (
        set(range(300)) - found.keys()
    )


@pytest.mark.slow
def test_parts_are_divided_until_small_and_compared_within(spark):
    at = families(4000, 6)
    df = frame(spark, at)
    known = counted(df, "e", "prune.0.column")
    asked = Semantic(**ASKED, clusters=3)
    more = (asked, Ranking(df, None, "prune.0").column, known, 1000, writing(None))
    parts, other = in_parts(df, *more), in_parts(df.repartition(5), *more)
    columns = [F.col("__lb_key.hi").alias("hi"), "at", "part", "product"]
    table = parts.select(columns).toArrow().sort_by("hi")
    assert other.select(columns).toArrow().sort_by("hi").equals(table)
    part, product = table["part"].to_numpy(), table["product"].to_numpy()
    assert np.bincount(part).max() <= 1000 and len(set(part.tolist())) > 4
    vectors = matrix(table["at"].combine_chunks(), np.float32)
    expected = 0
    for own in np.unique(part):
        which = np.flatnonzero(part == own)
        order = which[np.lexsort((table["hi"].to_numpy()[which], product[which]))]
        expected += len(one_after_the_other(vectors[order], 0.98))
    assert len(dropped(df, epsilon=0.02, clusters=3, max_rows=1000)) == expected > 100
    # Rows that are all alike cannot be divided, and one stays.
    alike = spark.range(3000).select("id", F.array(F.lit(1.0), F.lit(2.0)).alias("e"))
    assert len(dropped(with_keys(alike), max_rows=1000)) == 2999


def test_embeddings_that_cannot_be_compared_are_refused(spark):
    def refused(df, message, **options):
        with pytest.raises(RecipeError, match=message):
            dropped(df, **options)

    good = [1.0, 2.0]
    refused(frame(spark, [good, [1.0], [2.0]]), r"of 1 numbers \(2 rows\) to 2 \(1 rows\)")
    refused(frame(spark, [good, [1.0, float("nan")]]), "a null, NaN or infinite number.* in 1 rows")
    refused(frame(spark, [good, [1e200, 1.0]], "array<double>"), "too large to be squared")
    holes = spark.createDataFrame([(0, [1.0, None])], "id long, e array<double>")
    refused(with_keys(holes), "a null, NaN or infinite")
    refused(frame(spark, [good]), 'prune.0.column: no column "f"', column="f")
    refused(frame(spark, [good]), 'column "id" is of type bigint; name a column of arrays',
            column="id")  # fmt: skip
    for nothing in ([], [None, None], [good]):
        assert dropped(frame(spark, nothing)) == {}


@pytest.mark.slow
def test_a_run_drops_them_says_why_and_plans_the_same(spark, recipe, table):
    at = families(200, 5)
    rows = [(i, "b" if i % 9 == 0 else "a", [*map(float, e)]) for i, e in enumerate(at)]
    path = table("t", rows, "id long, label string, `the e` array<float>")
    asked = {"method": "semantic", "column": "the e", "keep": "near"}
    one = recipe(keyed(path), prune=[asked])
    planned = lb.plan(one, spark)
    result = lb.run(one, spark)
    left = {r["id"] for r in spark.read.format("delta").load(one.publish.table).collect()}
    assert planned.to_dict()["groups"] == result.plan.to_dict()["groups"]
    assert 50 < len(left) < 200
    order = np.array(sorted(left))
    cosine = [cosines(np.repeat(at[[i]], len(order), 0), at[order]) for i in range(200)]
    for i in range(200):
        others = cosine[i][order != i]
        # A row that stays is near none that stays; each that goes is.
        assert (others.max() < 0.95) == (i in left)
    fates = {f["row"]["id"]: f for f in lb.explain(one, spark, "id >= 0", limit=200)}
    assert {i for i, f in fates.items() if f["fate"] == "semantic duplicate"} == (
        set(range(200)) - left
    )
    # The one that stays is nearer to the middle than the one that goes.
    unit = at / np.linalg.norm(at, axis=1)[:, None]
    middle = unit @ unit.sum(axis=0) / np.linalg.norm(unit.sum(axis=0))
    for i in set(range(200)) - left:
        of = fates[i]["of_row"]["id"]
        assert of in left and middle[of] > middle[i] - 1e-3
        assert fates[i]["similarity"] == cosines(at[[i]], at[[of]])[0] >= 0.95


@pytest.mark.slow
def test_prototypes_leave_exactly_as_many_of_those_far_from_the_middle(spark):
    at = [*families(300, 6), *[np.ones(6, np.float32)] * 80, None]
    df = frame(spark, at)
    known = counted(df, "e", "prune.0.column")
    options = Semantic(**ASKED, clusters=4)
    parts = in_parts(df, options, F.struct("__lb_key"), known, 380, writing(None))
    product = {tuple(r["__lb_key"]): r["product"] for r in parts.collect()}
    for stay in (379, 200):
        asked = Prototypes(method="prototypes", column="e", rows=stay, clusters=4)
        found = prototypes(df.repartition(3), asked, "prune.0").collect()
        gone = {tuple(r["dropped"]) for r in found}
        # Ties, as of the 80 equal rows, go by their keys.
        order = sorted(product, key=lambda key: (-product[key], key))
        assert gone == set(order[: 380 - stay]) and all(r["rows"] == 1 for r in found)
    half = Prototypes(method="prototypes", column="e", share=0.5)
    twice = df.union(df)
    found = prototypes(twice, half, "prune.0").collect()
    assert sum(r["rows"] for r in found) == 380
    assert all(r["rows"] + r["left"] == 2 for r in found)
    assert "cosine 0." in found[0]["reason"] and found[0]["neighbour"] is None


def test_prototypes_refuse_what_cannot_be(spark):
    df = frame(spark, [[1.0, 2.0]])
    with pytest.raises(RecipeError, match="2 rows are to stay, and 1 have an embedding"):
        prototypes(df, Prototypes(method="prototypes", column="e", rows=2), "prune.0")
    for options in ({}, {"rows": 1, "share": 0.5}):
        with pytest.raises(ValueError, match="write share or rows"):
            Prototypes(method="prototypes", column="e", **options)
    all_stay = Prototypes(method="prototypes", column="e", rows=1)
    assert prototypes(df, all_stay, "prune.0").collect() == []
