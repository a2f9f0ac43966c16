"""Prints what each expectation finds in the awkward table, as one JSON object, in any session.

Given to Python with SPARK_REMOTE set, it is asked in a session of Spark Connect.
"""

import json
import sys
from pathlib import Path

from pyspark.sql import functions as F

FOLDER = Path(__file__).parents[1]
sys.path += [str(FOLDER / "expect"), str(FOLDER.parent / "lib")]


def found(spark):
    """What there is to say of each case: counts and verdict, and rows set aside."""
    from lakebalance.core.sources import SOURCE
    from lakebalance.expect.gate import Gate
    from test_every_expectation import CASES, ROWS, SCHEMA, WHOLE, set_aside, verdicts

    rows = spark.createDataFrame(ROWS, SCHEMA).coalesce(1).withColumn(SOURCE, F.lit("s"))
    often = [case for case in [*CASES, *WHOLE] if case.often]
    gate = Gate([rows], {str(i): case.with_("warn") for i, case in enumerate(often)})
    lines = [[v.expectation, v.unexpected, v.rows, v.success, v.worst] for v in verdicts(gate)]
    return {"verdicts": lines, "aside": set_aside(rows, [c for c in often if c in CASES])}


if __name__ == "__main__":
    from lakebalance.core.session import cluster_session

    session = cluster_session("gates")
    json.dump({"session": type(session).__module__, **found(session)}, sys.stdout)
