"""A recipe in a session of Spark Connect: gates, pruning, groups by dates, nested columns."""

import json
import sys

import pytest
import yaml
from standalone import JOBS, Process, connect_variables, environment

LIB = str(JOBS.parent / "lib")


@pytest.fixture
def recipe(spark, tmp_path):
    df = spark.range(300).selectExpr(
        "id",
        "if(id % 10 = 0, 'rare', 'common') label",
        "if(id = 7, null, id * 1.0D) x",
        "id % 290 AS n",
        "date_add(date'2024-01-01', int(id % 3)) day",
        "array(id % 290) a",
        "named_struct('d', id % 290) st",
    )
    df.write.format("delta").save(str(tmp_path / "s"))
    not_null = {"expectation": "ExpectColumnValuesToNotBeNull", "args": {"column": "x"}}
    written = {
        "name": "connected",
        "sources": [{"name": "s", "table": str(tmp_path / "s"), "key": ["id"]}],
        "expect": {"expectations": [{**not_null, "on_fail": "quarantine"}]},
        "prune": [{"method": "exact", "columns": ["n", "a", "st"]}],
        "allocate": {"balance": {"by": ["label", "day"], "method": "equal"}, "rows": 60},
        "publish": {"table": str(tmp_path / "out")},
    }
    path = tmp_path / "r.yaml"
    path.write_text(yaml.safe_dump(written))
    return path


def test_a_recipe_runs_over_connect(spark, recipe, tmp_path):
    env = environment(PYTHONPATH=LIB, **connect_variables())
    command = [sys.executable, JOBS / "balance.py", "--recipe", recipe, "--json"]
    code, out, err = Process(command, env, tmp_path / "job.log").finish()
    assert code == 0, err[-3000:]
    assert "Connect" in err
    found = json.loads(out)
    assert found["output"]["rows"] == 60 and found["quarantined"] == 1 and found["matches"] == 9
    assert all(p["planned"] == p["found"] == 10 for p in found["published"])
    groups = spark.read.format("delta").load(str(tmp_path / "out")).groupBy("label", "day").count()
    assert {row["count"] for row in groups.collect()} == {10} and groups.count() == 6
