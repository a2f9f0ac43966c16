"""Lines and paragraphs that many texts share, as recipes take them out."""

import re

import numpy as np
import pytest
from pyspark.sql import functions as F

import lakebalance as lb
from lakebalance.core.errors import RecipeError
from lakebalance.prune.containment import Containment, containment, edit
from neighbourly import keyed, with_keys

ASKED = {"method": "containment", "column": "text", "min_chars": 3}
FOOTER = "All rights reserved, see the terms of use"


def frame(spark, texts, partitions=2):
    df = spark.createDataFrame([*enumerate(texts)], "id long, text string")
    return with_keys(df.repartition(partitions))


def found(df, scratch=None, **options):
    """By id: the id of the row that has most, how many rows go, the share, the lines that go."""
    asked = Containment(**{**ASKED, "keep": {"first_by": "id"}, **options})
    matches = containment(df, asked, "prune.0", scratch)
    ids = {tuple(r["__lb_key"]): r["id"] for r in df.select("id", "__lb_key").collect()}
    said = {
        ids[tuple(r["dropped"])]: (
            ids[tuple(r["kept"])], r["rows"], round(r["similarity"], 9), r["lines_removed"]
        )
        for r in matches.collect()
    }  # fmt: skip
    left = {r["id"]: r["text"] for r in edit(df, asked, matches).collect()}
    return said, left


def form(unit):
    return re.sub(r"\s+", " ", unit).strip().lower()


def by_hand(texts, share=None):
    """What goes, one text after the other; as rows if there is a share, else as lines."""
    units = [
        [(i, form(u), len(u.strip(" "))) for i, u in enumerate((t or "").split("\n"))
         if len(u.strip(" ")) >= 3]
        for t in texts
    ]  # fmt: skip

    def lost(held):
        """Of each text, its units that others of ``held`` have first: places, characters."""
        first = {}
        for row in held:
            for i, said, _ in units[row]:
                first.setdefault(said, (row, i))
        return [
            [(i, n, first[said][0]) for i, said, n in own if first.get(said, (row, i)) != (row, i)]
            for row, own in enumerate(units)
        ]

    whole = [sum(n for _, _, n in own) for own in units]
    rest = [any(u.strip() and len(u.strip(" ")) < 3 for u in (t or "").split("\n")) for t in texts]
    gone = lost(range(len(texts)))
    of = [sum(n for _, n, _ in own) for own in gone]
    if share is None:
        return {
            row: (sorted(i for i, _, _ in own), of[row] == whole[row] and not rest[row])
            for row, own in enumerate(gone) if own
        }  # fmt: skip
    others = [sum(n for _, n, owner in own if owner != row) for row, own in enumerate(gone)]
    candidates = {r for r in range(len(texts)) if whole[r] and others[r] >= share * whole[r]}
    again = lost([r for r in range(len(texts)) if r not in candidates])
    return {r for r in candidates if sum(n for _, n, _ in again[r]) >= share * whole[r]}


def pages(rows, seed=0):
    """Texts of lines of which many are in several, some in one twice."""
    rng = np.random.default_rng(seed)
    lines = [" ".join(map(str, rng.integers(0, 99, rng.integers(1, 9)))) for _ in range(rows)]
    return [
        "\n".join(
            lines[i].upper() if rng.random() < 0.2 else f" {lines[i]} "
            for i in rng.integers(0, rows, rng.integers(1, 8))
        )
        for _ in range(rows)
    ]


@pytest.mark.slow
def test_lines_stay_where_they_are_first(spark, tmp_path):
    texts = [
        *pages(120),
        None,
        "",
        "x",
        f"own words\n\n{FOOTER}",
        f"{FOOTER}\nmore words\n{FOOTER}",
    ]
    expected = by_hand(texts)
    said, left = found(frame(spark, texts))
    assert {i: (lines or [], rows == 1) for i, (_, rows, _, lines) in said.items()} == {
        i: ([] if gone else lines, gone) for i, (lines, gone) in expected.items()
    }
    assert sum(gone for _, gone in expected.values()) > 5 and len(expected) > 60
    for i, text in enumerate(texts):
        lines, gone = expected.get(i, ([], False))
        # Rows that go as a whole are taken out of the frame elsewhere.
        if not gone:
            own = text if not lines else "\n".join(
                line for at, line in enumerate(text.split("\n")) if at not in lines
            )  # fmt: skip
            assert left[i] == own
    assert left[124] == "more words" and said[124][0] == 123

    def scratch(df, name):
        df.repartition(5).write.parquet(str(tmp_path / name))
        return spark.read.parquet(str(tmp_path / name))

    assert found(frame(spark, texts, 4), scratch) == (said, left)
    # Rows that share a key are equal: nothing of them is lost to each other.
    twice = frame(spark, texts)
    again, _ = found(twice.union(twice))
    assert {i: (k, r / 2, s, n) for i, (k, r, s, n) in again.items()} == said


