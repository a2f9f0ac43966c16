"""Plans of several pruning steps: as quick as runs, and they leave nothing behind."""

import random

import pytest

import lakebalance as lb

CHANCE = random.Random(1)
WORDS = ["red", "blue", "green", "cat", "dog", "sun", "moon", "tree"]
TEXTS = [
    " ".join(CHANCE.choice(WORDS) for _ in range(6)) + f"\nfooter of all pages {'xyz'[i % 3]}"
    for i in range(60)
]
STEPS = [
    {"method": "exact", "columns": ["text"]},
    {"method": "minhash", "columns": ["text"], "ngram": 1, "threshold": 0.9},
    {"method": "records", "block_on": [["who"]], "fields": {"text": {"compare": "set"}},
     "threshold": 0.9},
    {"method": "minhash", "columns": ["text"], "tokens": "characters", "threshold": 0.9},
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("steps", [2, 4])
@pytest.mark.timeout(300)
def test_a_plan_of_several_steps_says_what_the_run_does(spark, table, recipe, tmp_path, steps):
    rows = [(i, text, CHANCE.randrange(12)) for i, text in enumerate(TEXTS)]
    path = table("t", rows, "id long, text string, who int")
    asked = recipe({"name": "s", "table": path, "key": ["id"]}, prune=STEPS[:steps])
    plan = lb.plan(asked, spark)
    scratch = list((tmp_path / "_lakebalance").glob("scratch-*"))
    assert scratch and not any(spark.read.format("delta").load(str(p)).count() for p in scratch)
    done = lb.run(asked, spark)
    assert [(own["method"], own["dropped"]) for own in plan.pruned] == [
        (own["method"], own["dropped"]) for own in done.plan.pruned
    ]
    assert plan.rows == done.rows < len(rows)


def test_who_may_not_write_can_plan(spark, table, recipe, tmp_path):
    rows = [(i % 20, f"text {i % 10}") for i in range(40)]
    path = table("t", rows, "id long, text string")
    (tmp_path / "in_the_way").write_text("a file, where the state's folder is to be")
    steps = [{"method": "exact"}, {"method": "exact", "columns": ["text"]}]
    state = {"table": str(tmp_path / "out"), "state": str(tmp_path / "in_the_way")}
    plan = lb.plan(recipe(path, prune=steps, publish=state), spark)
    assert plan.rows == 10 and [own["dropped"] for own in plan.pruned] == [20, 10]
