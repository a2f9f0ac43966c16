"""A holdout that is asked again and again: answers, terms, budget, and what is refused."""

import threading

import pytest

from lakebalance import ask, run
from lakebalance.core.errors import GateError, RecipeError, TableError
from lakebalance.expect.thresholdout import Terms, answer
from lakebalance.holdout import ASKED


@pytest.fixture
def tables(table):
    """Guesses that are right for 9 of 10 training rows, and for 5 of 10 rows of the holdout."""
    guesses = "id int, `it's right` boolean, near double"
    return {
        "training": table("train.ing", [(i, i % 10 > 0, 0.25) for i in range(400)], guesses),
        "holdout": table("hold out", [(i, i % 10 > 4, 0.25) for i in range(400)], guesses),
    }


@pytest.fixture
def balanced(table, recipe):
    return recipe(table("s", [(i, i % 2) for i in range(20)], "id int, n int"), seed=5)


def test_training_rows_answer_where_the_holdout_agrees_and_the_holdout_elsewhere(
    spark, balanced, tables
):
    agreed = ask(balanced, spark, "near", **tables, noise=1e-6)
    assert (agreed["answer"], agreed["of"], agreed["spent"]) == (0.25, "training", 0)
    other = ask(balanced, spark, "`it's right`", **tables)
    salt = f"5|{tables['holdout']}|"
    wanted = answer(0.9, 0.5, Terms(noise=1e-6), number=1, spent=0, salt=salt)
    assert wanted.value != 0.5
    assert (other["answer"], other["of"]) == (wanted.value, "holdout")
    assert (other["number"], other["spent"], other["budget"]) == (2, 1, 100)
    once_more = ask(balanced, spark, "`it's right`", **tables)
    assert once_more == {**other, "again": True}
    kept = spark.read.format("delta").load(_state(balanced))
    assert kept.count() == 2


def _state(recipe):
    return recipe.publish.table.rpartition("/")[0] + f"/_lakebalance/{ASKED}"


def test_a_part_that_is_held_out_is_compared_with_the_balanced_table(spark, table, recipe):
    rows = [(i, i % 2) for i in range(400)]
    split = recipe(table("s", rows, "id int, n int"), split={"shares": {"test": 0.5}})
    run(split, spark)
    found = ask(split, spark, "n = 1", holdout="test", threshold=0.9)
    assert found["of"] == "training" and found["threshold"] == 0.9
    assert found["training"] == split.publish.table and found["holdout"].endswith("test")
    with pytest.raises(RecipeError, match=r'no part "tset".*; did you mean "test"'):
        ask(split, spark, "n = 1", holdout="tset")


def test_the_first_question_fixes_the_terms_and_the_budget_ends_it(spark, balanced, tables):
    first = {"threshold": 0.1, "noise": 1e-9, "budget": 2}
    assert ask(balanced, spark, "`it's right`", **tables, **first)["spent"] == 1
    assert ask(balanced, spark, "not `it's right`", **tables, budget=2)["spent"] == 2
    with pytest.raises(RecipeError, match=r"fixed 0\.1; leave it out"):
        ask(balanced, spark, "near", **tables, threshold=0.2)
    with pytest.raises(GateError, match="answered 2 times, which is its budget"):
        ask(balanced, spark, "near", **tables)
    again = {**tables, "holdout": f"file:{tables['holdout']}"}
    with pytest.raises(GateError, match="which is its budget"):
        ask(balanced, spark, "near", **again)  # under another name
    # What was told may be told again: nothing more is learned by it.
    assert ask(balanced, spark, "`it's right`", **tables)["again"]


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ("neer", "question, over the training rows.*neer"),
        ("avg(near)", "question, over the training rows"),
        ("id", r"399 of 400 rows of .*null or not from 0 to 1|398 of 400"),
        ("cast(null as double)", "400 of 400 rows"),
        ("'yes'", "it is string"),
        ("rand() < 0.5", "not a function of the row"),
    ],
)
def test_a_question_without_a_mean_is_refused(spark, balanced, tables, question, said):
    with pytest.raises((RecipeError, TableError), match=said):
        ask(balanced, spark, question, **tables)


@pytest.mark.parametrize(
    "terms", [{"threshold": 0.0}, {"threshold": 1.5}, {"noise": -1.0}, {"budget": 0}]
)
def test_terms_out_of_range_are_refused(spark, balanced, tables, terms):
    with pytest.raises(RecipeError, match="must be"):
        ask(balanced, spark, "near", **tables, **terms)


def test_tables_that_are_not_there_or_empty(spark, balanced, tables, table, tmp_path):
    with pytest.raises(TableError, match=r"holdout: .* is not a Delta table"):
        ask(balanced, spark, "near", holdout=f"{tmp_path}/none", training=tables["training"])
    empty = table("empty", [], "id int, near double")
    with pytest.raises(TableError, match="has no rows"):
        ask(balanced, spark, "near", holdout=empty, training=tables["training"])


def test_questions_at_once_have_numbers_of_their_own(spark, balanced, tables):
    found = []

    def one(i):
        found.append(ask(balanced, spark, f"near + {i} - {i}", **tables))

    threads = [threading.Thread(target=one, args=(i,)) for i in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(own["number"] for own in found) == [1, 2, 3]
    kept = spark.read.format("delta").load(_state(balanced))
    assert sorted(row["number"] for row in kept.collect()) == [1, 2, 3]


def test_the_command_says_whose_answer_it_is(call, balanced, tables, tmp_path):
    file = tmp_path / "r.yaml"
    file.write_text(balanced.to_yaml())
    named = ["--holdout", tables["holdout"], "--training", tables["training"]]
    code, out, _ = call("ask", file, "near", *named, "--noise", "0.000001")
    assert code == 0 and "0.2500 of the training rows" in out
    assert "question 1; 0 of 100 answers" in out
    code, out, _ = call("ask", file, "`it's right`", *named, "--json")
    assert code == 0 and '"of": "holdout"' in out
