"""Near-duplicates of texts as recipes drop them."""

from pathlib import Path

import numpy as np
import pytest
from pyspark.sql import functions as F

import lakebalance as lb
from lakebalance.core.errors import RecipeError
from lakebalance.prune.candidates import candidates
from lakebalance.prune.minhash import MinHash, minhash
from lakebalance.publish.state import State
from neighbourly import keyed, with_keys
from planted import edited, planted, shingled, true_pairs

EXACT = {"method": "minhash", "columns": ["text"]}


def dropped(df, scratch=None, **options):
    """For each id that is dropped the id that is kept, the similarity and the cluster."""
    keyed = with_keys(df)
    found = minhash(keyed, MinHash(**{**EXACT, **options}), "prune.0", scratch)
    ids = {tuple(r["__lb_key"]): r["id"] for r in keyed.select("id", "__lb_key").collect()}
    rows = found.collect()
    assert all(r["rows"] == 1 and r["method"] == "minhash" for r in rows)
    return {ids[tuple(r["dropped"])]: (ids[tuple(r["kept"])], r["similarity"], r["cluster"])
            for r in rows}  # fmt: skip


def frame(spark, texts, partitions=2):
    rows = [(i, t.encode() if isinstance(t, str) else t) for i, t in enumerate(texts)]
    df = spark.createDataFrame(rows, "id long, raw binary").repartition(partitions)
    return df.select("id", F.col("raw").cast("string").alias("text"))


def test_planted_near_duplicates_are_found_and_nothing_else(spark):
    datasketch = pytest.importorskip("datasketch")
    texts, family = planted(1500)
    pairs = true_pairs(texts, family)
    assert len(pairs) > 150
    found = dropped(frame(spark, texts))
    cluster = {i: c for i, (_, _, c) in found.items()} | {k: c for k, _, c in found.values()}
    together = [p for p in pairs if p[0] in cluster and cluster[p[0]] == cluster.get(p[1])]
    assert len(together) >= 0.95 * len(pairs)
    # Of each cluster, members are linked by pairs at 0.8 or more; similarities are exact.
    linked = {i for pair in pairs for i in pair}
    assert sum(i in linked for i in found) >= 0.99 * len(found)
    for i, (kept, similarity, _) in found.items():
        one, other = shingled(texts[i]), shingled(texts[kept])
        assert similarity == len(one & other) / len(one | other)
    # datasketch with as many bands and rows, on the same shingles, finds about the same pairs.
    lsh = datasketch.MinHashLSH(num_perm=128, params=(16, 8))
    signed = {i: signature(datasketch, texts[i]) for i in sorted(linked)}
    for i, own in signed.items():
        lsh.insert(i, own)
    theirs = {p for p in pairs if p[1] in lsh.query(signed[p[0]])}
    assert abs(len(theirs) - len(together)) <= 0.03 * len(pairs)


def signature(datasketch, text):
    own = datasketch.MinHash(num_perm=128)
    own.update_batch([" ".join(s).encode() for s in shingled(text)])
    return own


def families(spark):
    """Two templates filled in many ways, copies of one text, and texts with nothing to compare."""
    rng = np.random.default_rng(9)
    one, other = (rng.integers(0, 10**4, 120) for _ in range(2))
    texts = [" ".join(map(str, edited(rng, base, 0.93, 5))) for base in [one] * 60 + [other] * 50]
    odd = [None, "", " … ", "x", "X", "x y", "x y z", "\u202eabc שלום", "e\u0301 a", "é A"]
    odd += [b"a b \xed\xa0\x80 c", b"A  b \xed\xa0\x80 c"]  # lone surrogates
    return [*texts, *["the very same words again and again"] * 30, *odd]


@pytest.mark.slow
def test_giant_buckets_copies_and_odd_texts_and_however_rows_lie(spark, monkeypatch, tmp_path):
    texts = families(spark)
    written = []

    def scratch(df, name):
        # Rows as another partitioning would have them.
        written.append(name)
        df.repartition(3).write.parquet(str(tmp_path / name))
        return spark.read.parquet(str(tmp_path / name)).repartition(2)

    whole = dropped(frame(spark, texts, 3))
    assert dropped(frame(spark, texts, 1), scratch) == whole
    assert written == ["signatures", "candidates", "shingles"]
    # Buckets of over 32 were giant: all of a template follow a leader, with one more hop or none.
    clusters = [{whole[i][2] for i in ids if i in whole} for ids in
                (range(60), range(60, 110), range(110, 140))]  # fmt: skip
    assert [len(c) for c in clusters] == [1, 1, 1]
    assert [sum(i in whole for i in ids) for ids in (range(60), range(60, 110))] == [59, 49]
    copies = [whole[i] for i in range(110, 140) if i in whole]
    assert len(copies) == 29 and {similarity for _, similarity, _ in copies} == {1.0}
    # Of odd texts, X is x and é A is e + accent, a; texts without words match nothing.
    pairs = {frozenset((i, whole[i][0])) for i in range(140, 152) if i in whole}
    assert pairs == {frozenset((143, 144)), frozenset((148, 149)), frozenset((150, 151))}
    # All pairs of every bucket make the same clusters here.
    monkeypatch.setattr(candidates, "__defaults__", (200,))
    assert dropped(frame(spark, texts, 2)) == whole


