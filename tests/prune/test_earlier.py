"""Batches that come one after the other, compared with what stayed before."""

import numpy as np
import pytest
from pyspark.sql import functions as F

import lakebalance as lb
from lakebalance.core.errors import RecipeError, TableError
from lakebalance.core.index import Index
from lakebalance.indexes import Indexes
from lakebalance.prune.exact import Exact, exact
from lakebalance.prune.matches import remove
from lakebalance.prune.minhash import MinHash, minhash
from neighbourly import with_keys
from test_minhash import drifting

MINHASH = MinHash(method="minhash", columns=["text"], link="neighbours", index="texts")
EXACT = Exact(method="exact", columns=["text", "x"], index="texts")


class Memory:
    """An index in files, in which each batch has a run's name."""

    def __init__(self, spark, folder):
        self.spark, self.folder, self.runs = spark, folder, 0

    def open(self):
        paths = [str(self.folder / f"{run}") for run in range(self.runs)]
        known = None
        for run, path in enumerate(paths):
            own = self.spark.read.parquet(path).withColumn("run", F.lit(f"run {run}"))
            known = own if known is None else known.unionByName(own)
        return Index("texts", known, self._write)

    def _write(self, entries):
        entries.write.parquet(str(self.folder / f"{self.runs}"))
        self.runs += 1

    def scratch(self, df, name):
        path = str(self.folder / f"{self.runs}-{name}")
        df.write.mode("overwrite").parquet(path)
        return self.spark.read.parquet(path)


def ids_left(rows, gone):
    return {row["id"] for row in remove(rows, gone, unique_keys=False).select("id").collect()}


def in_batches(spark, folder, rows, batches, prune, options):
    """The ids that stay of each batch in turn."""
    memory, left = Memory(spark, folder), set()
    for i in range(batches):
        own = rows.where(F.col("batch") == i)
        gone = prune(own, options, "prune.0", memory.scratch, memory.open())
        left |= ids_left(own, memory.scratch(gone, "gone"))
    return left


@pytest.mark.slow
@pytest.mark.parametrize("batches", [2, 6])
def test_texts_in_batches_leave_what_all_at_once_leave(spark, tmp_path, batches):
    texts = drifting()  # chains, a template in a giant bucket, and copies
    draw = np.random.default_rng(batches).integers(0, batches, len(texts)).tolist()
    lines = [(i, text, batch) for i, (text, batch) in enumerate(zip(texts, draw, strict=True))]
    rows = with_keys(spark.createDataFrame(lines, "id long, text string, batch long"))
    at_once = MinHash(**{**MINHASH.model_dump(), "index": None, "keep": {"first_by": "batch"}})
    gone = minhash(rows, at_once, "prune.0", Memory(spark, tmp_path / "whole").scratch)
    whole = ids_left(rows, gone)
    assert in_batches(spark, tmp_path, rows, batches, minhash, MINHASH) == whole
    assert 12 < len(whole) < len(texts) - 60


