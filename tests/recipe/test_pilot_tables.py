"""Pilots and projections as CSV files beside a recipe."""

import pytest

from lakebalance.core.errors import RecipeError
from lakebalance.recipe import Recipe

RECIPE = """
name: t
sources: [{name: web, table: a/b}, {name: wiki, table: a/d}]
allocate:
  mix: {by: source, method: transport, pilots: {file: pilots.csv},
        projections: {file: projections.csv, target: wanted}}
  rows: 100
publish: {table: a/c}
"""
PILOTS = "rows,performance,web,wiki\n100,0.5,1,\n100,0.6,0.5,0.5\n"
SLICES = "source,projection,value\nweb,0,2\nweb,0,1\nweb,1,5\nwiki,0,4\nwiki,1,3\n"
SLICES += "wanted,0,4\nwanted,1,3\n"


@pytest.fixture
def load(tmp_path):
    def write(pilots=PILOTS, slices=SLICES):
        (tmp_path / "pilots.csv").write_text(pilots)
        (tmp_path / "projections.csv").write_text(slices)
        (tmp_path / "recipe.yaml").write_text(RECIPE)
        return Recipe.load(tmp_path / "recipe.yaml")

    return write


def test_tables_are_written_into_the_recipe_in_whatever_order_they_are(load):
    rule = load().allocate.mix
    assert [(p.rows, p.performance, p.shares) for p in rule.pilots.measured] == [
        (100, 0.5, {"web": 1.0, "wiki": 0.0}),
        (100, 0.6, {"web": 0.5, "wiki": 0.5}),
    ]
    assert rule.projections.values["web"] == [[1.0, 2.0], [5.0]]
    first, *lines = SLICES.splitlines()
    head, *runs = PILOTS.splitlines()
    turned = load("\n".join([head, *runs[::-1]]), "\n".join([first, *lines[::-1]]))
    assert turned.hash == load().hash
    assert load(PILOTS.replace("0.6", "0.7")).hash != turned.hash


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pilots": "rows,web\n1,1\n"}, "are rows, web; they must be rows, performance and one"),
        ({"pilots": "rows,performance\n1,1\n"}, "they must be rows, performance and one for each"),
        ({"pilots": PILOTS + "100,nan,1,0\n"}, "line 4: nan is not a finite number"),
        ({"pilots": PILOTS + "100,,1,0\n"}, "line 4: could not convert"),
        ({"pilots": PILOTS + "100,0.5,0.7,0\n"}, "line 4: .* shares that sum to 0.7"),
        ({"pilots": PILOTS + "100,0.5,2,-1\n"}, "line 4: .* shares of at least 0"),
        ({"pilots": PILOTS + "0,0.5,1,0\n"}, "line 4: 0 rows"),
        ({"pilots": PILOTS + "100,0.5\n"}, "line 4: 2 values for 4 columns"),
        ({"pilots": "rows,performance,web\n"}, "write file, or measured pilots"),
        ({"slices": "source,value\nweb,1\n"}, "they must be source, projection, value"),
        ({"slices": SLICES + "web,0,inf\n"}, "line 9: inf is not a finite number"),
        ({"slices": SLICES + "web,,1\n"}, "line 9: invalid literal"),
        ({"slices": SLICES + "web,2,1\n"}, 'source "wiki" has no value of projection 2'),
        ({"slices": SLICES.replace("wanted", "goal")}, 'no values of the target, "wanted"'),
    ],
)
def test_a_table_that_is_not_as_it_should_be(load, change, message):
    with pytest.raises(RecipeError, match=message):
        load(**change)
