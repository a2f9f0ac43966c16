"""Suggested recipes: accepted by validate and plan, made by run, on plain and on hostile tables."""

import datetime as dt
import json

import pytest
import yaml

from lakebalance.recipe import Recipe

UTC = dt.timezone.utc


@pytest.mark.slow
def test_a_recipe_of_a_table_runs(call, table, tmp_path):
    start = dt.datetime(2020, 1, 1, tzinfo=UTC)
    rows = [
        (i, "rare" if i % 20 == 0 else "common", float("nan") if i % 9 == 0 else i / 7,
         start + dt.timedelta(hours=i), f"AB-{100 + i % 5}", i % 40, (i % 40) * 2, 1)
        for i in range(200)
    ]  # fmt: skip
    schema = (
        "id int, label string, x double, at timestamp, code string, user int, twice int, one int"
    )
    path, folder = table("plain", rows, schema), tmp_path / "made"
    code, text, messages = call("profile", path, "--suggest", folder, "--json")
    assert code == 0, messages
    written = json.loads(text)["written"]
    assert written == [str(folder / "recipe.yaml"), str(folder / "expectations.yaml")]
    made = (folder / "recipe.yaml").read_text()
    recipe = Recipe.load(folder / "recipe.yaml", environ={})
    assert recipe.sources[0].key == ["id"] and recipe.sources[0].nan_as_null
    assert recipe.allocate.balance.by == ["label"]
    assert recipe.split.time == "at"
    assert "largest to smallest 19.0 : 1" in made and "the same in all rows: one" in made
    assert "each settles the other: user, twice" in made
    suite = yaml.safe_load((folder / "expectations.yaml").read_text())
    said = {(e["expectation"], e["args"].get("column")): e for e in suite}
    between = said["ExpectColumnValuesToBeBetween", "x"]
    assert between["args"]["max_value"] == 199 / 7 and between["on_fail"] == "warn"
    assert said["ExpectColumnValuesToBeInSet", "label"]["args"]["value_set"] == ["common", "rare"]
    assert said["ExpectColumnValuesToNotBeNull", "id"]["on_fail"] == "quarantine"
    assert ("ExpectColumnValuesToNotBeNull", "x") not in said

    assert call("validate", folder / "recipe.yaml")[0] == 0
    code, text, messages = call("run", folder / "recipe.yaml", "--json")
    assert code == 0, messages
    result = json.loads(text)
    assert all(gate["success"] for gate in result["gates"]) and result["output"]["rows"] > 0
    code, _, messages = call("profile", path, "--suggest", folder)
    assert code == 2 and "exists already" in messages
    assert call("profile", path, path, "--suggest", tmp_path / "x")[0] == 2


LONG = "a text of many words that is longer than forty characters, number "
HOSTILE = {
    "odd": (
        [(f"v{i % 2}", "${HOME}", f"{LONG}{i}", None, i // 2, {"k": i}) for i in range(30)],
        "`a.b` string, `Count Of` string, `Größe\u2028#x` string, none int, `count` int, "
        "m map<string,int>",
    ),
    "empty": ([], "id int, t string"),
    "null": ([(None, None)] * 5, "id int, t string"),
}


@pytest.mark.parametrize("name", [pytest.param("odd", marks=pytest.mark.slow), "empty", "null"])
def test_recipes_of_hostile_tables_run(call, table, tmp_path, name):
    rows, schema = HOSTILE[name]
    path, folder = table(name, rows, schema), tmp_path / "made"
    code, _, messages = call("profile", path, "--suggest", folder)
    assert code == 0, messages
    recipe = folder / "recipe.yaml"
    assert call("validate", recipe)[0] == 0
    code, text, messages = call("run", recipe, "--json")
    assert code == 0, (name, messages, recipe.read_text())
    found = json.loads(text)["output"]["rows"]
    assert found == 0 if not rows else 0 < found <= len(rows)


def test_options_of_the_other_form_are_refused(call, tmp_path):
    recipe = tmp_path / "r.yaml"
    recipe.write_text("name: t")
    for args, said in (
        ([recipe, "--no-keys"], "--no-keys goes with tables"),
        (["lake/t", "--set", "a=b"], "--set a=b goes with a recipe"),
        ([recipe, "--left-size", "1"], "--left-size goes with tables"),
        (["lake/t", "--overwrite"], "--overwrite goes with --suggest"),
        ([recipe, "lake/t"], "is a recipe; profile it by itself"),
        (["lake/t", "--error", "2"], "--error 2: write a share"),
    ):
        code, _, messages = call("profile", *args)
        assert code == 2 and said in messages, messages


@pytest.mark.slow
@pytest.mark.parametrize("rows", [40, 0])
def test_tables_of_a_catalog_with_awkward_names_and_without_rows(call, spark, tmp_path, rows):
    spark.sql("CREATE DATABASE IF NOT EXISTS suggested")
    name, path = "suggested.t", str(tmp_path / "a${X}b")
    df = spark.range(rows).selectExpr("id", "id % 2 AS `back``tick`", "'x' AS `v${Y}`")
    mapped = {"delta.columnMapping.mode": "name"}
    try:
        df.write.format("delta").options(**mapped).saveAsTable(name)
        df.write.format("delta").options(**mapped).save(path)
        for i, table in enumerate((name, path)):
            folder = tmp_path / f"made{i}"
            code, _, messages = call("profile", table, "--suggest", folder)
            assert code == 0, messages
            recipe = folder / "recipe.yaml"
            sets = ["--set", f"publish.state={tmp_path / 'state'}"] if table == name else []
            code, text, messages = call("plan", recipe, "--json", *sets)
            assert code == 0, messages
            assert json.loads(text)["rows"] == rows
            assert Recipe.load(recipe).sources[0].table == table
    finally:
        spark.sql("DROP DATABASE suggested CASCADE")
