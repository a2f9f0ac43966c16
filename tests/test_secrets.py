"""A secret of the environment is in nothing that a run leaves or says."""

import json

import pytest

from lakebalance.core import secrets

SECRET = "s3cr3t-of-the-lake"


@pytest.fixture
def lake(table, tmp_path, monkeypatch):
    """A recipe that has a secret wherever a recipe has text."""
    monkeypatch.setattr(secrets, "_values", {})
    monkeypatch.setenv("LAKE_TOKEN", SECRET)
    rows = [(i, "ab"[i % 2], SECRET if i == 7 else "x") for i in range(40)]
    table("rows", rows, "id int, label string, word string")
    path = tmp_path / "recipe.yaml"
    path.write_text(
        f"name: t\nsources: [{{name: s, table: {tmp_path}/rows, key: [id], "
        "where: \"word != '${LAKE_TOKEN}-' or id < 0\"}]\n"
        "expect: {expectations: [{expectation: ExpectColumnValuesToNotBeInSet, "
        "args: {column: word, value_set: ['${secret:LAKE_TOKEN}']}}]}\n"
        "prune: [{method: exact, columns: [id]}]\n"
        "allocate: {balance: {by: [label], method: equal}, rows: 20}\n"
        f'publish: {{table: "{tmp_path}/${{LAKE_TOKEN}}/out", state: {tmp_path}/state}}\n'
    )
    return path


def kept_in(folder):
    """The files below a folder that hold the secret."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files
    return [path for path in files if SECRET.encode() in path.read_bytes()]


def test_no_secret_in_ledger_report_or_messages(call, lake, tmp_path, spark):
    code, out, err = call("run", lake, "--report", tmp_path / "report.html", "--json")
    assert code == 0 and SECRET not in out + err
    result = json.loads(out)
    assert result["output"]["table"] == f"{tmp_path}/${{secret:LAKE_TOKEN}}/out"
    assert (
        result["quarantined"] == 1 and "${secret:LAKE_TOKEN}" in result["gates"][0]["expectation"]
    )
    assert not kept_in(tmp_path / "state" / "ledger")
    ledger = spark.read.format("delta").load(f"{tmp_path}/state/ledger").toPandas()
    assert SECRET not in ledger.to_json() and "${secret:LAKE_TOKEN}" in ledger.to_json()
    assert SECRET not in (tmp_path / "report.html").read_text()
    reasons = spark.read.format("delta").load(f"{tmp_path}/state/quarantine-t").first()
    assert "${secret:LAKE_TOKEN}" in reasons["lb_reasons"][0]

    # What reads the ledger finds the run, its target and its recipe again.
    code, out, err = call("run", lake, "--json")
    assert code == 0 and json.loads(out)["repeated"] and SECRET not in out + err


@pytest.mark.slow
def test_no_secret_in_what_other_commands_say(call, lake):
    assert call("run", lake)[0] == 0
    for command in (["explain", lake, "--where", "id = 7"], ["runs", lake], ["plan", lake]):
        for flags in ([], ["--json"]):
            code, out, err = call(*command, *flags)
            assert code == 0 and SECRET not in out + err, command
    code, out, err = call("forget", lake, "--where", "id = 3", "--confirm", "--json")
    assert code == 0 and SECRET not in out + err, err
    assert json.loads(out)["complete"]


def test_no_secret_in_errors(call, lake, tmp_path):
    lake.write_text(lake.read_text().replace("word != ", "wrod != "))
    for flags in ([], ["--debug"]):
        code, out, err = call(*flags, "plan", lake)
        assert code == 2 and SECRET not in out + err and "wrod" in err
    lake.write_text(lake.read_text().replace(f"{tmp_path}/rows", "'/none/${LAKE_TOKEN}'"))
    code, out, err = call("plan", lake)
    assert code == 4 and SECRET not in out + err and "${secret:LAKE_TOKEN}" in err


@pytest.mark.slow
def test_gates_find_earlier_runs_whose_recipe_and_target_have_a_secret(call, lake, tmp_path):
    (tmp_path / SECRET).mkdir()
    (tmp_path / "rows").rename(tmp_path / SECRET / "rows")
    gates = (
        "drift: [{columns: [id], against: {run: newest}}], "
        "learned: [{metric: rows, at_least: 3}], expectations"
    )
    text = lake.read_text().replace(f"{tmp_path}/rows", f'"{tmp_path}/${{LAKE_TOKEN}}/rows"')
    lake.write_text(text.replace("expect: {expectations", f"expect: {{{gates}"))
    for seed in (1, 2):
        code, out, err = call("run", lake, "--set", f"seed={seed}", "--json")
        assert code == 0 and SECRET not in out + err, err
    told = json.loads(out)
    said = {w["code"]: w["message"] for w in told["warnings"]}
    assert "Fewer than 3 earlier runs, 1 at most" in said["learned_too_few_runs"]
    drift = next(gate for gate in told["gates"] if gate["kind"] == "drift")
    assert drift["number"] == 0.0
