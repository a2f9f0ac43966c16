"""Whatever stands in a recipe, it is a recipe or an error for the user, and nothing is run."""

import copy
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lakebalance.core.errors import RecipeError
from lakebalance.recipe import Recipe
from lakebalance.recipe.load import loads

FLIGHTS = yaml.safe_load((Path(__file__).parents[2] / "conf" / "flights.yaml").read_text())
FLIGHTS["expect"] = {"expectations": [
    {"expectation": "ExpectColumnValuesToNotBeNull", "args": {"column": "tailnum"}}
]}  # fmt: skip
FULL = FLIGHTS | {
    "evaluation": [{"name": "e", "table": "lake/e", "columns": ["text"]}],
    "phases": [{"name": "last", "rows": 10}],
    "order": {"max_epochs": 3},
    "report": {"excerpts": False},
}
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=12), st.dates(),
    st.sampled_from(["${HOME", "${NOT_SET_ANYWHERE}", "$${x}", "a.b`c", "1; DROP TABLE t", "rand()",
                     "!!python/object/apply:os.system ['true']", "equal", "smote", "🦆", "\ud800"]),
)  # fmt: skip
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=8) | SCALARS, inner, max_size=3)
    ),
    max_leaves=6,
)
QUIET = settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))


def places(data, way=()):
    """The ways to all that stands in a recipe."""
    yield way
    items = (
        data.items()
        if isinstance(data, dict)
        else enumerate(data)
        if isinstance(data, list)
        else ()
    )
    for name, inner in items:
        yield from places(inner, (*way, name))


WAYS = list(places(FULL))


def check(text):
    """A recipe, which is the same read again, or an error that says something."""
    try:
        recipe = loads(text, environ={"HOME": "/home", "LAKE": "lake"})
    except RecipeError as error:
        assert str(error)
        return
    assert loads(recipe.to_yaml(), environ={}) == recipe or "$" in text
    assert Recipe.of_yaml(recipe.to_yaml()) == recipe


@QUIET
@given(st.sampled_from(WAYS), VALUES)
def test_anything_at_any_place(way, value):
    data = copy.deepcopy(FULL)
    here = data
    for part in way[:-1]:
        here = here[part]
    if way:
        here[way[-1]] = value
    else:
        data = value
    check(yaml.dump(data, allow_unicode=True))


@QUIET
@given(st.sampled_from(WAYS[1:]), st.text(max_size=8), VALUES)
def test_a_field_more_or_less(way, name, value):
    data = copy.deepcopy(FULL)
    here = data
    for part in way[:-1]:
        here = here[part]
    del here[way[-1]]
    if isinstance(here, dict):
        here[name] = value
    check(yaml.dump(data, allow_unicode=True))


@QUIET
@given(st.text(max_size=200))
def test_any_text(text):
    check(text)


@QUIET
@given(st.integers(0, 2000), st.integers(0, 30), st.text(max_size=6))
def test_a_recipe_with_a_piece_cut_out(start, length, instead):
    text = yaml.safe_dump(FULL)
    check(text[:start] + instead + text[start + length :])


@QUIET
@given(st.lists(st.text(max_size=20), max_size=3))
def test_any_override(sets):
    try:
        loads(yaml.safe_dump(FULL), sets=sets, environ={"LAKE": "lake"})
    except RecipeError as error:
        assert str(error)


# A list of lists of the list before, nine times each: 9 to the power of 8 texts.
NESTED = "a: &a [x]\n" + "\n".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]"
    for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    "text",
    [
        "!!python/object/apply:os.mkdir [made_by_a_recipe]",
        "name: !!python/object/apply:os.mkdir [made_by_a_recipe]",
        "name: !!python/name:os.mkdir ''",
        "name: &a [*a]",
        NESTED,
    ],
)
def test_yaml_runs_nothing_and_ends(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RecipeError):
        loads(text)
    assert not list(tmp_path.iterdir())
