"""A lake is taken stock of, narrowed and planned in a session of Spark Connect as in others."""

import json

import lake_on_connect
import pytest
from standalone import over_connect


@pytest.mark.slow
def test_a_lake_is_the_same_over_connect(spark, tmp_path):
    found = over_connect(lake_on_connect, tmp_path)
    assert found.pop("session") == "pyspark.sql.connect.session"
    here = json.loads(json.dumps(lake_on_connect.found(spark, tmp_path / "here")))
    assert found == here
    assert here["actions"] == {"base": "keep", "viewed": "keep", "some": "drop", "export": "drop"}
    assert here["tables"]["viewed"][3] == ["lb_connect.view"]
