"""What tests of contamination share: texts with parts of others in them, and what overlaps."""

import re
import unicodedata

from pyspark.sql import functions as F

from lakebalance.core.evaluation import EvaluationTable
from lakebalance.core.sources import Pinned
from lakebalance.prune.contamination import Contamination, contamination, prepare
from neighbourly import with_keys

WORD = re.compile(r"\w+")


def grams(text, n, shortest, inside):
    """The n-grams of a text, in plain Python, as what is looked for or as where it is."""
    words = tuple(WORD.findall(unicodedata.normalize("NFKC", text or "").lower()))
    if not inside:
        sizes = [min(n, len(words))] if words else []
    else:
        sizes = {m for m in range(1, n + 1) if m >= shortest or m == len(words)}
    return {words[i : i + m] for m in sizes for i in range(len(words) - m + 1)}


def overlap(row, test, n, shortest):
    """The share of a test's n-grams that a row holds."""
    sought = grams(test, n, shortest, inside=False)
    return len(sought & grams(row, n, shortest, inside=True)) / max(len(sought), 1)


def random_texts(rng, count, words=300, length=(0, 40)):
    chosen = [rng.integers(0, words, rng.integers(*length)) for _ in range(count)]
    return [" ".join(f"w{w}" for w in own) for own in chosen]


def spliced(rng, texts, others, length=20):
    """Texts, a third of which hold a piece of another."""
    made = []
    for own in texts:
        text = own
        if rng.random() < 0.33 and others:
            words = others[rng.integers(len(others))].split()
            at = rng.integers(0, max(len(words), 1))
            text = f"{text} {' '.join(words[at : at + rng.integers(1, length)])} end"
        made.append(text)
    return made


def frame(spark, texts, partitions=2, name="s"):
    rows = [(i, t.encode() if isinstance(t, str) else t) for i, t in enumerate(texts)]
    df = spark.createDataFrame(rows, "id long, raw binary").repartition(partitions)
    df = df.select("id", F.col("raw").cast("string").alias("text"))
    return with_keys(df, name=name)


def evaluation(spark, tables, partitions=1):
    """Evaluation tables of texts, by their names, which the column text is compared with."""
    made = []
    for i, (name, texts) in enumerate(tables.items()):
        df = frame(spark, texts, partitions).select("id", F.col("text").alias("question"))
        pinned = Pinned(name, f"lake/{name}", 0, df, ["id"], None)
        made.append(EvaluationTable(f"evaluation.{i}", pinned, {"text": ["question"]}))
    return made


def found(df, tables, scratch=None, **options):
    """For each id that is dropped the match, with the ids of the test row."""
    asked = Contamination(method="contamination", **options)
    state = prepare(df, asked, "prune.0", tables).state
    matches = contamination(df, asked, "prune.0", state, scratch, tables)
    ids = {tuple(r["__lb_key"]): r["id"] for r in df.select("id", "__lb_key").collect()}
    tests = {}
    for table in tables:
        keyed = table.pinned.df.select("id", table.pinned.key_hash.alias("k"))
        tests |= {(table.name, tuple(r["k"])): r["id"] for r in keyed.collect()}
    return {
        ids[tuple(r["dropped"])]: {
            **r.asDict(),
            "test": (r["evaluation"], tests[r["evaluation"], tuple(r["test"])]),
        }
        for r in matches.collect()
    }
