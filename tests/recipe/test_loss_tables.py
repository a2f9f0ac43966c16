"""Losses as a CSV file beside a recipe."""

import pytest

from lakebalance.core.errors import RecipeError
from lakebalance.recipe import Recipe

RECIPE = """
name: t
sources: [{name: s, table: a/b}]
allocate:
  balance: {by: [quality], method: qqt, fit: {file: losses.csv}}
phases:
  - {name: last, balance: {by: [quality], method: qqt, fit: {file: losses.csv}, a: 2}}
publish: {table: a/c}
"""
HEADER = "bucket,samples_seen,loss\n"
LINES = ["top,1000,0.5\n", "top,2000,0.4\n", ",1000,0.6\n"]


@pytest.fixture
def load(tmp_path):
    def write(losses, recipe=RECIPE):
        (tmp_path / "losses.csv").write_text(losses)
        (tmp_path / "recipe.yaml").write_text(recipe)
        return Recipe.load(tmp_path / "recipe.yaml")

    return write


def test_a_table_is_written_into_the_recipe_in_whatever_order_it_is(load):
    recipe = load(HEADER + "".join(LINES))
    measured = [(p.bucket, p.samples_seen, p.loss) for p in recipe.allocate.balance.fit.measured]
    assert measured == [("null", 1000, 0.6), ("top", 1000, 0.5), ("top", 2000, 0.4)]
    assert recipe.phases[0].balance.fit == recipe.allocate.balance.fit
    other = load("loss,bucket,samples_seen\n.4,top,2000\n0.6,,1000\n0.50,top,1000\n")
    assert other.hash == recipe.hash
    assert load(HEADER + "".join(LINES[:2])).hash != recipe.hash
    assert "losses.csv" not in recipe.to_yaml()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("bucket,loss\ntop,1\n", "are bucket, loss; they must be bucket, samples_seen, loss"),
        ("", "the columns are none"),
        (HEADER, "write file, or measured losses"),
        (HEADER + "top,10\n", "line 2: 2 values; there must be 3 values"),
        (HEADER + "top,1e3,0.5\n", "line 2: .*samples_seen a whole number of at least 1"),
        (HEADER + "top,0,0.5\n", "line 2: 0 samples_seen and a loss of 0.5"),
        (HEADER + LINES[0] + "top,9,nan\n", "line 3: .*a loss of nan.*loss a number above 0"),
        (HEADER + "top,9,-0.1\n", "line 2: .*a loss of -0.1"),
        (HEADER + "top,9,0\n", "line 2: .*a loss of 0;"),
        (HEADER + "top,9,inf\n", "line 2: .*a loss of inf"),
        (HEADER + "top,9,low\n", "line 2: could not convert .*'low'"),
    ],
)
def test_a_table_that_is_not_as_it_should_be(load, text, message):
    with pytest.raises(RecipeError, match=message) as error:
        load(text)
    assert "recipe.yaml:5" in str(error.value)


def test_a_table_that_is_not_there_and_one_too_many(load, tmp_path):
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    with pytest.raises(RecipeError, match=r"recipe\.yaml:5.*losses\.csv: .*No such file"):
        Recipe.load(tmp_path / "recipe.yaml")
    both = "fit: {file: losses.csv, measured: [{bucket: top, samples_seen: 1, loss: 0.5}]}"
    with pytest.raises(RecipeError, match=r"recipe\.yaml:5.*write file or measured, not both"):
        load(HEADER + LINES[0], RECIPE.replace("fit: {file: losses.csv}", both))


def test_mistakes_in_buckets_are_said_where_they_are(load):
    wrong = RECIPE.replace(
        "fit: {file: losses.csv}}\nph", "buckets: {top: {utility: 0.2, half_life: 2}}}\nph"
    )
    with pytest.raises(RecipeError, match=r"recipe.yaml:5 .*buckets\.top\.utility: must be less"):
        load(HEADER + LINES[0], wrong)
