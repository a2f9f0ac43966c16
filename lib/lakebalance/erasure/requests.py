"""The requests to forget rows, as a state remembers them: what was done, and its proof."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pyarrow as pa
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from lakebalance.core.tables import newest_version
from lakebalance.ledger import state_of
from lakebalance.publish.state import RUN, State
from lakebalance.recipe.models import Recipe

REQUESTS = "forget-requests"
SCHEMA = pa.schema(
    [("reference", pa.string()), ("finished", pa.timestamp("us", "UTC")), ("proof", pa.string())]
)


def remember_proof(state: State, spark: SparkSession, proof: dict[str, Any]) -> None:
    """Write what was done for a request, in place of what an earlier time of it left."""
    row = {
        "reference": proof["reference"],
        "finished": dt.datetime.fromisoformat(proof["finished"]),
        "proof": json.dumps(proof),
    }
    line = spark.createDataFrame(pa.Table.from_pylist([row], schema=SCHEMA))
    state.write(line, REQUESTS, proof["request"])


def requests(recipe: Recipe, spark: SparkSession) -> list[dict[str, Any]]:
    """The proofs of all requests that the recipe's state knows, the newest first.

    Parameters
    ----------
    recipe : names the state.
    spark : the session.

    Returns
    -------
    For each what ``forget`` returned when it was done last.
    """
    state = state_of(recipe)
    if newest_version(spark, state.table(REQUESTS)) is None:
        return []
    rows = spark.read.format("delta").load(state.table(REQUESTS).name)
    newest = rows.orderBy(F.col("finished").desc(), RUN).select("proof").collect()
    return [json.loads(row["proof"]) for row in newest]
