"""What is found in a small lake, as data that is the same on each way to run Spark.

Given to Python with SPARK_REMOTE set, it is asked in a session of Spark Connect.
"""

import json
import sys
import tempfile
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2] / "lib"))

SCHEMA = "lb_connect"


def found(spark, folder):
    """Inventory, pairs and plan of a catalog's tables, of Delta and Parquet below a path."""
    from lakebalance import lake

    rows = spark.range(300).selectExpr("id", "id % 7 AS part", "repeat('x', id % 5) AS text")
    spark.sql(f"CREATE SCHEMA {SCHEMA} LOCATION '{folder}/managed'")
    rows.coalesce(1).write.format("delta").saveAsTable(f"{SCHEMA}.base")
    rows.where("id < 40").coalesce(1).write.format("delta").saveAsTable(f"{SCHEMA}.viewed")
    spark.sql(f"CREATE VIEW {SCHEMA}.view AS SELECT * FROM {SCHEMA}.viewed WHERE id > 1000")
    rows.where("id > 9").coalesce(1).write.format("delta").save(f"{folder}/lake/some")
    rows.where("id > 9").coalesce(1).write.partitionBy("part").parquet(f"{folder}/lake/export")
    asked = {"schemas": [SCHEMA], "parquet": True}
    inventory = lake.scan(spark, [f"{folder}/lake"], f"{folder}/state", **asked).to_dict()
    edges = lake.graph(spark, f"{folder}/state", lake.Narrowing(verify=True)).to_dict()["edges"]
    plan = lake.plan(spark, f"{folder}/state", lake.Prices(reads=0)).to_dict()
    spark.sql(f"DROP SCHEMA {SCHEMA} CASCADE")
    told = ("format", "rows", "names", "views", "partition_by")
    return {
        "tables": {Path(t["table"]).name: [t[n] for n in told] for t in inventory["tables"]},
        "problems": inventory["problems"],
        "edges": [[Path(e[end]).name for end in ("child", "parent")] + [e["rows_compared"]]
                  for e in edges],
        "actions": {Path(t["table"]).name: t["action"] for t in plan["tables"]},
    }  # fmt: skip


if __name__ == "__main__":
    from lakebalance.core.session import cluster_session

    with tempfile.TemporaryDirectory() as folder:
        session = cluster_session("lake")
        json.dump({"session": type(session).__module__, **found(session, folder)}, sys.stdout)
