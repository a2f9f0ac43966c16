"""Keeps plans under their ids, so that what is applied is what was looked at."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import pyarrow as pa
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from lakebalance.core.errors import RecipeError, nearest
from lakebalance.core.paths import local
from lakebalance.core.tables import Table, newest_version

KEPT = pa.schema(
    [("plan", pa.string()), ("made", pa.timestamp("us", "UTC")), ("content", pa.string())]
)


def plan_id(content: Mapping[str, Any]) -> str:
    """The id of a plan: a hash of the tables at their versions, the prices and what was decided.

    Examples
    --------
    >>> plan_id({"tables": []}) == plan_id({"tables": []}), len(plan_id({}))
    (True, 16)
    """
    return sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def keep_plan(spark: SparkSession, state: str, content: Mapping[str, Any]) -> str:
    """Write a plan down, unless the same is there.

    Parameters
    ----------
    spark : a session, classic or Connect.
    state : the state's folder.
    content : the plan as plain data.

    Returns
    -------
    Its id. In ``state`` plans are the Delta table ``plans``.
    """
    made = plan_id(content)
    now = dt.datetime.now(dt.timezone.utc)
    row = {"plan": made, "made": now, "content": json.dumps(content)}
    df = spark.createDataFrame(pa.Table.from_pylist([row], schema=KEPT))
    writer = df.write.format("delta").mode("append")
    # A second commit of the same plan is none.
    writer.option("txnAppId", f"lakebalance-plan-{made}").option("txnVersion", 0).save(
        _table(state).name
    )
    return made


def load_plan(spark: SparkSession, state: str, wanted: str) -> dict[str, Any]:
    """A plan that an earlier ``plan`` kept.

    Raises
    ------
    RecipeError : there is none of this id.
    """
    made: list[str] = []
    if newest_version(spark, _table(state)) is not None:
        plans = spark.read.format("delta").load(_table(state).name)
        found = plans.where(F.col("plan") == wanted).select("content").limit(1).collect()
        if found:
            content: dict[str, Any] = json.loads(found[0]["content"])
            return content
        newest = plans.orderBy(F.col("made").desc(), "plan").select("plan").limit(12).collect()
        made = [row["plan"] for row in newest]
    raise RecipeError(
        f'{state} has no plan "{wanted}"; {nearest(wanted, made)}; make one: lakebalance lake plan '
        f"--state {state}"
    )


def _table(state: str) -> Table:
    return Table(local(state).rstrip("/") + "/plans")