def test_rows_in_batches_leave_what_all_at_once_leave(spark, tmp_path):
    # Keys are those of contents, so that one comes again in other batches, and twice in the first.
    lines = [(i % 7, "a" * (i % 5), i // 20) for i in range(60)]
    rows = spark.createDataFrame(lines + lines[:10], "x long, text string, batch long")
    rows = with_keys(rows.withColumn("id", F.concat_ws("/", "batch", "x", "text")), ("x", "text"))
    at_once = Exact(method="exact", columns=["text", "x"])
    gone = exact(rows, at_once, "prune.0").agg(F.sum("rows")).collect()[0][0]
    left = in_batches(spark, tmp_path, rows, 3, exact, EXACT)
    assert len(left) == 35 == 70 - gone
    firsts = {(x, text): min(b for y, t, b in lines if (y, t) == (x, text)) for x, text, _ in lines}
    assert left == {f"{batch}/{x}/{text}" for (x, text), batch in firsts.items()}


@pytest.fixture
def batches(table, recipe, tmp_path):
    """Recipes over one table, a batch each."""
    words = [f"{chr(97 + i)}{j}" for i in range(8) for j in range(20)]
    texts = [" ".join(words[20 * i : 20 * i + 20]) for i in range(8)]
    said = [texts[:4], [texts[0], f"{texts[1]} more", *texts[4:6]], [texts[5], *texts[6:]]]
    lines = [
        (10 * day + i, text, day) for day, own in enumerate(said) for i, text in enumerate(own)
    ]
    path = table("docs", lines, "id long, text string, day long")
    prune = [{"method": "minhash", "columns": ["text"], "link": "neighbours", "index": "texts"}]

    def of(day, **parts):
        source = {"name": "docs", "table": path, "key": ["id"], "where": f"day = {day}"}
        publish = {"table": str(tmp_path / f"out{day}"), "state": str(tmp_path / "state")}
        return recipe(source, **{"prune": prune, "publish": publish, **parts})

    return of


def published(spark, result):
    rows = spark.read.format("delta").option("versionAsOf", result.version).load(result.table)
    return {row["id"] for row in rows.select("id").collect()}


@pytest.mark.slow
def test_each_batch_of_a_recipe_is_compared_with_those_before(spark, batches):
    assert published(spark, lb.run(batches(0), spark)) == {0, 1, 2, 3}
    planned = lb.plan(batches(1), spark)
    (said,) = planned.diagnostics
    assert (said["title"], said["rows"]) == ("Indexes", [["texts", 1, 4]])
    assert (planned.rows, planned.matches) == (2, 2)
    second = lb.run(batches(1), spark)
    assert published(spark, second) == {12, 13} and second.plan.matches == 2
    # The same batch by other rules is not compared with itself.
    assert published(spark, lb.run(batches(1, seed=2), spark)) == {12, 13}
    assert lb.plan(batches(0, seed=2), spark).rows == 4
    third = lb.run(batches(2), spark)
    assert published(spark, third) == {21, 22}
    assert third.plan.diagnostics[0]["rows"] == [["texts", 2, 6]]
    # What says why: the run that has the row, and the index in place of a source.
    (fate,) = lb.explain(batches(2), spark, "id = 20")
    assert fate["fate"] == "near-duplicate" and fate["stayed_by"] == "index: texts"
    assert fate["kept_source"] == "index texts" and fate["kept_run"] != third.plan.run_id
    assert fate["of_row"] is None and fate["similarity"] == 1.0


@pytest.mark.slow
def test_a_run_that_stops_after_publishing_sees_what_it_saw(spark, batches, monkeypatch):
    lb.run(batches(0), spark)
    with monkeypatch.context() as patch:
        patch.setattr(Indexes, "publish", stop)
        with pytest.raises(Stopped):
            lb.run(batches(1), spark)
    # Another batch, which does not see what the stopped one has published, keeps a copy of it.
    third = lb.run(batches(2), spark)
    assert published(spark, third) == {20, 21, 22}
    again = lb.run(batches(1), spark)
    assert again.repeated and again.plan.matches == 2
    assert again.plan.diagnostics[0]["rows"] == [["texts", 1, 4]]
    assert lb.plan(batches(2, seed=2), spark).rows == 2


class Stopped(Exception):
    pass


def stop(*_):
    raise Stopped


@pytest.mark.slow
def test_a_batch_that_comes_in_between_stops_a_run(spark, batches, monkeypatch):
    reserve = Indexes.reserve

    def late(self):
        monkeypatch.setattr(Indexes, "reserve", reserve)
        lb.run(batches(0), spark)
        reserve(self)

    monkeypatch.setattr(Indexes, "reserve", late)
    with pytest.raises(TableError, match="the index texts has got another batch"):
        lb.run(batches(1), spark)


@pytest.mark.slow
def test_what_a_rollback_undoes_is_not_in_the_index(spark, batches, tmp_path):
    publish = {"table": str(tmp_path / "one"), "state": str(tmp_path / "state")}
    first, second = batches(0, publish=publish), batches(1, publish=publish)
    run = lb.run(first, spark).plan.run_id
    lb.run(second, spark)
    assert lb.plan(batches(2), spark).diagnostics[0]["rows"] == [["texts", 2, 6]]
    lb.rollback(first, spark, run)
    assert lb.plan(batches(2), spark).diagnostics[0]["rows"] == [["texts", 1, 4]]
    assert lb.run(second, spark).plan.matches == 2
    assert lb.plan(batches(2), spark).diagnostics[0]["rows"] == [["texts", 2, 6]]


@pytest.mark.slow
def test_rows_of_a_batch_go_for_equal_ones_of_those_before(spark, batches):
    step = {"method": "exact", "columns": ["text"], "index": "texts"}
    first = lb.run(batches(0, prune=[step]), spark)
    again = lb.run(batches(1, prune=[step]), spark)
    assert published(spark, again) == {11, 12, 13}
    assert again.plan.diagnostics[0]["rows"] == [["texts", 1, 4]]
    (fate,) = lb.explain(batches(1, prune=[step]), spark, "id = 10")
    assert (fate["fate"], fate["stayed_by"]) == ("duplicate", "index: texts")
    assert fate["kept_run"] == first.plan.run_id
    # An index is of one kind.
    for other, said in (
        ({"normalise": {}}, "normalise null, by run"),
        ({"method": "minhash", "link": "neighbours"}, "bands null"),
    ):
        with pytest.raises(RecipeError, match=f"prune.0.index: texts was made with {said}"):
            lb.plan(batches(2, prune=[{**step, **other}]), spark)


@pytest.mark.parametrize(
    ("prune", "said"),
    [
        ([{"method": "minhash", "columns": ["a"], "index": "i"}], "write link: neighbours besides"),
        ([{"method": "exact", "index": "i", "keep": {"short_of": ["a"]}}], "write another keep"),
        ([{"method": "exact", "index": "i"}] * 2, 'prune.0 has the index "i"'),
    ],
)
def test_recipes_whose_batches_would_differ_are_refused(recipe, prune, said):
    with pytest.raises(ValueError, match=said):
        recipe("/lake/docs", prune=prune)
