"""Gates find the same in a session of Spark Connect, for every expectation that there is."""

import json
import shlex
import sys
from pathlib import Path

import gates_on_connect
import pytest
from standalone import Process, environment, submission

from lakebalance.core.delta import DELTA_SETTINGS


@pytest.mark.slow
def test_gates_find_the_same_over_connect(spark, tmp_path):
    options = submission("", conf=DELTA_SETTINGS)[3:-1]
    variables = {
        "PYSPARK_SUBMIT_ARGS": " ".join([*map(shlex.quote, options), "pyspark-shell"]),
        "SPARK_REMOTE": "local[2]",
        "SPARK_TESTING": "1",  # which lets the server take a free port
    }
    script = str(Path(gates_on_connect.__file__))
    job = Process([sys.executable, script], environment(**variables), tmp_path / "job.log")
    code, out, err = job.finish(300)
    assert code == 0, err[-3000:]
    found = json.loads(out)
    assert found.pop("session") == "pyspark.sql.connect.session"
    here = json.loads(json.dumps(gates_on_connect.found(spark)))
    assert len(found["verdicts"]) > 50 and found == here
