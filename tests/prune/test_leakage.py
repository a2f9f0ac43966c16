"""Rows on one side of a split that tell about the other."""

import datetime as dt
import random

import pytest

import lakebalance as lb
from lakebalance.core.errors import RecipeError
from lakebalance.core.hashing import hash128
from lakebalance.prune.leakage import Leakage, leakage
from neighbourly import keyed

SCHEMA = "id long, part string, who string, hour int, text string"
BASE = "one two three four five six seven eight nine ten eleven twelve"
# Of a and b there are rows on both sides; c is in training alone; nobody is null.
ROWS = [
    (0, "train", "a", 3, f"{BASE} more"),
    (1, "test", "a", 5, BASE),
    (2, "train", "a", 7, "nothing of the kind"),
    (3, "train", "b", 9, None),
    (4, "valid", "b", 2, ""),
    (5, "train", "c", 1, f"{BASE} less"),
    (6, "train", None, 4, "another text of some words"),
    (7, "test", None, 6, "another text, of some words"),
    (8, "train", "c", None, "x"),
    (9, None, "a", 8, BASE),
]


def parted(spark, rows=ROWS, partitions=2):
    df = spark.createDataFrame(rows, SCHEMA).repartition(partitions)
    df = df.withColumnRenamed("part", "__lb_part")
    return df.select("*", hash128(df, ["id"], "key", "s").alias("__lb_key"))


def found(df, **options):
    """For each id that is dropped the reason, the neighbour's id, the part."""
    matches = leakage(df, Leakage(method="leakage", **options), "prune.0").collect()
    ids = {tuple(r["__lb_key"]): r["id"] for r in df.select("id", "__lb_key").collect()}
    assert all(r["rows"] == 1 and r["left"] == 0 and r["method"] == "leakage" for r in matches)
    return {
        ids[tuple(r["dropped"])]: (r["reason"], ids[tuple(r["neighbour"])], r["part"])
        for r in matches
    }


def test_entities_and_times(spark):
    df = parted(spark)
    assert found(df, entity=["who"]) == {
        0: ("entity", 1, "test"), 2: ("entity", 1, "test"), 3: ("entity", 4, "valid")
    }  # fmt: skip
    assert found(df, entity=["who"], drop="held_out").keys() == {1, 4}
    # The past of an entity may be learned from: 0 is before 1.
    late = found(df, entity=["who"], time="hour")
    assert late == {2: ("entity", 1, "test"), 3: ("entity", 4, "valid")}
    assert found(df, time="hour") == {i: ("time", 4, "valid") for i in (0, 2, 3, 6)}
    assert found(df, time="hour", drop="held_out") == {
        1: ("time", 3, "test"), 4: ("time", 3, "valid"), 7: ("time", 3, "test")
    }  # fmt: skip
    empty = df.where("id < 0")
    assert found(empty, entity=["who"], time="hour") == {}


@pytest.mark.slow
def test_near_duplicates_of_rows_held_out_and_the_first_of_several_reasons(spark):
    df = parted(spark)
    assert found(df, columns=["text"], threshold=0.6) == {
        0: ("near-duplicate", 1, "test"), 5: ("near-duplicate", 1, "test"),
        6: ("near-duplicate", 7, "test"),
    }  # fmt: skip
    both = found(df, columns=["text"], threshold=0.6, entity=["who"])
    assert {i: said[0] for i, said in both.items()} == {
        0: "entity", 2: "entity", 3: "entity", 5: "near-duplicate", 6: "near-duplicate"
    }  # fmt: skip


def test_the_same_however_rows_lie_and_as_plain_python_says(spark):
    chance = random.Random(4)
    rows = [
        (i, chance.choice(["train"] * 4 + ["test"]), f"w{chance.randrange(60)}",
         chance.randrange(50), None)
        for i in range(400)
    ]  # fmt: skip
    first = {}
    for _, part, who, hour, _ in rows:
        if part == "test":
            first[who] = min(first.get(who, 99), hour)
    known = {i for i, part, who, hour, _ in rows if part == "train" and hour >= first.get(who, 99)}
    one, other = (found(parted(spark, rows, n), entity=["who"], time="hour") for n in (1, 5))
    assert one == other and one.keys() == known and 50 < len(known) < 200


@pytest.mark.slow
def test_a_run_leaves_no_entity_on_both_sides_and_says_so(spark, table, recipe):
    start = dt.datetime(2024, 1, 1)
    rows = [(i, f"p{i % 17}", start + dt.timedelta(hours=i)) for i in range(200)]
    path = table("s", rows, "id long, patient string, at timestamp")
    split = {"shares": {"test": 0.05}}
    step = {"method": "leakage", "entity": ["patient"]}
    asked = recipe(keyed(path), split=split, prune=[step])
    written = lb.run(asked, spark)
    train, test = (
        spark.read.format("delta").load(asked.publish.table + end) for end in ("", "_test")
    )
    patients = [{r["patient"] for r in part.collect()} for part in (train, test)]
    assert all(patients) and not patients[0] & patients[1]
    plan = written.plan.to_dict()
    dropped = plan["pruned"][0]
    assert dropped["fate"] == "leaked" and train.count() + test.count() == 200 - dropped["dropped"]
    (said,) = [d for d in plan["diagnostics"] if "other side" in d["title"]]
    assert said["rows"] == [["entity", "test", dropped["dropped"]]]
    held = sorted(patients[1])[0]
    own = lb.explain(asked, spark, f"patient = '{held}'")
    assert {d["fate"] for d in own} == {"leaked", "held out"}
    leaked = next(d for d in own if d["fate"] == "leaked")
    assert leaked["reason"] == "entity" and leaked["part"] == "test"
    assert leaked["of_row"]["patient"] == held and leaked["by"] == "prune.0 (leakage)"
    assert lb.plan(asked, spark).to_dict()["groups"] == plan["groups"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"entity": ["whom"]}, r'prune.0.entity: no column "whom"; did you mean "who"'),
        ({"time": "who"}, r'prune.0.time: column "who" is string, which is no number, date or'),
        ({"columns": ["hour"]}, r'prune.0.columns: column "hour" is of type int; name columns of'),
    ],
)
def test_columns_that_are_not_there(spark, options, message):
    with pytest.raises(RecipeError, match=message):
        found(parted(spark), **options)


def test_a_recipe_without_a_split_has_no_sides(spark, table, recipe):
    path = table("s", [(1, "a")], "id long, who string")
    for split in (None, {"done": True}):
        asked = recipe(keyed(path), split=split, prune=[{"method": "leakage", "entity": ["who"]}])
        with pytest.raises(RecipeError, match=r"prune.0: there are no two sides to compare; write"):
            lb.plan(asked, spark)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "write entity, time or columns"),
        ({"entity": []}, "at least 1"),
        ({"columns": ["a"], "threshold": 0}, "greater than 0"),
        ({"entity": ["a"], "drop": "both"}, "'train' or 'held_out'"),
    ],
)
def test_options_that_mean_nothing(options, message):
    with pytest.raises(ValueError, match=message):
        Leakage(method="leakage", **options)
