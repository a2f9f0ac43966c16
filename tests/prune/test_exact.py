"""Copies of rows, with differences of texts that do not count."""

from pyspark.sql import functions as F

from lakebalance.core.hashing import hash128
from lakebalance.prune.exact import Exact, exact


def kept_for(df, **options):
    """For each id that is dropped, the one that is kept."""
    keyed = df.select("*", hash128(df, ["id"], "key", "s").alias("__lb_key"))
    found = exact(keyed, Exact(method="exact", **options), "prune.0")
    ids = {tuple(r["__lb_key"]): r["id"] for r in keyed.select("id", "__lb_key").collect()}
    return {ids[tuple(r["dropped"])]: ids[tuple(r["kept"])] for r in found.collect()}


def test_texts_are_compared_in_the_form_that_is_declared(spark):
    rows = [(1, "Straße  7", 1), (2, " straße 7", 1), (3, "straße 7", 2), (4, "straße-7", 1),
            (5, None, 1), (6, None, 1), (7, "", 1)]  # fmt: skip
    df = spark.createDataFrame(rows, "id long, rank string, n int")
    same = {"columns": ["rank", "n"], "keep": {"first_by": "id"}}
    assert kept_for(df, **same) == {6: 5}
    assert kept_for(df, **same, normalise={}) == {2: 1, 6: 5}
    assert kept_for(df, **same, normalise={"punctuation": True}) == {2: 1, 4: 1, 6: 5}
    broken = df.select("id", F.expr("CAST(X'ED' AS string)").alias("rank"), "n").where("id < 3")
    assert kept_for(broken, **same, normalise={}) == {2: 1}
