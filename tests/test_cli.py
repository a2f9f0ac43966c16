"""The command line as its users see it: output, JSON, exit codes, messages."""

import json
import os
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from lakebalance.cli import app

RECIPE = """\
name: t
sources: [{name: s, table: TABLE, key: [id]}]
allocate: {balance: {by: [label], method: equal}, rows: 4}
publish: {table: OUT}
"""
VERBS = ["demo", "init", "validate", "profile", "plan", "run", "runs", "explain",
         "prune-eval", "methods"]  # fmt: skip


@pytest.fixture
def recipe_file(table, tmp_path):
    path = table("t", [(1, "a"), (2, "a"), (3, "b")], "id long, label string")
    file = tmp_path / "r.yaml"
    file.write_text(RECIPE.replace("TABLE", path).replace("OUT", str(tmp_path / "out")))
    return file


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_with_an_example(verb):
    shown = CliRunner().invoke(app, [verb, "--help"])
    assert shown.exit_code == 0
    assert f"lakebalance {verb}" in " ".join(shown.output.replace("│", " ").split())


def test_the_whole_way_in_json(call, recipe_file, tmp_path):
    code, text, _ = call("plan", recipe_file, "--json")
    plan = json.loads(text)
    assert code == 0
    assert {"run_id", "recipe_hash", "sources", "groups", "rows", "warnings"} <= plan.keys()
    [source] = plan["sources"]
    assert len(source.pop("table_id")) == 36
    assert source | {"table": ""} == {"name": "s", "table": "", "version": 0, "rows": 3}
    assert [(g["group"], g["available"], g["target"], g["epochs"]) for g in plan["groups"]] == [
        ({"label": "a"}, 2, 2, 1.0),
        ({"label": "b"}, 1, 2, 2.0),
    ]
    assert not (tmp_path / "out").exists()

    code, text, _ = call("run", recipe_file, "--json")
    result = json.loads(text)
    assert code == 0
    assert result["output"] == {"table": str(tmp_path / "out"), "version": 0, "rows": 4}
    assert {"name", "rows_in", "rows_out", "began", "seconds"} == result["stages"][0].keys()
    assert result["run_id"] == plan["run_id"]
    assert (tmp_path / "report.html").read_text().count("<html") == 1

    code, text, _ = call("runs", recipe_file, "--json")
    assert [r["run_id"] for r in json.loads(text)["runs"]] == [plan["run_id"]]
    code, text, _ = call("explain", recipe_file, "3", "--json")
    fate = json.loads(text)["rows"][0]
    assert (fate["fate"], fate["copies"], fate["row"]["id"]) == ("kept", 2, 3)
    code, text, _ = call("profile", recipe_file, "--json")
    assert [g["rows"] for g in json.loads(text)["groups"]] == [2, 1]


def test_the_whole_way_for_people(call, recipe_file):
    code, text, messages = call("run", recipe_file)
    assert code == 0
    assert 'label="b"' in text and "4 rows published as version 0" in text
    assert "publish" in messages and "Exception" not in messages
    code, text, _ = call("run", recipe_file)
    assert "nothing was changed" in text
    code, text, _ = call("explain", recipe_file, "--where", "label = 'a'")
    assert text.count("kept") == 2


@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        (("rows: 4", "row: 4"), 2, 'unknown field; did you mean "rows"'),
        (("[label]", "[lable]"), 2, 'no column "lable"; did you mean "label"'),
        (("rows: 4", "rows: -4"), 2, "greater than or equal to 0"),
        (("/t,", "/nowhere,"), 4, "is not a Delta table"),
        (("[id]", "[label]"), 4, "is not unique"),
        (
            (
                "allocate:",
                "expect: {expectations: [{expectation: ExpectTableRowCountToEqual, "
                "args: {value: 9}, on_fail: stop}]}\nallocate:",
            ),
            3,
            "ExpectTableRowCountToEqual",
        ),
    ],
)
def test_exit_codes_and_messages(call, recipe_file, tmp_path, change, code, message):
    text = recipe_file.read_text()
    assert change[0] in text
    recipe_file.write_text(text.replace(*change))
    found, _, messages = call("run", recipe_file)
    assert found == code, messages
    assert message in messages
    assert "Traceback" not in messages and "at org.apache" not in messages
    assert not (tmp_path / "out").exists()


def test_validate_needs_no_spark_and_gives_the_schema(recipe_file):
    code = (
        "import sys, runpy; sys.argv = ['lakebalance', 'validate', sys.argv[1]];"
        "from lakebalance.cli import main; main()"
    )
    shown = subprocess.run(
        [sys.executable, "-c", code, recipe_file],
        capture_output=True,
        text=True,
        env={**os.environ, "JAVA_HOME": "/nowhere"},
        check=True,
    )
    assert "valid; hash" in shown.stdout
    schema = CliRunner().invoke(app, ["validate", "--schema"])
    assert json.loads(schema.output)["title"] == "Recipe"


def test_init_writes_a_recipe_that_validates_and_never_overwrites(call, tmp_path):
    path = tmp_path / "new.yaml"
    assert call("init", path)[0] == 0
    assert call("validate", path)[0] == 0
    code, _, messages = call("init", path)
    assert code == 2 and "exists already" in messages


def test_methods_lists_every_method(call):
    text = call("methods", "--json")[1]
    known = json.loads(text)
    assert {"none", "equal", "proportional", "targets", "temperature"} <= known["allocate"].keys()
    assert {"repeat", "weight", "smote", "adasyn"} <= known["sample"].keys()