def test_rows_go_of_which_enough_is_in_rows_that_stay(spark):
    texts = pages(120)
    # The first is in the second, of which the rest is in the third alone.
    texts += ["aaaaaaaaa\nbbbbbbbbb", "aaaaaaaaa\nbbbbbbbbb\nccc", "ccc"]
    for share in (1.0, 0.6):
        expected = by_hand(texts, share)
        said, left = found(frame(spark, texts), remove="rows", share=share)
        assert said.keys() == expected and len(expected) > 5
        assert all(rows == 1 and lines is None and part >= share
                   for _, rows, part, lines in said.values())  # fmt: skip
        assert left == dict(enumerate(texts))
        assert all(kept not in said for kept, *_ in said.values())
    # What a text says five times itself does not keep it from having the next one's only line.
    five = ["\n".join(["ddddddddd"] * 5), "ddddddddd", "eeeeeeeee"]
    assert found(frame(spark, five), remove="rows", share=0.8)[0].keys() == {1}
    # The second goes for the first, and so the third stays: nothing else has what it says.
    assert 121 in said and said[121][0] == 120 and 122 not in said


def test_paragraphs_and_differences_that_count(spark):
    text = "One line\nand another\n \nSecond  PART\n\n\nthird"
    texts = [text, "second part\n\nthird one", "Second  PART", "ﬁve\nsix", "five\nsix"]
    said, left = found(frame(spark, texts), unit="paragraph")
    assert said == {1: (0, 0, round(11 / 20, 9), [0]), 2: (0, 1, 1.0, None), 4: (3, 1, 1.0, None)}
    assert left[0] == text and left[1] == "third one"
    exact, _ = found(frame(spark, texts), unit="paragraph", normalise=None)
    assert exact == {2: (0, 1, 1.0, None)}
    # What is shorter counts for nothing.
    assert found(frame(spark, texts), unit="paragraph", min_chars=13)[0] == {}


def test_what_cannot_be_divided_is_refused(spark):
    df = frame(spark, ["a"])
    with pytest.raises(RecipeError, match=r'prune\.0\.column: column "id" is of type bigint'):
        found(df, column="id")
    with pytest.raises(RecipeError, match='no column "txt"; did you mean "text"'):
        found(df, column="txt")
    assert found(frame(spark, [None, None])) == ({}, {0: None, 1: None})


@pytest.mark.slow
def test_a_run_takes_lines_out_and_says_so(spark, table, recipe):
    # Every second page says nothing of its own, but for two: one is too short to be compared.
    own = {i: "x" * i if i % 2 == 0 or i in (5, 11) else " " for i in range(12)}
    texts = [f"page {i // 2} of the book\n{FOOTER}\n{own[i]}" for i in range(12)]
    rows = [(i, "ab"[i % 2], text) for i, text in enumerate(texts)]
    path = table("t", rows, "id long, label string, `the text` string")
    asked = {"method": "containment", "column": "the text", "keep": {"first_by": "id"}}
    made = recipe(keyed(path), prune=[asked | {"min_chars": 10}])
    plan = lb.plan(made, spark)
    result = lb.run(made, spark)
    out = spark.read.format("delta").load(made.publish.table)
    left = {r["id"]: r["the text"] for r in out.collect()}
    stay = {i for i in range(12) if i % 2 == 0 or i in (5, 11)}
    assert left.keys() == stay and plan.rows == result.rows == len(stay)
    assert left[0] == texts[0] and left[2] == "page 1 of the book\nxx" and left[11] == "x" * 11
    assert left[5] == "xxxxx"
    [step] = result.to_dict()["pruned"]
    assert (step["dropped"], step["edited"], step["fate"]) == (4, len(stay) - 1, "quoted")
    fates = {f["row"]["id"]: f for f in lb.explain(made, spark, "id in (1, 2)")}
    assert fates[1]["fate"] == "quoted" and fates[1]["of_row"]["id"] == 0
    [cut] = fates[2]["edited"]
    assert cut["lines_removed"] == [1] and cut["by"] == "prune.0 (containment)"
    assert cut["of"] == fates[1]["of"]
    assert out.where(F.col("`the text`").contains(FOOTER)).count() == 1