def drifting():
    """A chain of texts, each near the two before it alone, and a template filled in many ways."""
    rng = np.random.default_rng(3)
    long, base = rng.integers(0, 10**4, 250), rng.integers(0, 10**4, 120)
    chain = [long[4 * i : 4 * i + 100] for i in range(30)]
    filled = [edited(rng, base, rng.uniform(0.85, 0.95), 5) for _ in range(60)]
    texts = [" ".join(map(str, words)) for words in [*chain, *filled]]
    copies = [texts[i].upper() for i in range(0, 90, 7)]
    said = [*texts, *(f"{text} " for text in copies), "nothing like it"]
    return [said[i] for i in rng.permutation(len(said))]


def greedy(texts, threshold):
    """For each text that goes the first that stays and is near it; by all pairs."""
    sets, stays, gone = [shingled(text) for text in texts], [], {}
    for i, own in enumerate(sets):
        near = [j for j in stays if len(own & sets[j]) / len(own | sets[j]) >= threshold]
        if near:
            # A copy of what goes for another goes for that as well.
            gone[i] = next((j for j in near if sets[j] == own), near[0])
        else:
            stays.append(i)
    return gone


@pytest.mark.slow
def test_without_transitivity_a_row_goes_for_a_near_one_that_stays(spark, tmp_path, monkeypatch):
    monkeypatch.setattr(candidates, "__defaults__", (3,))
    texts, names = drifting(), []

    def scratch(df, name):
        names.append(name)
        df.repartition(3).write.parquet(str(tmp_path / name))
        return spark.read.parquet(str(tmp_path / name))

    options = {"link": "neighbours", "keep": {"first_by": "id"}, "bands": 40, "rows": 3}
    found = dropped(frame(spark, texts), scratch, **options)
    wanted = greedy(texts, 0.8)
    assert {i: kept for i, (kept, _, _) in found.items()} == wanted
    assert all(similarity >= 0.8 for _, similarity, _ in found.values())
    # Most buckets were giant, and were looked at again.
    assert "led-1" in names and len(set(wanted.values())) > 8


@pytest.mark.slow
def test_characters_unverified_and_several_columns(spark):
    base = "春天来了花园里的花都开了小鸟在树上唱歌孩子们在草地上玩耍非常快乐"
    rows = [(0, base, "一"), (1, base.replace("小鸟", "喜鹊"), "一"), (2, base[::-1], "二"),
            (3, None, None)]  # fmt: skip
    df = spark.createDataFrame(rows, "id long, text string, more string")
    options = {"tokens": "characters", "ngram": 3, "threshold": 0.6, "columns": ["text", "more"]}
    (found,) = dropped(df, **options).items()
    joined = [{(t + "\n" + m).replace("\n", " ")[i : i + 3] for i in range(len(t) + len(m) - 1)}
              for _, t, m in rows[:2]]  # fmt: skip
    similarity = len(joined[0] & joined[1]) / len(joined[0] | joined[1])
    assert {found[0], found[1][0]} == {0, 1} and found[1][1] == similarity
    (found,) = dropped(df, **options, verify=False, bands=30, rows=1).items()
    assert {found[0], found[1][0]} == {0, 1} and found[1][1] is None


