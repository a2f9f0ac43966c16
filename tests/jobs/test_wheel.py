"""The wheel as spark-submit --py-files imports it: from the archive, never unpacked."""

import json
import subprocess

from standalone import environment

FROM_THE_ARCHIVE = """
import json, lakebalance
from lakebalance.core.registry import methods
from lakebalance.demo import recipe_file
from lakebalance.recipe import Recipe
from lakebalance.report import html
recipe = Recipe.load(recipe_file(), environ={"LAKE": "/lake"})
print(json.dumps({
    "file": lakebalance.__file__,
    "methods": {stage: list(methods(stage)) for stage in ("prune", "allocate", "sample")},
    "expectations": len(recipe.expect.expectations),
    "target": recipe.publish.table,
    "report": html.render({"name": "from a wheel", "groups": [], "rows": 0}),
}))
"""


def python(bare_python, **variables):
    command = [str(bare_python), "-c", FROM_THE_ARCHIVE]
    return subprocess.run(
        command,
        env=environment(bare_python, **variables),
        capture_output=True,
        text=True,
        check=False,
    )


def test_without_the_wheel_there_is_no_lakebalance(bare_python):
    assert "No module named 'lakebalance'" in python(bare_python).stderr


def test_methods_recipes_and_report_are_read_from_the_archive(bare_python, wheel):
    found = python(bare_python, PYTHONPATH=wheel)
    assert found.returncode == 0, found.stderr
    data = json.loads(found.stdout)
    assert data["file"].startswith(f"{wheel}/")
    assert {"exact"} <= set(data["methods"]["prune"])
    assert {"equal", "temperature"} <= set(data["methods"]["allocate"])
    assert {"repeat", "weight"} <= set(data["methods"]["sample"])
    assert data["expectations"] > 0
    assert data["target"] == "/lake/flights_balanced"
    assert "<h1>from a wheel</h1>" in data["report"]
