"""Targets as CSV or JSON files beside a recipe."""

import pytest

from lakebalance.core.errors import RecipeError
from lakebalance.recipe import Recipe

RECIPE = """
name: t
sources: [{name: s, table: a/b}]
allocate:
  mix: {method: targets, file: sources.csv}
  balance: {by: [label, site], method: targets, file: targets.csv}
publish: {table: a/c}
"""


@pytest.fixture
def load(tmp_path):
    def write(targets, sources="source,share\ns,1\n"):
        (tmp_path / "targets.csv").write_text(targets)
        (tmp_path / "sources.csv").write_text(sources)
        (tmp_path / "recipe.yaml").write_text(RECIPE)
        return Recipe.load(tmp_path / "recipe.yaml")

    return write


def test_a_table_is_written_into_the_recipe_whose_hash_covers_it(load):
    recipe = load("label,site,rows\na,1,20\n,2,5\n")
    assert recipe.allocate.balance.counts == {"a/1": 20, "null/2": 5}
    assert recipe.allocate.mix.shares == {"s": 1.0}
    assert recipe.hash != load("label,site,rows\na,1,21\n,2,5\n").hash
    assert "targets.csv" not in recipe.to_yaml()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("label,rows\na,1\n", "the columns are label, rows; they must be label, site and rows or"),
        ("", "the columns are none"),
        ("label,site,rows\na,1,x\n", "line 2: .*the last a whole number"),
        ("label,site,rows\na,1\n", "line 2: 2 values; there must be 3 values"),
        ("label,site,share\na,1,.5\na,1,.5\n", 'line 3: "a/1" is there twice'),
    ],
)
def test_a_table_that_is_not_as_it_should_be(load, text, message):
    with pytest.raises(RecipeError, match=message) as error:
        load(text)
    assert "recipe.yaml:6" in str(error.value) and "targets.csv" in str(error.value)


def test_a_table_that_is_not_there(tmp_path):
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    with pytest.raises(RecipeError, match=r"recipe\.yaml:5.*No such file"):
        Recipe.load(tmp_path / "recipe.yaml")


def test_mistakes_in_bins_and_within_are_said_where_they_are(tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text(
        "name: t\nsources: [{name: s, table: a/b}]\nallocate:\n"
        "  bins:\n    band: {of: x, quantile: 3}\n"
        "  balance: {by: [band], method: equal}\n"
        "  within:\n    - {by: [c], method: eqal}\n"
        "publish: {table: a/c}\n"
    )
    with pytest.raises(RecipeError) as error:
        Recipe.load(path)
    assert "recipe.yaml:5" in str(error.value) and 'did you mean "quantiles"' in str(error.value)
    assert 'no allocate method "eqal"; did you mean "equal"' in str(error.value)


@pytest.mark.parametrize(
    "text",
    [
        '{"s": 0.75, "t": 0.25}',
        '{"train_domain_weights": {"s": 0.75, "t": 0.25}, "eval_domain_weights": {"s": 1}}',
    ],
)
def test_weights_that_were_learned_elsewhere_are_read_as_they_are(tmp_path, text):
    recipe = load_json(tmp_path, text)
    assert recipe.allocate.mix.shares == {"s": 0.75, "t": 0.25}
    assert "weights.json" not in recipe.to_yaml()
    assert load_json(tmp_path, '{"s": 0.5, "t": 0.5}').hash != recipe.hash


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[0.5]", r"must be an object of groups and shares; there was \[0.5\]"),
        ('{"s": "much"}', "the share of \"s\" must be a number; there was 'much'"),
        ('{"s": true}', 'the share of "s" must be a number'),
        ('{"s": 1, "s": 0}', '"s" is there twice'),
        ('{"s": 1', "delimiter"),
        ('{"s": 3, "t": 1}', "shares sum to 4, not to 1; .*normalise: true"),
    ],
)
def test_weights_that_are_not_as_they_should_be(tmp_path, text, message):
    with pytest.raises(RecipeError, match=message) as error:
        load_json(tmp_path, text)
    assert "recipe.yaml:5" in str(error.value)


def load_json(folder, text):
    (folder / "weights.json").write_text(text)
    mix = "mix: {method: targets, file: weights.json}"
    lines = RECIPE.replace("mix: {method: targets, file: sources.csv}", mix).splitlines()
    (folder / "recipe.yaml").write_text("\n".join(x for x in lines if "balance" not in x))
    return Recipe.load(folder / "recipe.yaml")
