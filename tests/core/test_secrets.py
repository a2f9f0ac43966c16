"""Secrets of the environment: what is one, and how it is kept out of data."""

import pytest

from lakebalance.core import secrets
from lakebalance.core.errors import RecipeError
from lakebalance.recipe.load import loads


@pytest.fixture(autouse=True)
def forgotten(monkeypatch):
    """Secrets of one test are none of another."""
    monkeypatch.setattr(secrets, "_values", {})


@pytest.mark.parametrize(
    "name",
    ["TOKEN", "lake_token", "DB_PASSWORD", "AWS_SECRET_ACCESS_KEY", "apikey", "MY_API_KEY",
     "storageAccountKey", "LAKE_SAS", "X_CREDENTIALS", "DB_PWD"],
)  # fmt: skip
def test_names_of_secrets(name):
    assert secrets.is_secret(name)


@pytest.mark.parametrize("name", ["LAKE", "TOKENS", "MAX_TOKENS", "PWD", "KEY", "SASH", "BUDGET"])
def test_names_of_what_is_none(name):
    assert not secrets.is_secret(name)


def test_hidden_and_revealed_at_any_depth():
    secrets.keep("A", "long secret")
    secrets.keep("B", "long secret and more")
    data = {"a": ["x long secret and more", 1, None, {"long secret": 2.5}], "b": "x"}
    hidden = secrets.hide(data)
    assert hidden == {"a": ["x ${secret:B}", 1, None, {"${secret:A}": 2.5}], "b": "x"}
    assert secrets.reveal(hidden) == data


def test_revealed_from_the_environment():
    assert secrets.reveal("${secret:NEW}", {"NEW": "from outside"}) == "from outside"
    assert secrets.hide("from outside") == "${secret:NEW}"
    with pytest.raises(RecipeError, match="secret OTHER is not set; set the environment"):
        secrets.reveal("${secret:OTHER}", {})


RECIPE = """\
name: t
sources: [{name: a, table: "${LAKE}/a", where: "c = '${secret:WORD}' or d = '${MY_TOKEN:-none}'"}]
publish: {table: "${LAKE}/out"}
"""


def test_a_recipe_reads_secrets_and_does_not_say_them():
    environ = {"LAKE": "/lake", "WORD": "abcdef", "MY_TOKEN": "it's: #1\n"}
    recipe = loads(RECIPE, environ=environ)
    assert recipe.sources[0].where == "c = 'abcdef' or d = 'it's: #1\n'"
    text = recipe.to_yaml()
    assert "abcdef" not in text and "it's" not in text and "/lake/a" in text
    assert type(recipe).of_yaml(text) == recipe
    assert loads(text, environ=environ) == recipe


def test_a_default_is_no_secret():
    recipe = loads(RECIPE, environ={"LAKE": "/lake", "WORD": "abcdef"})
    assert "d = 'none'" in recipe.to_yaml()


def test_too_short_a_secret_is_refused():
    with pytest.raises(RecipeError, match=r"the secret WORD has 3 characters"):
        loads(RECIPE, environ={"LAKE": "/lake", "WORD": "abc"})


def test_a_secret_that_is_not_set():
    with pytest.raises(RecipeError, match=r"sources.0.where: environment variable WORD is not set"):
        loads(RECIPE, environ={"LAKE": "/lake"})
