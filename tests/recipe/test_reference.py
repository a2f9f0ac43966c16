"""The documentation says what the models say."""

from pathlib import Path

import pytest
import yaml

from lakebalance.core.registry import methods
from lakebalance.recipe.drift import Against, Drift
from lakebalance.recipe.fairness import ColumnIs, Fairness, Population
from lakebalance.recipe.load import loads
from lakebalance.recipe.models import Expect, Expectation, Publish, Recipe, Source
from lakebalance.recipe.reference import example_of, methods_page, recipe_page
from lakebalance.recipe.rules import Allocate

DOCS = Path(__file__).parents[2] / "docs"
EVERY = [(stage, name) for stage in ("prune", "allocate", "sample") for name in methods(stage)]
BASE = {"name": "n", "sources": [{"name": "s", "table": "a/b"}], "publish": {"table": "a/c"}}


@pytest.mark.parametrize(
    ("file", "page", "command"),
    [
        ("recipe.md", recipe_page, "lakebalance validate --markdown > docs/recipe.md"),
        ("methods.md", methods_page, "lakebalance methods --markdown > docs/methods.md"),
    ],
)
def test_the_pages_are_up_to_date(file, page, command):
    assert (DOCS / file).read_text(encoding="utf-8") == page(), f"run: {command}"


MODELS = [Recipe, Source, Expect, Expectation, Allocate, Publish]
GATES = [Against, Drift, ColumnIs, Population, Fairness]


def test_the_recipes_of_the_page_of_gates_validate():
    page = (DOCS / "gates.md").read_text(encoding="utf-8")
    blocks = [part.split("```")[0] for part in page.split("```yaml\n")[1:]]
    texts = [block for block in blocks if block.startswith("name:")]
    asked, recipe = [loads(text, environ={}) for text in texts]
    assert asked.parts == ["test"]
    assert len(recipe.expect.drift) == 3 and recipe.expect.fairness[0].times == ["before", "after"]


@pytest.mark.parametrize("model", [*MODELS, *GATES])
def test_every_field_is_described(model):
    assert [name for name, field in model.model_fields.items() if not field.description] == []


@pytest.mark.parametrize(("stage", "name"), EVERY)
def test_every_option_is_described_and_every_example_validates(stage, name):
    method = methods(stage)[name]
    fields = method.options.model_fields.items()
    assert [n for n, f in fields if n != "method" and not f.description] == []
    example = yaml.safe_load(example_of(method))
    assert example["method"] == name
    parts = {
        "prune": [{"prune": [example]}],
        "sample": [{"sample": example}],
        "allocate": [{"allocate": {"mix": example}},
                     {"allocate": {"balance": {"by": ["c"], **example}}}],
    }[stage]  # fmt: skip
    for part in parts:
        recipe = loads(yaml.safe_dump({**BASE, **part}))
        assert loads(recipe.to_yaml()) == recipe
