"""Gates find the same in a session of Spark Connect, for every expectation that there is."""

import json

import gates_on_connect
import pytest
from standalone import over_connect


@pytest.mark.slow
def test_gates_find_the_same_over_connect(spark, tmp_path):
    found = over_connect(gates_on_connect, tmp_path)
    assert found.pop("session") == "pyspark.sql.connect.session"
    here = json.loads(json.dumps(gates_on_connect.found(spark)))
    assert len(found["verdicts"]) > 50 and found == here