@pytest.mark.slow
def test_a_run_keeps_the_first_says_so_and_plans_the_same(spark, table, recipe):
    base = "one two three four five six seven eight nine ten eleven twelve"
    rows = [(0, base, 5), (1, base + " more", 3), (2, base + " less", None), (3, "another text", 1)]
    path = table("s", rows, "id long, text string, at int")
    made = recipe(keyed(path), prune=[{**EXACT, "threshold": 0.6, "keep": {"first_by": "at"}}])
    assert lb.plan(made, spark).rows == 2
    result = lb.run(made, spark)
    assert result.rows == 2
    out = spark.read.format("delta").load(made.publish.table)
    assert sorted(r["id"] for r in out.collect()) == [1, 3]
    said = {d["row"]["id"]: d for d in lb.explain(made, spark, "id < 4")}
    assert [said[i]["fate"] for i in range(4)] == [
        "near-duplicate",
        "kept",
        "near-duplicate",
        "kept",
    ]
    assert said[0]["of_row"]["id"] == said[2]["of_row"]["id"] == 1
    assert said[0]["similarity"] == 8 / 9 and said[2]["similarity"] == 8 / 10
    assert said[0]["cluster"] == said[2]["cluster"] and said[0]["by"] == "prune.0 (minhash)"
    # What was written on the way is taken away again.
    state = State.beside(made.publish.table, None)
    folder = state.table("x").name.removesuffix("/x")
    left = [path.name for path in Path(folder).glob("scratch*")]
    assert left
    for name in left:
        assert spark.read.format("delta").load(f"{folder}/{name}").count() == 0


@pytest.mark.slow
def test_no_training_row_is_nearly_one_that_is_held_out(spark, table, recipe):
    base = "one two three four five six seven eight nine ten eleven twelve"
    rows = [(i, f"{base} {i}" if i < 12 else f"nothing of the kind {i}") for i in range(20)]
    split = {"shares": {"test": 0.4}, "by": ["id"]}
    made = recipe(keyed(table("s", rows, "id long, text string")), split=split)
    pruned = made.model_copy(update={"prune": [MinHash(**EXACT, threshold=0.6)]})
    lb.run(pruned, spark)
    parts = [
        {row["id"] for row in spark.read.format("delta").load(made.publish.table + end).collect()}
        for end in ("", "_test")
    ]
    # One of the twelve is left, wherever it lies, and the eight others.
    assert len(parts[0] | parts[1]) == 9 and not parts[0] & parts[1]
    assert {i for part in parts for i in part if i >= 12} == set(range(12, 20)) and all(parts)
    fates = [said["fate"] for said in lb.explain(pruned, spark, "id < 12", limit=12)]
    assert fates.count("near-duplicate") == 11


@pytest.mark.slow
def test_a_million_copies_and_a_text_of_ten_megabytes(spark):
    same = spark.range(10**6).select("id", F.lit("all of them say the very same").alias("text"))
    options = MinHash(**EXACT, threshold=1)
    found = minhash(with_keys(same), options, "prune.0").agg(
        F.sum("rows"), F.count_distinct("kept")
    )
    assert found.collect() == [(999_999, 1)]
    long = F.concat_ws(" ", F.sequence(F.lit(0), F.lit(1_500_000)).cast("array<string>"))
    ends = spark.range(3).select("id", F.concat(long, F.lit(" "), F.col("id") % 2).alias("text"))
    assert ends.select(F.min(F.length("text"))).collect()[0][0] > 10**7
    # The first and the last are equal, the other differs in one shingle of a million.
    assert len(dropped(ends, threshold=1)) == 1
    assert len(dropped(ends, threshold=0.999)) == 2


@pytest.mark.slow
def test_equal_rows_without_a_key_leave_one(spark, table, recipe):
    path = table("s", [("a b c",)] * 5 + [("d e f",)], "text string")
    made = recipe(path, prune=[EXACT])
    assert lb.plan(made, spark).rows == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"columns": ["txt"]}, 'prune.0.columns: no column "txt"; did you mean "text"'),
        ({"columns": ["id"]}, r'prune.0.columns: column "id" is of type bigint; name columns of'),
        ({"keep": {"first_by": "a"}}, 'prune.0.keep.first_by: no column "a"'),
    ],
)
def test_columns_that_cannot_be_compared(spark, options, message):
    with pytest.raises(RecipeError, match=message):
        dropped(frame(spark, ["a"]), **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bands": 3}, "write bands and rows, or neither"),
        ({"threshold": 1.5}, "less than or equal to 1"),
        ({"threshold": 0}, "greater than 0"),
        ({"tokens": "letters"}, "'words' or 'characters'"),
        ({"columns": []}, "at least 1"),
        ({"link": "neighbours", "verify": False}, "link: neighbours compares texts; leave verify"),
        ({"normalise": {"accents": True}}, "accents"),
    ],
)
def test_options_that_mean_nothing(options, message):
    with pytest.raises(ValueError, match=message):
        MinHash(**{**EXACT, **options})
