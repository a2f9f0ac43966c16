"""Recipes from text: what is taken, and what an error says."""

import json

import pytest

from lakebalance.core.errors import RecipeError
from lakebalance.recipe import Recipe
from lakebalance.recipe.load import loads

TEXT = """\
name: t
sources:
  - {name: a, table: "${LAKE:-lake}/a"}
allocate:
  mix: {method: temperature, temperature: 2, max_epochs: 4}
  balance: {by: [c], method: equal}
  rows: 10
publish: {table: lake/out}
"""


def test_round_trip_environment_and_overrides():
    recipe = loads(TEXT, environ={"LAKE": "/x"}, sets=["allocate.rows=5", "sources.a.version=3"])
    assert recipe.sources[0].table == "/x/a" and recipe.sources[0].version == 3
    assert recipe.allocate.rows == 5
    assert loads(recipe.to_yaml()) == recipe
    assert loads(recipe.model_dump_json()) == recipe
    assert loads(TEXT).hash != recipe.hash


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("rows: 10", "row: 10", r'r.yaml:7  allocate.row: unknown field; did you mean "rows"'),
        (
            "method: equal",
            "method: eqal",
            r'r.yaml:6  allocate.balance.method: no allocate method "eqal"; did you mean "equal"',
        ),
        (
            "temperature: 2",
            "temperature: 0",
            r"r.yaml:5  allocate.mix.temperature: .*above 0 and finite; its limit is the largest",
        ),
        ("temperature: 2", "temperature: .inf", r"temperature: .*above 0.*write method: equal"),
        ("temperature: 2", "temperature: -1", r"temperature: .*the smallest groups would get most"),
        (
            "temperature: 2",
            "temperature: .nan",
            r"temperature: .*0 and finite; there was nan$",
        ),
        ("temperature: 2", "temprature: 2", r'allocate.mix.temprature: unknown field; .*"temperat'),
        (", max_epochs: 4", "", r"r.yaml:5  allocate.mix.max_epochs: is missing"),
        ("name: t\n", "", r"r.yaml:1  name: is missing"),
        ("name: a,", "name: a, where: rand() < 0.5,", r'r.yaml:3  .*"rand" is not a function'),
        ("name: t", "name: [", r"r.yaml:\d+  recipe: not YAML"),
        ("name: t", "name: t\nname: u", r"r.yaml:2  name: .*twice|duplicate"),
        (
            "rows: 10",
            "rows: yes",
            r"r.yaml:7  allocate.rows: must be a valid number; there was True$",
        ),
        ("rows: 10", "rows: ten", r"allocate.rows: must be a valid integer.*; there was 'ten'$"),
        ("by: [c]", "by: c", r"balance.by: must be a valid list; there was 'c'; write \[c\]$"),
        ("name: a,", "name: a, key: 5,", r"0.key: must be 'row_id' or a valid list; there was 5$"),
        (
            "rows: 10",
            "rows: 10\nsplit: {time: t, starts: {valid: [1]}}",
            r"r.yaml:8  split.starts.valid: must be a valid number or a valid string$",
        ),
        (
            "rows: 10",
            "rows: 10\nprune: [{method: exact, keep: {frist_by: c}}]",
            r'prune.0.keep.frist_by: unknown field; did you mean "first_by"',
        ),
        (
            "temperature: 2",
            "temperature: 2, percent: 3",
            r"mix.percent: unknown field; there are: by, max_epochs, method, min_rows, temp",
        ),
        ("${LAKE:-lake}", "${NOT_SET_ANYWHERE}", r"r.yaml:3  .*NOT_SET_ANYWHERE"),
    ],
)
def test_errors_name_line_field_and_remedy(old, new, message):
    assert old in TEXT
    with pytest.raises(RecipeError, match=message):
        loads(TEXT.replace(old, new, 1), "r.yaml", environ={})


def test_every_method_is_in_the_schema():
    text = str(Recipe.model_json_schema())
    for name in ("temperature", "equal", "targets", "exact", "weight"):
        assert f"'{name}'" in text


def test_the_example_recipe_is_valid():
    from lakebalance.demo import recipe_file

    recipe = Recipe.load(recipe_file())
    assert len(recipe.sources) == 3 and len(recipe.expect.expectations) == 7


@pytest.mark.parametrize("indent", [None, 2, "\t"])
def test_json_is_read_as_python_writes_it(indent):
    source = {"name": "a", "table": "lake/a\tb", "where": 'x = "\\\t"'}
    data = {"name": "\U0001f600 {\t}", "sources": [source], "publish": {"table": "lake/\u03a9"}}
    for escaped in (True, False):
        recipe = loads(json.dumps(data, indent=indent, ensure_ascii=escaped), "r.json")
        assert (recipe.name, recipe.publish.table) == (data["name"], "lake/\u03a9")
        assert recipe.sources[0].table == source["table"]
        assert recipe.sources[0].where == source["where"]
